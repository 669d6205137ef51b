#include "app/qualify/crew.hpp"

#include <algorithm>
#include <filesystem>
#include <thread>

#include "app/device_hosts.hpp"
#include "app/interrupt.hpp"

namespace ascertain::app {
namespace {

constexpr double kDescribeDeadline_s = 120.0;  // a vendor's first initialisation takes its time

}  // namespace

Result<Crew> assemble(const Home& home, const std::vector<std::string>& devices,
                      const std::string& reference, const std::string& defects) {
    const int threads = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    std::vector<device::LaunchSpec> specs;
    std::vector<std::string> members = devices;
    members.push_back(reference);
    bool armed = false;
    for (const auto& member : members) {
        auto spec = launch_spec(home, member, "", threads);
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
                     "--defects needs a simulated device: add --device simulated:0", defects};
    }
    Crew crew;
    crew.devices = devices;
    crew.clock = std::make_unique<device::SteadyClock>();
    crew.pool =
        std::make_unique<device::Pool>(*crew.clock, std::move(specs), device::WorkerLimits{});
    return crew;
}

Result<void> describe_all(Crew& crew, bool named) {
    for (std::size_t member = 0; member < crew.devices.size(); ++member) {
        const auto reply =
            crew.pool->call(member, {"describe", Json::object(), {kDescribeDeadline_s}},
                            [] { return interrupted().load(); });
        if (!reply) return reply.error();
        if (reply->ending == device::Ending::kResult) {
            crew.descriptions.push_back(reply->result);
            continue;
        }
        if (named) {
            return Error{ErrorCode::kDeviceUnavailable,
                         "this device is not usable here: " + reply->message +
                             "; `ascertain devices` shows what is",
                         crew.devices[member]};
        }
        crew.descriptions.push_back(
            {{"device", crew.devices[member]}, {"unusable", reply->message}});
    }
    return {};
}

}  // namespace ascertain::app
