// Loads the simulated device into a test, as a worker does.
#pragma once

#include <dlfcn.h>

#include <string>

namespace ascertain::simulated {

// "" or why the plug-in must not be used.
inline std::string load_plugin() {
    void* library = ::dlopen(ASCERTAIN_SIMULATED_LIBRARY, RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) return ::dlerror();
    using Failure = const char* (*)();
    const auto failure = reinterpret_cast<Failure>(::dlsym(library, "ascertain_plugin_failure"));
    const char* message = failure == nullptr ? "no ascertain_plugin_failure" : failure();
    return message == nullptr ? "" : message;
}

}  // namespace ascertain::simulated
