#include "app/qualify/crew.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "app/device_hosts.hpp"
#include "app/interrupt.hpp"
#include "base/device_name.hpp"
#include "measure/agents/fleet.hpp"
#include "measure/device/call_all.hpp"
#include "measure/device/name.hpp"

namespace ascertain::app {
namespace {

constexpr double kDescribeDeadline_s = 120.0;  // a vendor's first initialisation takes its time

// Every device is a rank; further ranks go round the devices, as members of their own.
Result<std::vector<qualification::Rank>> deal_ranks(const CrewQuestion& question,
                                                    std::vector<std::string>& members) {
    const std::size_t devices = question.devices.size();
    const auto wanted = question.ranks > 0 ? static_cast<std::size_t>(question.ranks) : devices;
    if (wanted < devices) {
        return Error{ErrorCode::kUsage,
                     fmt::format("--ranks {} is fewer than the {} devices, which are a rank each",
                                 wanted, devices),
                     ""};
    }
    std::vector<qualification::Rank> ranks;
    if (wanted < 2) return ranks;
    for (std::size_t rank = 0; rank < wanted; ++rank) {
        const std::string& device = question.devices[rank % devices];
        if (rank < devices) {
            ranks.push_back({rank, device});
        } else {
            ranks.push_back({members.size(), device});
            members.push_back(device);
        }
    }
    return ranks;
}

// What the device said of itself, under the name that the campaign gives it, with its node.
Json described(const Crew& crew, const std::string& device, Json description) {
    if (!crew.nodes || !device::is_elsewhere(device)) return description;
    description["device"] = device;
    for (const auto& node : crew.nodes->nodes()) {
        if (node.name != node_of(device)) continue;
        description["node"] = node.name;
        description["host"] = node.host;
    }
    return description;
}

}  // namespace

std::vector<std::string> Crew::rank_devices() const {
    if (ranks.empty()) return devices;
    std::vector<std::string> names;
    for (const auto& rank : ranks) names.push_back(rank.device);
    return names;
}

Result<Crew> assemble(const Home& home, const CrewQuestion& question,
                      std::unique_ptr<device::SteadyClock> clock,
                      std::unique_ptr<agents::Coordinator> remote) {
    const std::string& defects = question.defects;
    std::vector<device::LaunchSpec> specs;
    std::vector<std::string> members = question.devices;
    members.push_back(question.reference);
    auto ranks = deal_ranks(question, members);
    if (!ranks) return ranks.error();
    // Ranks compute at the same moment, so they share the processors.
    const auto sharers = static_cast<unsigned>(std::max<std::size_t>(1, ranks->size()));
    const int threads =
        static_cast<int>(std::max(1U, std::thread::hardware_concurrency() / sharers));
    std::vector<std::string> remote_members;
    std::vector<bool> elsewhere;
    bool armed = false;
    for (const auto& member : members) {
        elsewhere.push_back(device::is_elsewhere(member));
        if (elsewhere.back()) {
            remote_members.push_back(member);
            continue;
        }
        auto spec = launch_spec(home, member, "", threads, question.module);
        if (!spec) return spec.error();
        const bool arms = !defects.empty() && member.starts_with("simulated:");
        if (arms)
            spec->environment.emplace_back("ASCERTAIN_DEFECTS",
                                           std::filesystem::absolute(defects).string());
        armed = armed || arms;
        specs.push_back(*std::move(spec));
    }
    if (!defects.empty() && !armed) {
        return Error{ErrorCode::kUsage,
                     "--defects needs a simulated device here: add --device simulated:0; an agent "
                     "has a --defects of its own",
                     defects};
    }
    if (!remote_members.empty() && !remote) {
        return Error{ErrorCode::kUsage, "is on another node: --agents or --nodes lets it join",
                     remote_members.front()};
    }
    Crew crew;
    crew.devices = question.devices;
    crew.ranks = *std::move(ranks);
    crew.clock = std::move(clock);
    auto local =
        std::make_unique<device::Pool>(*crew.clock, std::move(specs), device::WorkerLimits{});
    if (!remote) {
        crew.pool = std::move(local);
        return crew;
    }
    if (auto set = remote->set_members(remote_members); !set) return set.error();
    crew.nodes = remote.get();
    crew.pool = std::make_unique<agents::Fleet>(std::move(remote), std::move(local), elsewhere);
    return crew;
}

Result<void> describe_all(Crew& crew, bool named) {
    const auto replies = device::call_all(*crew.pool, crew.devices.size(),
                                          {"describe", Json::object(), {kDescribeDeadline_s}},
                                          [] { return interrupted().load(); });
    if (!replies) return replies.error();
    for (std::size_t member = 0; member < crew.devices.size(); ++member) {
        const device::Reply& reply = (*replies)[member];
        if (reply.ending == device::Ending::kResult) {
            crew.descriptions.push_back(described(crew, crew.devices[member], reply.result));
            continue;
        }
        if (named) {
            return Error{ErrorCode::kDeviceUnavailable,
                         "this device is not usable here: " + reply.message +
                             "; `ascertain devices` shows what is",
                         crew.devices[member]};
        }
        crew.descriptions.push_back(
            described(crew, crew.devices[member],
                      {{"device", crew.devices[member]}, {"unusable", reply.message}}));
    }
    return {};
}

}  // namespace ascertain::app
