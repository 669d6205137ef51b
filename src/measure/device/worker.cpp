#include "measure/device/worker.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

namespace ascertain::device {
namespace {

constexpr std::size_t kStderrKept_bytes = 64u << 10;
constexpr std::size_t kReadChunk_bytes = 64u << 10;
// One worker may not keep the others waiting: at most this much is read from it at a time.
constexpr std::size_t kReadTurn_bytes = 8u << 20;

std::size_t file_size(const std::string& path) {
    struct stat status = {};
    if (path.empty() || stat(path.c_str(), &status) != 0) return 0;
    return static_cast<std::size_t>(std::max<off_t>(status.st_size, 0));
}

std::string how_it_ended(const siginfo_t& info) {
    if (info.si_code == CLD_EXITED) return fmt::format("exited with code {}", info.si_status);
    const char* name = sigabbrev_np(info.si_status);
    return fmt::format("was killed by signal {} (SIG{})", info.si_status, name ? name : "?");
}

}  // namespace

Result<std::unique_ptr<Worker>> Worker::start(const LaunchSpec& spec, const WorkerLimits& limits,
                                              Seconds now) {
    // What an earlier worker printed to the same file is not this one's.
    const std::size_t stderr_start = file_size(spec.stderr_path);
    auto process = launch(spec);
    if (!process) return process.error();
    return std::unique_ptr<Worker>(new Worker(spec, limits, *process, stderr_start, now));
}

Worker::Worker(const LaunchSpec& spec, const WorkerLimits& limits, Process process,
               std::size_t stderr_start, Seconds now)
    : spec_(spec),
      limits_(limits),
      pid_(process.pid),
      descriptor_(process.descriptor),
      lines_(limits.line_bytes_max),
      stderr_start_(stderr_start),
      asked_(now),
      deadline_(now + limits.start),
      heard_(now) {}

Worker::~Worker() {
    close_socket();
    if (pid_ < 0) return;
    signal_group(SIGKILL);
    // A killed process is reaped within milliseconds unless its driver holds it; then it is left.
    for (int millisecond = 0; millisecond < 1000 && waitpid(pid_, nullptr, WNOHANG) == 0;
         ++millisecond) {
        ::poll(nullptr, 0, 1);
    }
}

void Worker::ask(const Order& order, Seconds now) {
    ASCERTAIN_ASSERT(state_ == State::kIdle);
    state_ = State::kBusy;
    answer_due_ = true;
    ++id_;
    asked_ = now;
    heard_ = now;
    deadline_ = now + order.deadline;
    chatter_bytes_ = 0;
    unsent_ += request_line(id_, order.request, order.params, order.deadline);
    on_writable(now);
}

void Worker::on_writable(Seconds now) {
    while (wants_write() && descriptor_ >= 0) {
        const ssize_t sent = send(descriptor_, unsent_.data() + sent_bytes_,
                                  unsent_.size() - sent_bytes_, MSG_NOSIGNAL);
        if (sent > 0) {
            sent_bytes_ += static_cast<std::size_t>(sent);
        } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
            return;
        } else if (errno != EINTR) {
            // The other end is closed; reading tells what happened.
            forget_unsent();
            on_readable(now);
            return;
        }
    }
    if (!wants_write()) forget_unsent();
}

void Worker::forget_unsent() {
    unsent_.clear();
    sent_bytes_ = 0;
}

void Worker::on_readable(Seconds now) {
    std::array<char, kReadChunk_bytes> chunk{};
    std::size_t taken = 0;
    while (descriptor_ >= 0 && taken < kReadTurn_bytes) {
        const ssize_t got = recv(descriptor_, chunk.data(), chunk.size(), 0);
        if (got > 0) {
            taken += static_cast<std::size_t>(got);
            lines_.append({chunk.data(), static_cast<std::size_t>(got)});
            while (descriptor_ >= 0) {
                const auto line = lines_.next();
                if (!line) break;
                handle(*line, now);
            }
            if (lines_.overflowed() && descriptor_ >= 0) {
                breach(fmt::format("a line longer than {} bytes", limits_.line_bytes_max), now);
            }
        } else if (got < 0 && errno == EINTR) {
            continue;
        } else if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
            return;
        } else {
            hang_up(now);
            return;
        }
    }
}

void Worker::handle(const std::string& line, Seconds now) {
    auto message = parse_message(line);
    if (!message) {
        breach(message.error().message, now);
        return;
    }
    heard_ = now;
    std::visit([this, now](auto&& one) { handle(std::move(one), now); }, std::move(*message));
    if (state_ == State::kBusy) {
        chatter_bytes_ += line.size();
        if (chatter_bytes_ > limits_.chatter_bytes_max) {
            breach(fmt::format("more than {} bytes of progress", limits_.chatter_bytes_max), now);
        }
    }
}

void Worker::handle(Hello&& hello, Seconds now) {
    if (state_ != State::kStarting) return breach("a second hello", now);
    if (hello.protocol != protocol::kVersion) {
        start_failure_ = "version";
        return end(Ending::kCrashed,
                   fmt::format("the worker speaks protocol {}, this program {}; build both from "
                               "one source",
                               hello.protocol, protocol::kVersion),
                   false, now);
    }
    if (hello.device != spec_.device) {
        return breach(
            fmt::format("hello for \"{}\" where \"{}\" was asked for", hello.device, spec_.device),
            now);
    }
    state_ = State::kIdle;
    start_failure_.clear();
}

void Worker::handle(Refused&& refused, Seconds now) {
    if (state_ != State::kStarting) return breach("refused after hello", now);
    start_failure_ = refused.kind;
    end(Ending::kCrashed, fmt::format("the worker refused ({}): {}", refused.kind, refused.message),
        true, now);
}

void Worker::handle(Heartbeat&& /*heartbeat*/, Seconds now) {
    if (state_ == State::kStarting) breach("a heartbeat before hello", now);
}

void Worker::handle(ProgressMessage&& progress, Seconds now) {
    if (state_ != State::kBusy || progress.id != id_) {
        return breach(fmt::format("progress for request {}, which is not in progress", progress.id),
                      now);
    }
    events_.emplace_back(Progress{.share = std::clamp(progress.share, 0.0, 1.0),
                                  .text = std::move(progress.text),
                                  .data = std::move(progress.data)});
}

void Worker::handle(ResultMessage&& message, Seconds now) {
    answer(message.id, Reply{.ending = Ending::kResult, .result = std::move(message.result)}, now);
}

void Worker::handle(ErrorMessage&& message, Seconds now) {
    answer(message.id,
           Reply{.ending = Ending::kError,
                 .error_kind = std::move(message.kind),
                 .message = std::move(message.message)},
           now);
}

void Worker::answer(std::int64_t id, Reply reply, Seconds now) {
    if (state_ == State::kBusy && id == id_) {
        state_ = State::kIdle;
        answer_due_ = false;
        reply.duration = now - asked_;
        events_.emplace_back(std::move(reply));
        return;
    }
    if (state_ == State::kIdle && id == id_ && id > 0) {
        return breach(fmt::format("a second answer to request {}", id), now);
    }
    breach(fmt::format("an answer to request {}, which is not in progress", id), now);
}

void Worker::breach(std::string_view what, Seconds now) {
    // An answer that nobody has taken yet came from a worker that cannot be trusted: take it back.
    const bool untaken = !events_.empty() && std::holds_alternative<Reply>(events_.back());
    if (untaken) {
        events_.pop_back();
        answer_due_ = true;
    }
    end(Ending::kCrashed, fmt::format("the worker broke the protocol: {}", what), false, now);
}

// Begins the end of the process: SIGTERM and later SIGKILL when `gently`, else SIGKILL at once.
void Worker::end(Ending ending, std::string message, bool gently, Seconds now) {
    if (state_ == State::kEnding || state_ == State::kEnded) return;
    state_ = State::kEnding;
    ending_ = ending;
    end_message_ = std::move(message);
    forget_unsent();
    close_socket();
    signal_group(gently ? SIGTERM : SIGKILL);
    killed_ = !gently;
    kill_at_ = now + (gently ? limits_.grace : limits_.reap);
    on_time(now);
}

void Worker::hang_up(Seconds now) {
    if (state_ == State::kEnding || state_ == State::kEnded) return;
    state_ = State::kEnding;
    ending_ = Ending::kCrashed;
    forget_unsent();
    close_socket();
    kill_at_ = now + limits_.grace;
    on_time(now);
}

void Worker::kill(Seconds now) {
    end(Ending::kCrashed, "the worker was stopped", false, now);
    if (state_ == State::kEnding && !killed_) {
        signal_group(SIGKILL);
        killed_ = true;
    }
}

void Worker::on_time(Seconds now) {
    if (state_ == State::kEnded) return;
    if (state_ != State::kEnding) check_deadlines(now);
    if (dead()) {
        // Its last words may still be in the socket, and they came before its death.
        if (state_ != State::kEnding) on_readable(now);
        if (state_ == State::kEnded) return;
        reap();
        return finish(now);
    }
    if (state_ != State::kEnding || now <= kill_at_) return;
    if (!killed_) {
        signal_group(SIGKILL);
        killed_ = true;
        kill_at_ = now + limits_.reap;
        if (end_message_.empty())
            end_message_ = "the worker closed its socket and had to be killed";
    } else {
        unkillable_ = std::exchange(pid_, -1);
        end_message_ += "; the process does not die, its driver holds it";
        finish(now);
    }
}

void Worker::check_deadlines(Seconds now) {
    if (file_size(spec_.stderr_path) > stderr_start_ + limits_.stderr_bytes_max) {
        breach(fmt::format("more than {} bytes printed", limits_.stderr_bytes_max), now);
    } else if (state_ == State::kStarting && now > deadline_) {
        end(Ending::kTimedOut,
            fmt::format("the worker did not say hello within {}", format_duration(limits_.start)),
            true, now);
    } else if (state_ == State::kBusy && now > deadline_) {
        end(Ending::kTimedOut,
            fmt::format("no answer within {}", format_duration(deadline_ - asked_)), true, now);
    } else if (state_ == State::kBusy && now - heard_ > limits_.silence) {
        end(Ending::kTimedOut,
            fmt::format("no sign of life for {}", format_duration(limits_.silence)), true, now);
    }
}

bool Worker::dead() const {
    siginfo_t info = {};
    const bool looked =
        waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0;
    return looked && info.si_pid == pid_;
}

// Takes leave of a dead process, and of what it left running in its group: while its leader is not
// reaped, the group's number cannot belong to anybody else.
void Worker::reap() {
    siginfo_t info = {};
    signal_group(SIGKILL);
    waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
    pid_ = -1;
    if (!end_message_.empty()) return;
    const char* when = answer_due_               ? "before it answered"
                       : !start_failure_.empty() ? "before it said hello"
                                                 : "while it had nothing to do";
    end_message_ = fmt::format("the worker {} {}", how_it_ended(info), when);
}

void Worker::finish(Seconds now) {
    state_ = State::kEnded;
    close_socket();
    if (!std::exchange(answer_due_, false)) return;
    end_explained_ = true;
    events_.emplace_back(Reply{.ending = ending_,
                               .result = {},
                               .error_kind = {},
                               .message = end_message_,
                               .duration = now - asked_,
                               .stderr_text = stderr_text()});
}

std::vector<std::variant<Progress, Reply>> Worker::take() {
    return std::exchange(events_, {});
}

void Worker::signal_group(int number) const {
    if (pid_ < 0) return;
    // Before the child has made its own group only the process itself can be reached.
    if (::kill(-pid_, number) != 0) ::kill(pid_, number);
}

void Worker::close_socket() {
    if (descriptor_ >= 0) close(descriptor_);
    descriptor_ = -1;
}

std::string Worker::stderr_text() const {
    const std::size_t size = file_size(spec_.stderr_path);
    if (size <= stderr_start_) return {};
    const std::size_t length = std::min(size - stderr_start_, kStderrKept_bytes);
    const int file = open(spec_.stderr_path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    std::string text(length, '\0');
    const ssize_t got = pread(file, text.data(), length, static_cast<off_t>(size - length));
    close(file);
    text.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
    return text;
}

}  // namespace ascertain::device
