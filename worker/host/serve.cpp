#include "worker/host/serve.hpp"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <ATen/ops/empty.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <thread>

#include "base/protocol.hpp"
#include "worker/host/channel.hpp"
#include "worker/host/failure.hpp"
#include "worker/host/requests.hpp"
#include "worker/host/torch.hpp"
#include "worker/training/planted/rules.hpp"

namespace ascertain::worker {
namespace {

constexpr std::int64_t kNoRequest = -1;

// Says every second that the process lives, whatever the request in progress does, and ends the
// process when nobody listens any more: a hung kernel must not outlive the core.
class Heartbeat {
public:
    explicit Heartbeat(Channel& channel) : channel_(channel), thread_([this] { beat(); }) {}
    Heartbeat(const Heartbeat&) = delete;
    Heartbeat& operator=(const Heartbeat&) = delete;
    ~Heartbeat() {
        {
            const std::lock_guard lock(mutex_);
            stopping_ = true;
        }
        wake_.notify_one();
        thread_.join();
    }

    void set_request(std::int64_t id) { request_ = id; }

private:
    void beat() {
        const std::chrono::duration<double> interval(protocol::kHeartbeatInterval_s);
        std::unique_lock lock(mutex_);
        for (std::int64_t count = 1;; ++count) {
            if (wake_.wait_for(lock, interval, [this] { return stopping_; })) return;
            const std::int64_t id = request_;
            if (!channel_.send(
                    {{"heartbeat", count}, {"id", id == kNoRequest ? Json() : Json(id)}})) {
                std::_Exit(kExitStopped);
            }
        }
    }

    Channel& channel_;
    std::atomic<std::int64_t> request_ = kNoRequest;
    std::mutex mutex_;
    std::condition_variable wake_;
    bool stopping_ = false;
    std::thread thread_;
};

struct Incoming {
    std::int64_t id = kNoRequest;
    std::string request;
    Json params;
};

// A message without a usable id cannot be answered at all.
Result<Incoming> read_request(const Json& message, std::int64_t last_id) {
    Incoming incoming;
    const Result<long long> id = integer_at(message, "id", "request");
    if (!id) return id.error();
    if (*id <= last_id) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("request id {} does not rise above {}", *id, last_id), "request"};
    }
    incoming.id = *id;
    const Result<std::string> request = text_at(message, "request", "request");
    if (!request) return request.error();
    incoming.request = *request;
    incoming.params = message.value("params", Json::object());
    if (!incoming.params.is_object()) {
        return Error{ErrorCode::kBadInput, "params must be an object", "request"};
    }
    return incoming;
}

Json answer(std::int64_t id, const Result<Json>& outcome) {
    if (!outcome) return {{"id", id}, {"error", failure_document(outcome.error())}};
    Json message = {{"id", id}, {"result", *outcome}};
    if (Channel::fits(message)) return message;
    const Error too_long{ErrorCode::kInternal,
                         fmt::format("the answer is longer than {} bytes", protocol::kLineBytesMax),
                         ""};
    return {{"id", id}, {"error", failure_document(too_long)}};
}

Result<Json> handle(const Incoming& incoming, Session& session) {
    const Result<const Request*> request = find_request(incoming.request);
    if (!request) return request.error();
    try {
        return (*request)->handle(session, incoming.params);
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
    static_cast<void>(
        channel.send({{"refused", {{"kind", refusal.kind}, {"message", refusal.message}}}}));
    return kExitRefused;
}

int answer_requests(Channel& channel, Session& session) {
    Heartbeat heartbeat(channel);
    std::int64_t id = kNoRequest;
    session.progress = [&](double share, std::string_view text, const Json& data) {
        Json progress = {{"share", share}, {"text", text}};
        if (!data.is_null()) progress["data"] = data;
        static_cast<void>(channel.send({{"id", id}, {"progress", progress}}));
    };
    for (;;) {
        const Result<std::optional<Json>> message = channel.receive();
        if (message && !*message) return kExitStopped;
        const Result<Incoming> incoming =
            message ? read_request(**message, id) : Result<Incoming>(message.error());
        if (!incoming) {
            std::fprintf(stderr, "%s\n", incoming.error().text().c_str());
            return kExitBreach;
        }
        id = incoming->id;
        if (incoming->request == "stop") {
            static_cast<void>(channel.send(answer(id, Json::object())));
            return kExitStopped;
        }
        heartbeat.set_request(id);
        const Result<Json> outcome = handle(*incoming, session);
        heartbeat.set_request(kNoRequest);
        if (!channel.send(answer(id, outcome))) return kExitStopped;
    }
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
    return answer_requests(channel, session);
}

}  // namespace ascertain::worker
