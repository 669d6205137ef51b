// One worker process, driven by readiness and time: it never waits. Pool owns the waiting.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/protocol.hpp"
#include "base/result.hpp"
#include "base/units.hpp"
#include "measure/device/launch.hpp"
#include "measure/device/lines.hpp"
#include "measure/device/message.hpp"
#include "measure/device/workers.hpp"

namespace ascertain::device {

// How long a worker may take, and how much it may say.
struct WorkerLimits {
    Seconds start{120.0};   // from the start of the process to hello: torch takes its time
    Seconds silence{10.0};  // without a message while a request is in progress
    Seconds grace{2.0};     // from SIGTERM to SIGKILL, and from a closed socket to SIGKILL
    Seconds reap{5.0};      // from SIGKILL until the process is given up as unkillable
    std::size_t line_bytes_max = protocol::kLineBytesMax;
    std::size_t chatter_bytes_max = 64u << 20;  // of progress and heartbeats in one request
    std::size_t stderr_bytes_max = 64u << 20;   // since the start of the process
};

class Worker {
public:
    enum class State {
        kStarting,  // waits for hello
        kIdle,
        kBusy,    // a request is in progress
        kEnding,  // told to die, not yet reaped
        kEnded,
    };

    // Starts the process. Errors: those of launch().
    [[nodiscard]] static Result<std::unique_ptr<Worker>> start(const LaunchSpec& spec,
                                                               const WorkerLimits& limits,
                                                               Seconds now);
    Worker(const Worker&) = delete;
    Worker& operator=(const Worker&) = delete;
    // Kills the process with everything it started, and reaps it.
    ~Worker();

    [[nodiscard]] State state() const { return state_; }
    // The socket, or -1 when it is closed; wait for reading, and for writing when wants_write().
    [[nodiscard]] int descriptor() const { return descriptor_; }
    [[nodiscard]] bool wants_write() const { return sent_bytes_ < unsent_.size(); }

    // Sends a request; only in kIdle.
    void ask(const Order& order, Seconds now);
    void on_readable(Seconds now);
    void on_writable(Seconds now);
    // Deadlines, silence, reaping. Call at least ten times a second.
    void on_time(Seconds now);
    // Progress and replies since the last call. A reply to a request that ended with the worker
    // comes once the process is gone.
    [[nodiscard]] std::vector<std::variant<Progress, Reply>> take();

    // Why the process ended, for people; empty while it lives.
    [[nodiscard]] const std::string& end_message() const { return end_message_; }
    // Why it never said hello, as in Reply::error_kind of kNotStarted; empty once it did.
    [[nodiscard]] const std::string& start_failure() const { return start_failure_; }
    // True when the end was told in a Reply.
    [[nodiscard]] bool end_explained() const { return end_explained_; }
    // The end of what it printed, at most 64 KiB.
    [[nodiscard]] std::string stderr_text() const;
    // Closes the socket, which asks a well-behaved worker to exit.
    void hang_up(Seconds now);
    // SIGKILL to it and all it started.
    void kill(Seconds now);
    // The pid of a process that outlived SIGKILL (stuck in its driver), else -1.
    [[nodiscard]] pid_t unkillable() const { return unkillable_; }

private:
    Worker(const LaunchSpec& spec, const WorkerLimits& limits, Process process,
           std::size_t stderr_start, Seconds now);

    void handle(const std::string& line, Seconds now);
    void handle(Hello&& hello, Seconds now);
    void handle(Refused&& refused, Seconds now);
    void handle(Heartbeat&& heartbeat, Seconds now);
    void handle(ProgressMessage&& progress, Seconds now);
    void handle(ResultMessage&& message, Seconds now);
    void handle(ErrorMessage&& message, Seconds now);
    void answer(std::int64_t id, Reply reply, Seconds now);
    void breach(std::string_view what, Seconds now);
    void end(Ending ending, std::string message, bool gently, Seconds now);
    void signal_group(int number) const;
    void close_socket();
    void forget_unsent();
    void check_deadlines(Seconds now);
    [[nodiscard]] bool dead() const;
    void reap();
    void finish(Seconds now);

    LaunchSpec spec_;
    WorkerLimits limits_;
    State state_ = State::kStarting;
    pid_t pid_ = -1;
    pid_t unkillable_ = -1;
    int descriptor_ = -1;
    Lines lines_;
    std::string unsent_;
    std::size_t sent_bytes_ = 0;  // of unsent_, already with the kernel
    std::size_t stderr_start_ = 0;
    std::size_t chatter_bytes_ = 0;

    std::int64_t id_ = 0;      // of the request in progress, else of the last one
    bool answer_due_ = false;  // a request is owed its Reply
    Seconds asked_{};          // when the request was sent, or the process started
    Seconds deadline_{};       // absolute
    Seconds heard_{};          // when the last message came
    Seconds kill_at_{};        // kEnding: when SIGKILL follows; then when the process is given up
    bool killed_ = false;
    bool end_explained_ = false;

    Ending ending_ = Ending::kCrashed;
    std::string end_message_;
    std::string start_failure_ = "start";
    std::vector<std::variant<Progress, Reply>> events_;
};

}  // namespace ascertain::device
