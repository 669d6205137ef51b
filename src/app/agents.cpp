#include "app/agents.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <set>

#include "app/device_hosts.hpp"
#include "app/interrupt.hpp"
#include "app/version.hpp"
#include "measure/device/name.hpp"

namespace ascertain::app {
namespace {

constexpr int kAgentsMax = 16384;

// Where others find us: the host's name in place of "every address".
std::string joinable(const std::string& endpoint) {
    constexpr std::string_view kEvery = "tcp://0.0.0.0:";
    constexpr std::string_view kEvery6 = "tcp://[::]:";
    for (const auto every : {kEvery, kEvery6}) {
        if (!endpoint.starts_with(every)) continue;
        struct utsname system {};
        const std::string host = ::uname(&system) == 0 ? system.nodename : "localhost";
        return fmt::format("tcp://{}:{}", host, endpoint.substr(every.size()));
    }
    return endpoint;
}

void say_who_is_missing(Terminal& terminal, const agents::Coordinator& coordinator) {
    for (const auto& node : coordinator.nodes()) {
        if (node.state == agents::Node::State::kJoined) continue;
        terminal.say(fmt::format("node {}: {}", node.name, node.reason));
    }
    std::set<std::string> said;
    for (const auto& one : coordinator.turned_away()) {
        if (said.insert(one).second) terminal.say("turned away " + one);
    }
}

}  // namespace

void add_agent_flags(CLI::App& flags, AgentOptions& options) {
    flags
        .add_option("--agents", options.agents,
                    "Measure on so many nodes, each running `ascertain agent` (docs/nodes.md)")
        ->check(CLI::Range(1, kAgentsMax));
    flags
        .add_option("--nodes", options.nodes,
                    "Names of the nodes, comma-separated, in place of their number: then whoever "
                    "is missing is named")
        ->delimiter(',');
    flags.add_option("--listen", options.listen, "Where agents join; default: tcp://*:5757");
    flags.add_option("--key", options.key,
                     "File for the campaign's fresh key, which agents need; default: agents.key");
    flags.add_option("--wait", options.wait, "How long agents may take to join; default: 60 s");
}

Result<std::unique_ptr<agents::Coordinator>> gather_agents(Terminal& terminal,
                                                           const device::Clock& clock,
                                                           const AgentOptions& options) {
    const auto wait = parse_duration(options.wait);
    if (!wait) return wait.error();
    std::vector<std::string> names = options.nodes;
    std::ranges::sort(names);
    const auto twice = std::ranges::adjacent_find(names);
    if (twice != names.end()) {
        return Error{ErrorCode::kUsage, "is named twice", "--nodes " + *twice};
    }
    auto key = agents::make_campaign_key();
    if (!key) return key.error();
    // Listening comes first: whoever finds the key finds an open door.
    auto gate = agents::Gate::open(options.listen, *key);
    if (!gate) return gate.error();
    key->agent.join = joinable((*gate)->endpoint());
    const auto written = agents::write_agent_key(key->agent, options.key);
    if (!written) return written.error();
    const std::size_t wanted =
        names.empty() ? static_cast<std::size_t>(options.agents) : names.size();
    terminal.say(fmt::format("listening; on every node: ascertain agent --join {} --key {}",
                             key->agent.join, options.key));
    auto coordinator = std::make_unique<agents::Coordinator>(
        clock, *std::move(gate), std::string(version()), agents::CoordinatorLimits{});
    const auto gathered = coordinator->gather(wanted, names, *wait, [&](std::size_t joined) {
        terminal.status(fmt::format("{} of {} agents have joined …", joined, wanted));
        return interrupted().load();
    });
    terminal.status("");
    if (!gathered) return gathered.error();
    say_who_is_missing(terminal, *coordinator);
    const auto nodes = coordinator->nodes();
    const bool any = std::ranges::any_of(
        nodes, [](const auto& node) { return node.state == agents::Node::State::kJoined; });
    if (!any) {
        return Error{ErrorCode::kDeviceUnavailable,
                     fmt::format("none of {} agents joined within {}", wanted, options.wait), ""};
    }
    return coordinator;
}

Result<std::vector<std::string>> devices_of_nodes(const std::vector<std::string>& asked,
                                                  const agents::Coordinator& coordinator) {
    std::vector<std::string> devices;
    std::vector<std::string> local;
    for (const std::string& word : asked) {
        if (word != "auto") {
            (device::is_elsewhere(word) ? devices : local).push_back(word);
            continue;
        }
        for (const auto& node : coordinator.nodes()) {
            for (const auto& device : node.devices)
                devices.push_back(fmt::format("{}/{}", node.name, device));
        }
    }
    const auto here = chosen_devices(local);
    if (!here) return here.error();
    std::vector<std::string> chosen;
    for (const std::string& word : devices) {
        const auto name = device::parse_name(word);
        if (!name) return name.error();
        const std::string text = device::to_text(*name);
        if (std::ranges::find(chosen, text) == chosen.end()) chosen.push_back(text);
    }
    chosen.insert(chosen.end(), here->begin(), here->end());
    return chosen;
}

}  // namespace ascertain::app
