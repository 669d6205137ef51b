// The agents of a campaign on other nodes, as the command line asks for them.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "app/terminal.hpp"
#include "base/result.hpp"
#include "base/units.hpp"
#include "measure/agents/coordinator.hpp"
#include "measure/device/clock.hpp"

namespace CLI {
class App;
}

namespace ascertain::app {

struct AgentOptions {
    int agents = 0;                  // how many; 0 and no `nodes`: this machine alone
    std::vector<std::string> nodes;  // their names, where they are known
    std::string listen = "tcp://*:5757";
    std::string key = "agents.key";  // written for the agents
    std::string wait = "60 s";

    [[nodiscard]] bool asked_for() const { return agents > 0 || !nodes.empty(); }
};

// Declares --agents, --nodes, --listen, --key and --wait.
void add_agent_flags(CLI::App& flags, AgentOptions& options);

// Makes the campaign's key, listens, and waits for the agents. Who did not come is said, and stays
// a node of the campaign whose devices are absent. Errors: kDeviceUnavailable when nobody came at
// all; kUsage, kEnvironment as Gate::open.
[[nodiscard]] Result<std::unique_ptr<agents::Coordinator>> gather_agents(
    Terminal& terminal, const device::Clock& clock, const AgentOptions& options);

// The devices of the campaign: "node1/cuda:0" as it is, "auto" as every device that the agents
// keep, other names as devices of this machine. Errors: kUsage for a name that is none.
[[nodiscard]] Result<std::vector<std::string>> devices_of_nodes(
    const std::vector<std::string>& asked, const agents::Coordinator& coordinator);

}  // namespace ascertain::app
