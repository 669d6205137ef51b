// ascertain-worker: the executable host. It loads the worker library beside it at run time, so that
// a torch that is missing or does not fit becomes a `refused` message with the loader's own words.
#include <dlfcn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/protocol.hpp"

namespace {

constexpr int kExitUsage = 64;
constexpr int kExitRefused = 3;
constexpr const char* kUsage =
    "usage: ASCERTAIN_WORKER_FD=N ascertain-worker --device NAME [--library PATH]...\n"
    "Serves the worker protocol (docs/protocol.md) on the inherited descriptor N.\n";

struct Arguments {
    std::string device = "cpu";
    std::vector<std::string> libraries;
};

bool read_arguments(int count, char** values, Arguments& arguments) {
    for (int i = 1; i < count; i += 2) {
        if (i + 1 == count) return false;
        if (std::strcmp(values[i], "--device") == 0) {
            arguments.device = values[i + 1];
        } else if (std::strcmp(values[i], "--library") == 0) {
            arguments.libraries.emplace_back(values[i + 1]);
        } else {
            return false;
        }
    }
    return true;
}

int descriptor_from_environment() {
    const char* text = std::getenv(ascertain::protocol::kDescriptorVariable);
    int descriptor = -1;
    if (text == nullptr) return -1;
    const char* end = text + std::strlen(text);
    const auto read = std::from_chars(text, end, descriptor);
    return read.ec == std::errc() && read.ptr == end ? descriptor : -1;
}

std::string library_beside_program() {
    std::string path(4096, '\0');
    const ssize_t length = ::readlink("/proc/self/exe", path.data(), path.size());
    if (length <= 0) return "libascertain_worker.so";
    path.resize(static_cast<std::size_t>(length));
    return path.substr(0, path.rfind('/') + 1) + "libascertain_worker.so";
}

int refuse(int descriptor, const std::string& message) {
    const ascertain::Json document = {{"refused", {{"kind", "library"}, {"message", message}}}};
    const std::string line =
        document.dump(-1, ' ', false, ascertain::Json::error_handler_t::replace) + "\n";
    static_cast<void>(::send(descriptor, line.data(), line.size(), MSG_NOSIGNAL));
    return kExitRefused;
}

}  // namespace

int main(int count, char** values) {
    Arguments arguments;
    const int descriptor = descriptor_from_environment();
    if (descriptor < 0 || !read_arguments(count, values, arguments)) {
        std::fputs(kUsage, stderr);
        return kExitUsage;
    }
    void* library = ::dlopen(library_beside_program().c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) return refuse(descriptor, ::dlerror());
    using Serve = int (*)(int, const char*, const char* const*, std::size_t);
    const Serve serve = reinterpret_cast<Serve>(::dlsym(library, "ascertain_worker_serve"));
    if (serve == nullptr) return refuse(descriptor, ::dlerror());
    std::vector<const char*> libraries;
    for (const std::string& path : arguments.libraries) libraries.push_back(path.c_str());
    const int code =
        serve(descriptor, arguments.device.c_str(), libraries.data(), libraries.size());
    // Drivers crash in their own exit handlers often enough; nothing of ours is left to be flushed.
    std::fflush(nullptr);
    std::_Exit(code);
}
