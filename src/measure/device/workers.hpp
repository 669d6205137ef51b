// Workers as the qualification sees them: members of a crew that answer one request at a time,
// wherever they run. Pool is the local crew, agents::Coordinator the one on other nodes; tests have
// a canned one.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/units.hpp"

namespace ascertain::device {

struct Order {
    std::string request;  // docs/protocol.md#requests
    Json params;
    Seconds deadline;  // counted from the moment the worker gets it
};

// How a request ended.
enum class Ending {
    kResult,
    kError,       // the worker answered with an error
    kTimedOut,    // no answer by the deadline, or no sign of life; the worker is gone
    kCrashed,     // the worker died or broke the protocol; it is gone
    kNotStarted,  // there was no worker, and none could be started
};

struct Reply {
    Ending ending = Ending::kCrashed;
    // Of kResult.
    Json result{};
    // Of kError: see docs/protocol.md. Of kNotStarted: version | device | library | start.
    std::string error_kind{};
    // For people; empty for kResult.
    std::string message{};
    Seconds duration{};
    // The end of what a worker that is gone had printed.
    std::string stderr_text{};
};

struct Progress {
    double share = 0.0;  // 0 to 1
    std::string text;
    Json data;  // null when there is none
};

struct Event {
    std::size_t member = 0;
    std::variant<Progress, Reply> what;
};

class Workers {
public:
    Workers() = default;
    Workers(const Workers&) = delete;
    Workers& operator=(const Workers&) = delete;
    virtual ~Workers() = default;

    [[nodiscard]] virtual std::size_t size() const = 0;
    // True when `member` has no request in progress, so that ask() is allowed.
    [[nodiscard]] virtual bool idle(std::size_t member) const = 0;
    // Hands `member` a request, starting its worker when there is none. Exactly one Reply follows
    // from poll(), whatever happens.
    virtual void ask(std::size_t member, Order order) = 0;
    // What happened since the last call, in order; waits at most `wait` for the first event, and
    // less when a signal arrives.
    [[nodiscard]] virtual std::vector<Event> poll(Seconds wait) = 0;
    // Ends every worker now; requests in progress get no Reply. Returns within two seconds.
    virtual void kill_all() = 0;
};

// ask() and poll() until the member's Reply is there; other members must be idle. `stopped` is
// asked ten times a second; when it says true all workers are killed and the error is kInterrupted.
[[nodiscard]] Result<Reply> call(Workers& workers, std::size_t member, Order order,
                                 const std::function<bool()>& stopped);

}  // namespace ascertain::device
