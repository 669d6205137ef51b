#include "worker/host/serve.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/empty.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <optional>

#include "base/protocol.hpp"
#include "worker/collectives/planted.hpp"
#include "worker/host/channel.hpp"
#include "worker/host/failure.hpp"
#include "worker/host/loop.hpp"
#include "worker/host/requests.hpp"
#include "worker/host/torch.hpp"
#include "worker/training/planted/rules.hpp"

namespace ascertain::worker {
namespace {

Result<Json> handle(const std::string& name, const Json& params, Session& session) {
    const Result<const Request*> request = find_request(name);
    if (!request) return request.error();
    try {
        return (*request)->handle(session, params);
    } catch (...) {
        return error_in_flight();
    }
}

// Numbers are compared with what the operator promises, so no silent shortcut inside fp32.
void forbid_shortcuts() {
    at::globalContext().setAllowTF32CuBLAS(false);
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setBenchmarkCuDNN(false);
}

struct Refusal {
    std::string kind;
    std::string message;
};

std::optional<Refusal> version_refusal() {
    const std::string built = fmt::format("{}.{}", TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR);
    const std::string loaded = loaded_torch_version();
    if (minor_of(loaded) == built) return std::nullopt;
    return Refusal{"version", fmt::format("this worker was built against torch {} and torch {} is "
                                          "loaded; build it again with TORCH_DIR set to that torch",
                                          built, loaded.empty() ? "of unknown version" : loaded)};
}

// Folder of the library this code is in, with a slash at its end; "" when the loader cannot say.
std::string own_folder() {
    Dl_info info{};
    if (::dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0) return "";
    const std::string path = info.dli_fname == nullptr ? "" : info.dli_fname;
    return path.substr(0, path.rfind('/') + 1);
}

// A name without a folder is looked for beside the worker first, then where the loader looks.
void* open_library(const std::string& path) {
    if (path.find('/') == std::string::npos) {
        const std::string beside = own_folder() + path;
        if (::access(beside.c_str(), F_OK) == 0) {
            return ::dlopen(beside.c_str(), RTLD_NOW | RTLD_GLOBAL);
        }
    }
    return ::dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
}

std::optional<Refusal> load_libraries(const std::vector<std::string>& libraries) {
    for (const std::string& path : libraries) {
        void* library = open_library(path);
        if (library == nullptr) {
            const char* reason = ::dlerror();
            return Refusal{"library", reason == nullptr ? path : std::string(reason)};
        }
        // Our own plug-ins say here that they loaded but must not be used, and why.
        using Failure = const char* (*)();
        const auto failure =
            reinterpret_cast<Failure>(::dlsym(library, "ascertain_plugin_failure"));
        if (failure == nullptr) continue;
        if (const char* message = failure(); message != nullptr) return Refusal{"library", message};
    }
    return std::nullopt;
}

// The device of that name, after one tensor has been made on it.
Result<c10::Device> open_device(const std::string& name) {
    return guarded(name, [&] {
        c10::Device device(name);
        if (!device.is_cpu() && !device.has_index()) device.set_index(0);
        at::empty({1}, at::TensorOptions().device(device)).fill_(1.0).to(at::kCPU);
        return device;
    });
}

int refuse(Channel& channel, const Refusal& refusal) {
    return worker::refuse(channel, refusal.kind, refusal.message);
}

}  // namespace

std::string loaded_torch_version() {
    // Only the library itself knows: the version is among the settings it was built with.
    const std::string config = at::show_config();
    constexpr std::string_view kKey = "TORCH_VERSION=";
    const std::size_t begin = config.find(kKey);
    if (begin == std::string::npos) return "";
    const std::size_t end = config.find_first_of(", \n", begin);
    return config.substr(begin + kKey.size(), end - begin - kKey.size());
}

std::string minor_of(std::string_view version) {
    const std::size_t first = version.find('.');
    if (first == std::string_view::npos) return std::string(version);
    return std::string(version.substr(0, version.find_first_not_of("0123456789", first + 1)));
}

int serve(const ServeOptions& options) {
    Channel channel(options.descriptor);
    if (const std::optional<Refusal> refusal = version_refusal()) return refuse(channel, *refusal);
    if (const std::optional<Refusal> refusal = load_libraries(options.libraries)) {
        return refuse(channel, *refusal);
    }
    const Result<c10::Device> device = open_device(options.device);
    if (!device) return refuse(channel, {"device", device.error().text()});
    if (options.device.starts_with("simulated")) {
        const Result<void> armed = training::planted::arm(*device);
        if (!armed) return refuse(channel, {"library", armed.error().text()});
        const Result<void> fabric = collectives::planted::arm(*device);
        if (!fabric) return refuse(channel, {"library", fabric.error().text()});
    }
    forbid_shortcuts();

    Session session;
    session.device = *device;
    const Json hello = {
        {"protocol", protocol::kVersion},
        {"torch", loaded_torch_version()},
        {"torch_built", fmt::format("{}.{}", TORCH_VERSION_MAJOR, TORCH_VERSION_MINOR)},
        {"host", options.host},
        {"device", device->str()},
        {"pid", static_cast<std::int64_t>(::getpid())}};
    if (!channel.send({{"hello", hello}})) return kExitStopped;
    return answer_requests(
        channel, [&](ReportProgress report) { session.progress = std::move(report); },
        [&](const std::string& request, const Json& params) {
            return handle(request, params, session);
        });
}

}  // namespace ascertain::worker
