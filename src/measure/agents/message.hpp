// What coordinator and agent say to each other (docs/protocol.md#agents), as values. One message is
// one JSON object in one frame; whatever does not fit is an error that says why.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/protocol.hpp"
#include "base/result.hpp"
#include "measure/device/workers.hpp"

namespace ascertain::agents {

// An agent and a coordinator whose versions differ refuse each other.
inline constexpr int kAgentProtocol = 1;
// A frame carries one message of a worker, and a little more.
inline constexpr std::size_t kFrameBytesMax = protocol::kLineBytesMax + (64u << 10);

// ---- agent to coordinator ----

// The first message of every connection.
struct AgentHello {
    int protocol = kAgentProtocol;
    std::string version{};   // of the program
    std::string node{};      // how the campaign calls this node
    std::string host{};      // how the node calls itself
    std::string instance{};  // another one for every process, so that a return is no second agent
    std::vector<std::string> devices{};  // "cuda:0"
};

struct Beat {
    std::int64_t number = 0;
};

struct AgentProgress {
    std::int64_t id = 0;
    device::Progress progress{};
};

struct AgentReply {
    std::int64_t id = 0;
    device::Reply reply{};
};

struct Leaving {
    std::string reason{};
};

using FromAgent = std::variant<AgentHello, Beat, AgentProgress, AgentReply, Leaving>;

// ---- coordinator to agent ----

struct Welcome {};

struct NotWelcome {
    std::string kind{};  // version | name | breach
    std::string message{};
};

// A device may be driven by several workers at once, as several ranks share one: so many at most.
inline constexpr int kWorkersPerDeviceMax = 16;

// Hands a worker of `device` a request.
struct AgentAsk {
    std::int64_t id = 0;
    std::string device{};
    int worker = 0;  // of that device, below kWorkersPerDeviceMax
    device::Order order{};
};

// Ends every worker now; what was asked is forgotten.
struct KillAll {};

// The campaign is over.
struct Stop {};

using FromCoordinator = std::variant<Welcome, NotWelcome, AgentAsk, KillAll, Stop, Beat>;

[[nodiscard]] std::string frame(const FromAgent& message);
[[nodiscard]] std::string frame(const FromCoordinator& message);

// Errors: kBadInput with what is wrong.
[[nodiscard]] Result<FromAgent> parse_from_agent(std::string_view text);
[[nodiscard]] Result<FromCoordinator> parse_from_coordinator(std::string_view text);

// Whether a node may be called that: 1 to 64 letters, digits, '.', '_' and '-'.
[[nodiscard]] bool good_node_name(std::string_view name);

}  // namespace ascertain::agents
