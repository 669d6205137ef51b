#include "worker/host/loop.hpp"

#include <fmt/format.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <thread>

#include "base/protocol.hpp"
#include "worker/host/failure.hpp"

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

}  // namespace

int answer_requests(Channel& channel, const std::function<void(ReportProgress)>& made,
                    const Answerer& answer_one) {
    Heartbeat heartbeat(channel);
    std::int64_t id = kNoRequest;
    made([&](double share, std::string_view text, const Json& data) {
        Json progress = {{"share", share}, {"text", text}};
        if (!data.is_null()) progress["data"] = data;
        static_cast<void>(channel.send({{"id", id}, {"progress", progress}}));
    });
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
        const Result<Json> outcome = answer_one(incoming->request, incoming->params);
        heartbeat.set_request(kNoRequest);
        if (!channel.send(answer(id, outcome))) return kExitStopped;
    }
}

int refuse(Channel& channel, std::string_view kind, const std::string& message) {
    static_cast<void>(channel.send({{"refused", {{"kind", kind}, {"message", message}}}}));
    return kExitRefused;
}

}  // namespace ascertain::worker
