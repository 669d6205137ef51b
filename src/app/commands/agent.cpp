// ascertain agent: one per node of a campaign; keeps the workers of its devices.
#include <fmt/format.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <thread>

#include "app/commands/all.hpp"
#include "app/device_hosts.hpp"
#include "app/exit_codes.hpp"
#include "app/interrupt.hpp"
#include "app/version.hpp"
#include "measure/agents/agent.hpp"

namespace ascertain::app {
namespace {

struct Options {
    std::string join;
    std::string key;
    std::string node;
    std::string wait = "60 s";
    std::string defects;
    std::string log;
    std::vector<std::string> devices{"auto"};
};

std::string host_name() {
    struct utsname system {};
    return ::uname(&system) == 0 ? system.nodename : "unknown";
}

// What the launcher calls this node: Slurm gives several nodes of one machine a name each.
std::string node_name() {
    for (const char* variable : {"ASCERTAIN_NODE", "SLURMD_NODENAME", "NODE_NAME"}) {
        const char* name = std::getenv(variable);
        if (name != nullptr && *name != '\0') return name;
    }
    return host_name();
}

// Tells this process from every other.
std::string instance() {
    std::random_device device;
    return fmt::format("{:08x}{:08x}-{}", device(), device(), getpid());
}

Result<agents::AgentQuestion> question_of(const Home& home, const Options& options) {
    agents::AgentQuestion question;
    question.endpoint = options.join;
    question.key_path = options.key;
    const auto wait = parse_duration(options.wait);
    if (!wait) return wait.error();
    question.wait = *wait;
    question.hello.version = version();
    question.hello.node = options.node.empty() ? node_name() : options.node;
    question.hello.host = host_name();
    question.hello.instance = instance();
    if (!agents::good_node_name(question.hello.node)) {
        return Error{ErrorCode::kUsage,
                     "a node is called by 1 to 64 letters, digits, '.', '_' and '-'; --node gives "
                     "this one another name",
                     question.hello.node};
    }
    const auto devices = chosen_devices(options.devices);
    if (!devices) return devices.error();
    const int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    for (const std::string& device : *devices) {
        auto spec = launch_spec(home, device, options.log, threads);
        if (!spec) return spec.error();
        if (!options.defects.empty() && device.starts_with("simulated:")) {
            spec->environment.emplace_back("ASCERTAIN_DEFECTS",
                                           std::filesystem::absolute(options.defects).string());
        }
        question.workers.push_back(*std::move(spec));
        question.hello.devices.push_back(device);
    }
    return question;
}

int exit_code(agents::AgentEnd::Kind kind) {
    switch (kind) {
        case agents::AgentEnd::Kind::kStopped: return kExitDone;
        case agents::AgentEnd::Kind::kRefused:
        case agents::AgentEnd::Kind::kNotTakenIn: return kExitUnavailable;
        case agents::AgentEnd::Kind::kInterrupted: return kExitInterrupted;
    }
    ASCERTAIN_ASSERT(false);
}

int run(Terminal& terminal, const Home& home, const Options& options) {
    const auto question = question_of(home, options);
    if (!question) return terminal.complain(question.error());
    const device::SteadyClock clock;
    const auto said = [&](const std::string& line) { terminal.say(line); };
    const auto end = agents::serve(
        *question, clock, [] { return interrupted().load(); }, said);
    if (!end) return terminal.complain(end.error());
    if (exit_code(end->kind) == kExitUnavailable) {
        return terminal.complain({ErrorCode::kDeviceUnavailable, end->message, ""});
    }
    terminal.say(end->message);
    return exit_code(end->kind);
}

}  // namespace

Run declare_agent(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    flags.add_option("--join", options->join,
                     "Where the coordinator listens: tcp://host:5757; default: as the key says");
    flags
        .add_option("--key", options->key,
                    "The campaign's key, as the coordinator wrote it; it may appear later")
        ->required();
    flags.add_option("--node", options->node,
                     "What the campaign calls this node; default: ASCERTAIN_NODE, "
                     "SLURMD_NODENAME, NODE_NAME, or the host's name");
    flags.add_option("--device", options->devices,
                     "Device to offer: cpu, cuda:0 …; repeatable; default: auto");
    flags.add_option("--wait", options->wait,
                     "How long to try to join, and to wait for a coordinator that is gone; "
                     "default: 60 s");
    flags.add_option("--defects", options->defects,
                     "Rehearse: arm this defect file in the simulated devices here");
    flags.add_option("--log", options->log, "Folder for what the workers print; default: nowhere");
    return
        [options](Terminal& terminal, const Home& home) { return run(terminal, home, *options); };
}

}  // namespace ascertain::app
