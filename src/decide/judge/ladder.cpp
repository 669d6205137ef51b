#include "decide/judge/ladder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace ascertain::judge {
namespace {

// Hours a rung's devices are held: the standard profile for one device; a day of soak, after which
// the device MTBF proven is worth comparing with published ones, for everything larger.
struct Rung {
    std::string_view name;
    double hours;
    std::string_view settles;
};
constexpr std::array<Rung, 5> kRungs{{
    {"device", 0.5,
     "whether one chip of the fleet's kind computes, repeats and learns as the reference does"},
    {"node", 24.0, "whether the chips of one node agree, and their links carry right data in time"},
    {"domain", 24.0, "whether collectives over a whole scale-up domain are right and fast enough"},
    {"eighth", 24.0,
     "whether the scale-out network, stragglers and interruptions are what the projection assumes"},
    {"fleet", 24.0, "the interruption rate and the finish date, which are projections until then"},
}};

// 95 % lower bound of the MTBF that T device-hours without a failure prove: T / -ln 0.05
// (docs/formulas.md#quiet-hours).
constexpr double kQuietHours95 = 2.995732273553991;

// A whole number of devices, or nothing.
std::optional<double> count_at(const Json& fleet, const char* key) {
    if (!fleet.is_object()) return std::nullopt;
    const auto found = fleet.find(key);
    if (found == fleet.end() || !found->is_number()) return std::nullopt;
    const double count = found->get<double>();
    if (!std::isfinite(count) || count < 1.0) return std::nullopt;
    return count;
}

std::optional<double> devices_on(std::string_view rung, const Json& campaign) {
    if (rung == "device") return 1.0;
    if (!campaign.is_object() || !campaign.contains("fleets")) return std::nullopt;
    const Json& fleets = campaign["fleets"];
    if (!fleets.is_array() || fleets.empty()) return std::nullopt;
    const Json& fleet = fleets.front();
    if (rung == "node") return count_at(fleet, "chips_per_node");
    if (rung == "domain") return count_at(fleet, "chips_per_domain");
    const auto count = count_at(fleet, "count");
    if (!count || rung == "fleet") return count;
    return std::ceil(*count / 8.0);
}

const Rung* find_rung(std::string_view name) {
    const auto found = std::ranges::find(kRungs, name, &Rung::name);
    return found == kRungs.end() ? nullptr : &*found;
}

const Rung& rung_after(const LadderQuery& query) {
    const Rung* here = find_rung(query.rung);
    if (here == nullptr || !query.chip_present) return kRungs.front();
    if (!query.qualified || here == &kRungs.back()) return *here;
    return *(here + 1);
}

}  // namespace

std::vector<RungStep> steps_from(std::string_view rung, const Json& campaign) {
    std::vector<RungStep> steps;
    const auto here = std::ranges::find(kRungs, rung, &Rung::name);
    for (auto step = here; step != kRungs.end() && step - here < 2; ++step) {
        const auto devices = devices_on(step->name, campaign);
        if (devices) steps.push_back({std::string(step->name), *devices, step->hours});
    }
    return steps;
}

std::string rung_doubt(std::string_view rung, std::size_t devices,
                       const std::vector<evidence::PlannedCheck>& planned, const Json& campaign) {
    if (rung == kRungs.front().name || !is_rung(rung)) return {};
    const auto needed = devices_on(rung, campaign);
    if (!needed) {
        return fmt::format("the campaign does not say how many devices its {} rung has", rung);
    }
    if (static_cast<double>(devices) < *needed) {
        return fmt::format("the {} rung of this campaign has {:.0f} devices, {} under test", rung,
                           *needed, devices == 1 ? "1 was" : fmt::format("{} were", devices));
    }
    const bool links = std::ranges::any_of(planned, [](const auto& check) {
        return check.required && check.id.starts_with("links.");
    });
    if (!links) return fmt::format("nothing was required of the links of the {} rung", rung);
    return {};
}

bool is_rung(std::string_view name) {
    return find_rung(name) != nullptr;
}

NextRung next_rung(const LadderQuery& query) {
    const Rung& next = rung_after(query);
    NextRung answer;
    answer.rung = std::string(next.name);
    if (query.chip_present && !query.qualified && next.name == query.rung) {
        answer.settles.emplace_back("what blocks this rung, once it is mended");
    }
    answer.settles.emplace_back(next.settles);
    for (const auto& [rung, what] : query.open) {
        if (rung == next.name) answer.settles.push_back(what);
    }
    const auto devices = devices_on(next.name, query.campaign);
    if (!devices) {
        answer.settles.push_back(
            fmt::format("its cost is unknown: the campaign does not say how many devices a rung of "
                        "\"{}\" has",
                        next.name));
        return answer;
    }
    answer.device_hours = *devices * next.hours;
    if (next.name != "device") {
        answer.settles.push_back(fmt::format(
            "if it stays quiet, that the MTBF of a device is at least {:.0f} hours (95 %)",
            *answer.device_hours / kQuietHours95));
    }
    return answer;
}

}  // namespace ascertain::judge
