// One node's end: keeps the workers of the devices here and does what the coordinator asks of them.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "measure/agents/message.hpp"
#include "measure/agents/socket.hpp"
#include "measure/device/clock.hpp"
#include "measure/device/pool.hpp"

namespace ascertain::agents {

struct AgentQuestion {
    std::string endpoint;  // empty: as the key says
    std::string key_path;
    AgentHello hello;                         // what to say of ourselves
    std::vector<device::LaunchSpec> workers;  // one per device of the hello, in its order
    Seconds wait{60.0};  // to be taken in, at first and again after a connection was lost
};

// How a campaign ended for this agent.
struct AgentEnd {
    enum class Kind {
        kStopped,      // the coordinator said that it is over
        kRefused,      // it will not have us
        kNotTakenIn,   // nobody answered in time
        kInterrupted,  // somebody here asked us to leave
    };
    Kind kind = Kind::kStopped;
    std::string message;  // for people
};

// Joins, serves until it is over, and leaves no worker behind. The key file may appear, or be
// replaced, while we wait: it is read again before every try. `stopped` is asked ten times a
// second; `said` gets a line for people now and then. Errors: kUsage for a malformed endpoint.
[[nodiscard]] Result<AgentEnd> serve(const AgentQuestion& question, const device::Clock& clock,
                                     const std::function<bool()>& stopped,
                                     const std::function<void(const std::string&)>& said);

}  // namespace ascertain::agents
