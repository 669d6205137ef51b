// What a request handler gets besides its parameters.
#pragma once

#include <c10/core/Device.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "worker/host/torch.hpp"

namespace ascertain::worker {

struct Session {
    c10::Device device = c10::Device(c10::DeviceType::CPU);
    // Tells the core how far the request in progress is: share in [0, 1]; data is null or an
    // object.
    std::function<void(double share, std::string_view text, const Json& data)> progress;
    // One thing that a request may leave for the next: a loaded model. Who finds his own key knows
    // the type.
    std::string kept_key{};
    std::shared_ptr<const void> kept{};
};

}  // namespace ascertain::worker
