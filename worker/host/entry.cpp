// The doors by which the two hosts come in: a C function for the executable, an operator for
// Python. torch.ops calls release the interpreter's lock, so Python code goes on beside the server.
#include <torch/library.h>

#include "worker/host/serve.hpp"
#include "worker/host/torch.hpp"

namespace {

std::int64_t serve_from_python(std::int64_t descriptor, std::string device) {
    ascertain::worker::ServeOptions options;
    options.descriptor = static_cast<int>(descriptor);
    options.device = std::move(device);
    options.host = "python";
    return ascertain::worker::serve(options);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(ascertain, library) {
    library.def("serve(int descriptor, str device) -> int", serve_from_python);
}

// Libraries are `count` paths. Returns the exit code.
extern "C" __attribute__((visibility("default"))) int ascertain_worker_serve(
    int descriptor, const char* device, const char* const* libraries, std::size_t count) {
    ascertain::worker::ServeOptions options;
    options.descriptor = descriptor;
    options.device = device;
    options.libraries.assign(libraries, libraries + count);
    options.host = "executable";
    return ascertain::worker::serve(options);
}
