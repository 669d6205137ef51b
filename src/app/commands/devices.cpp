// ascertain devices: what this machine, or the nodes of a campaign, have, as the devices themselves
// describe it.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "app/agents.hpp"
#include "app/commands/all.hpp"
#include "app/device_hosts.hpp"
#include "app/exit_codes.hpp"
#include "app/interrupt.hpp"
#include "app/table.hpp"
#include "base/text.hpp"
#include "measure/agents/fleet.hpp"
#include "measure/device/call_all.hpp"
#include "measure/device/name.hpp"
#include "measure/device/pool.hpp"

namespace ascertain::app {
namespace {

struct Options {
    Format format = Format::kTable;
    std::vector<std::string> devices;
    AgentOptions agents;
};

constexpr double kDescribeDeadline_s = 60.0;

std::string text_or(const Json& object, const char* key, const std::string& otherwise) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : otherwise;
}

Cell memory_cell(const Json& description) {
    const auto found = description.find("memory_bytes");
    if (found == description.end() || !found->is_number()) return cell("?", nullptr);
    return cell(format_size({found->get<double>()}), *found);
}

std::string libraries(const Json& description) {
    std::string list;
    if (const auto found = description.find("libraries");
        found != description.end() && found->is_object()) {
        for (const auto& item : found->items()) {
            const std::string version =
                item.value().is_string() ? item.value().get<std::string>() : "?";
            list += fmt::format("{}{} {}", list.empty() ? "" : ", ", item.key(), version);
        }
    }
    return shortened(list, 60);
}

std::vector<Cell> row_of(const std::string& name, const device::Reply& reply) {
    if (reply.ending != device::Ending::kResult) {
        return {cell(name), cell("not usable: " + shortened(reply.message, 80)), cell("?", nullptr),
                cell(""), cell("", nullptr)};
    }
    const Json& result = reply.result;
    const auto native = result.find("native_operators");
    const bool counted = native != result.end() && native->is_number();
    return {cell(name), cell(text_or(result, "name", "?")), memory_cell(result),
            cell(libraries(result)), counted ? cell(native->dump(), *native) : cell("?", nullptr)};
}

// The workers that answer, here or on the nodes of a campaign.
Result<std::unique_ptr<device::Workers>> workers_for(const Home& home, const device::Clock& clock,
                                                     const std::vector<std::string>& names,
                                                     std::unique_ptr<agents::Coordinator> remote) {
    std::vector<device::LaunchSpec> specs;
    std::vector<std::string> remote_names;
    std::vector<bool> elsewhere;
    for (const auto& name : names) {
        elsewhere.push_back(device::is_elsewhere(name));
        if (elsewhere.back()) {
            remote_names.push_back(name);
            continue;
        }
        auto spec = launch_spec(home, name, "", 1);
        if (!spec) return spec.error();
        specs.push_back(*std::move(spec));
    }
    auto local = std::make_unique<device::Pool>(clock, specs, device::WorkerLimits{});
    if (!remote && !remote_names.empty()) {
        return Error{ErrorCode::kUsage, "is on another node: --agents or --nodes lets it join",
                     remote_names.front()};
    }
    if (!remote) return std::unique_ptr<device::Workers>(std::move(local));
    if (auto set = remote->set_members(remote_names); !set) return set.error();
    return std::unique_ptr<device::Workers>(
        std::make_unique<agents::Fleet>(std::move(remote), std::move(local), elsewhere));
}

int run(Terminal& terminal, const Home& home, const Options& options) {
    const device::SteadyClock clock;
    std::unique_ptr<agents::Coordinator> remote;
    if (options.agents.asked_for()) {
        auto gathered = gather_agents(terminal, clock, options.agents);
        if (!gathered) return terminal.complain(gathered.error());
        remote = *std::move(gathered);
    }
    std::vector<std::string> asked = options.devices;
    if (asked.empty() && remote) asked = {"auto"};
    if (asked.empty()) {
        asked = accelerators_here();
        asked.emplace_back("cpu");
    }
    const auto names = remote ? devices_of_nodes(asked, *remote) : chosen_devices(asked);
    if (!names) return terminal.complain(names.error());
    const bool named = !options.devices.empty() || remote;
    auto workers = workers_for(home, clock, *names, std::move(remote));
    if (!workers) return terminal.complain(workers.error());
    Table table{{{"device", "device", false},
                 {"name", "name", false},
                 {"memory_bytes", "memory", true},
                 {"libraries", "libraries", false},
                 {"native_operators", "native operators", true}},
                {}};
    bool all_here = true;
    terminal.status(fmt::format("asking {} devices …", names->size()));
    const auto replies = device::call_all(**workers, names->size(),
                                          {"describe", Json::object(), {kDescribeDeadline_s}},
                                          [] { return interrupted().load(); });
    if (!replies) return terminal.complain(replies.error());
    for (std::size_t member = 0; member < names->size(); ++member) {
        const device::Reply& reply = (*replies)[member];
        all_here = all_here && reply.ending == device::Ending::kResult;
        table.rows.push_back(row_of((*names)[member], reply));
    }
    terminal.status("");
    terminal.print(to_text(table, options.format));
    return all_here || !named ? kExitDone : kExitUnavailable;
}

}  // namespace

Run declare_devices(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    add_format_flag(flags, options->format);
    flags.add_option("--device", options->devices,
                     "Ask these only, such as cpu or npu:0; repeatable");
    add_agent_flags(flags, options->agents);
    return
        [options](Terminal& terminal, const Home& home) { return run(terminal, home, *options); };
}

}  // namespace ascertain::app
