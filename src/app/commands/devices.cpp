// ascertain devices: what this machine has, as the devices themselves describe it.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "app/commands/all.hpp"
#include "app/device_hosts.hpp"
#include "app/exit_codes.hpp"
#include "app/interrupt.hpp"
#include "app/table.hpp"
#include "base/text.hpp"
#include "measure/device/pool.hpp"

namespace ascertain::app {
namespace {

struct Options {
    Format format = Format::kTable;
    std::vector<std::string> devices;
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

int run(Terminal& terminal, const Home& home, const Options& options) {
    std::vector<std::string> asked = options.devices;
    if (asked.empty()) {
        asked = accelerators_here();
        asked.emplace_back("cpu");
    }
    const auto names = chosen_devices(asked);
    if (!names) {
        return terminal.complain(names.error());
    }
    std::vector<device::LaunchSpec> specs;
    for (const auto& name : *names) {
        auto spec = launch_spec(home, name, "", 1);
        if (!spec) {
            return terminal.complain(spec.error());
        }
        specs.push_back(*std::move(spec));
    }
    const device::SteadyClock clock;
    device::Pool pool(clock, specs, {});
    Table table{{{"device", "device", false},
                 {"name", "name", false},
                 {"memory_bytes", "memory", true},
                 {"libraries", "libraries", false},
                 {"native_operators", "native operators", true}},
                {}};
    bool all_here = true;
    for (std::size_t member = 0; member < names->size(); ++member) {
        terminal.status(fmt::format("asking {} …", (*names)[member]));
        const auto reply = pool.call(member, {"describe", Json::object(), {kDescribeDeadline_s}},
                                     [] { return interrupted().load(); });
        if (!reply) {
            return terminal.complain(reply.error());
        }
        all_here = all_here && reply->ending == device::Ending::kResult;
        table.rows.push_back(row_of((*names)[member], *reply));
    }
    terminal.status("");
    terminal.print(to_text(table, options.format));
    return all_here || options.devices.empty() ? kExitDone : kExitUnavailable;
}

}  // namespace

Run declare_devices(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    add_format_flag(flags, options->format);
    flags.add_option("--device", options->devices,
                     "Ask these only, such as cpu or npu:0; repeatable");
    return
        [options](Terminal& terminal, const Home& home) { return run(terminal, home, *options); };
}

}  // namespace ascertain::app
