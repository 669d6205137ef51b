// The life of a worker: hello, then one request after another, until told to stop.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/host/loop.hpp"

namespace ascertain::worker {

struct ServeOptions {
    int descriptor = -1;
    std::string device = "cpu";
    std::vector<std::string> libraries;  // to be loaded before the device is looked for
    std::string_view host;               // "executable" or "python"
};

// Serves until stop, closing or a breach of the protocol; returns the exit code. Throws nothing.
[[nodiscard]] int serve(const ServeOptions& options);

// The version of the torch that is loaded, such as "2.13.0", which need not be the one whose
// headers were compiled in.
[[nodiscard]] std::string loaded_torch_version();

// "2.13" for "2.13.0+cpu".
[[nodiscard]] std::string minor_of(std::string_view version);

}  // namespace ascertain::worker
