#include "app/sizing.hpp"

#include <algorithm>
#include <cmath>

#include "app/served.hpp"
#include "predict/serving/serving_json.hpp"

namespace ascertain::app {
namespace {

constexpr std::int64_t kDevicesTried = 512;  // where the campaign does not say how many there are

std::string network_of(const Situation& situation) {
    const ServingSpec& spec = situation.campaign.serving;
    if (!spec.network.empty()) return spec.network;
    for (const auto& fleet : situation.campaign.fleets)
        if (fleet.chip == spec.chip) return fleet.network;
    return situation.campaign.fleets.front().network;
}

Result<catalog::Fleet> serving_fleet(const Situation& situation) {
    const ServingSpec& spec = situation.campaign.serving;
    if (spec.chip.empty()) {
        return Error{ErrorCode::kUsage,
                     "the campaign does not say what serves: add [serving] chip = \"…\"",
                     situation.campaign.path};
    }
    const std::int64_t count = spec.count > 0 ? spec.count
                                              : (kDevicesTried + spec.chips_per_node - 1) /
                                                    spec.chips_per_node * spec.chips_per_node;
    // A chip file of the user's own is known under the id that it declares.
    for (const auto& fleet : situation.fleets) {
        if (fleet.chip.id != spec.chip) continue;
        return catalog::resolve_fleet(situation.catalog, fleet.chip.id, count, spec.chips_per_node,
                                      network_of(situation), 0);
    }
    return catalog::resolve_fleet(situation.catalog, spec.chip, count, spec.chips_per_node,
                                  network_of(situation), 0);
}

// Whole replicas for `wanted` tokens per second at `rate` per device.
double devices_for(double wanted, double rate, std::int64_t replica) {
    const auto size = static_cast<double>(replica);
    return std::ceil(wanted / (rate * size)) * size;
}

void add_sizes(Sizing& sizing, const ServingSpec& spec) {
    const serving::Estimate& best = sizing.ranked.best.front();
    const auto& rate = best.output_tokens_per_s;
    const std::int64_t replica = best.layout.chips();
    if (spec.output_tokens_per_s) {
        const double wanted = *spec.output_tokens_per_s;
        sizing.devices = cost::Interval{devices_for(wanted, rate.high, replica),
                                        devices_for(wanted, rate.mid, replica),
                                        devices_for(wanted, rate.low, replica)};
    }
    const catalog::Chip device = catalog::per_device(sizing.fleet.chip);
    if (!device.rental_per_hour.known()) return;
    const double usd_per_s = device.rental_per_hour.value->count / kSecondsPerHour;
    sizing.usd_per_million_tokens = cost::Interval{
        1e6 * usd_per_s / rate.high, 1e6 * usd_per_s / rate.mid, 1e6 * usd_per_s / rate.low};
}

Json interval(const std::optional<cost::Interval>& one) {
    if (!one) return Json();
    return {{"low", finite_or_null(one->low)},
            {"mid", finite_or_null(one->mid)},
            {"high", finite_or_null(one->high)}};
}

}  // namespace

Result<Sizing> size_serving(const Home& home, const Situation& situation,
                            const cost::CostBook& book, std::size_t top) {
    const ServingSpec& spec = situation.campaign.serving;
    auto fleet = serving_fleet(situation);
    if (!fleet) return fleet.error();
    const auto level = read_engine_level(home);
    if (!level) return level.error();
    Sizing sizing;
    sizing.engine.precision = spec.precision.empty()
                                  ? serving::natural_precision(situation.architecture, fleet->chip)
                                  : *serving::precision_from(spec.precision);
    sizing.workload = {spec.prompt_tokens, spec.output_tokens, spec.cached_ratio};
    if (spec.time_per_output_token)
        sizing.limits.time_per_output_token_s = spec.time_per_output_token->count;
    if (spec.time_to_first_token)
        sizing.limits.time_to_first_token_s = spec.time_to_first_token->count;
    auto ranked =
        serving::best_layouts(situation.architecture, *fleet, sizing.engine, sizing.workload,
                              sizing.limits, *level, book, fleet->count, top);
    if (!ranked) return ranked.error();
    sizing.fleet = *std::move(fleet);
    sizing.ranked = *std::move(ranked);
    if (!sizing.ranked.best.empty()) add_sizes(sizing, spec);
    return sizing;
}

Json to_json(const Sizing& sizing) {
    Json document = serving::to_json(sizing.ranked, sizing.workload, sizing.limits);
    document["chip"] = sizing.fleet.chip.id;
    document["network"] = sizing.fleet.scale_out.id;
    document["devices_needed"] = interval(sizing.devices);
    document["usd_per_million_output_tokens"] = interval(sizing.usd_per_million_tokens);
    return document;
}

}  // namespace ascertain::app
