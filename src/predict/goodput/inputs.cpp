#include "predict/goodput/inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <numbers>

#include "base/units.hpp"

namespace ascertain::goodput {
namespace {

constexpr std::array<InputRow, kInputs> kRows = {{
    {"step", "ratio", "ops, links, then trial", 1e3, 0},
    {"failure_rate", "1/device_hour", "soak", 3600.0, 0},
    {"detection_s", "s", "trial (kill and resume)", kTimeMax_s, 1},
    {"hang_detection_s", "s", "soak (hang watchdog)", kTimeMax_s, 1},
    {"silent_detection_s", "s", "soak (hashes)", kTimeMax_s, 1},
    {"restart_s", "s", "trial (kill and resume)", kTimeMax_s, 1},
    {"restart_failure_ratio", "ratio", "trial (kill and resume)", 0.95, 1},
    {"swap_s", "s", "trial (kill and resume)", kTimeMax_s, 1},
    {"repair_s", "s", "the operator's repair log", kTimeMax_s, 1},
    {"checkpoint_bytes", "B", "trial (checkpoint)", 1e18, 0},
    {"write_bytes_per_s", "B/s", "trial (checkpoint timing)", 1e18, -1},
    {"read_bytes_per_s", "B/s", "trial (checkpoint timing)", 1e18, -1},
    {"snapshot_s", "s", "trial (checkpoint timing)", kTimeMax_s, 1},
    {"straggler_ratio", "ratio", "soak (step-time drift)", 1e3, 1},
    {"slow_per_device_hour", "1/device_hour", "soak (step-time drift)", 3600.0, 0},
    {"slow_loss_ratio", "ratio", "soak (step-time drift)", 1e3, 0},
    {"slow_detection_s", "s", "soak (step-time drift)", kTimeMax_s, 1},
    {"monitoring_ratio", "ratio", "soak (cost of checking)", 10.0, 0},
    {"infant_multiplier", "ratio", "soak, once more after a month", 1e4, 0},
    {"site_per_day", "1/d", "the operator's outage log", 86400.0, 1},
    {"site_outage_s", "s", "the operator's outage log", kTimeMax_s, 1},
    {"defects_outstanding", "count", "qualify --profile standard", 1e4, 1},
    {"defect_found_per_day", "1/d", "qualify --profile standard", 86400.0, 0},
    {"debug_s", "s", "the findings of qualify, with their days to mend", kTimeMax_s, 1},
    {"rent_usd_per_device_hour", "USD/h", "an offer", 1e6, 0},
    {"capex_usd_per_device", "USD", "an offer", 1e9, 0},
    {"power_w_per_device", "W", "soak (power)", 1e6, 0},
    {"power_usage_effectiveness", "ratio", "the site's meter", 10.0, 0},
    {"usd_per_kwh", "USD/kWh", "the site's contract", 1e3, 0},
    {"second_failure_rate", "1/device_hour", "soak of the second fleet", 3600.0, 0},
    {"second_rent_usd_per_device_hour", "USD/h", "an offer", 1e6, 0},
    {"second_capex_usd_per_device", "USD", "an offer", 1e9, 0},
    {"second_power_w_per_device", "W", "soak of the second fleet (power)", 1e6, 0},
}};

// The rows that are plain fields of Beliefs, in the order of the enumeration from kDetection on.
constexpr Uncertain Beliefs::*kFields[] = {&Beliefs::detection_s,
                                           &Beliefs::hang_detection_s,
                                           &Beliefs::silent_detection_s,
                                           &Beliefs::restart_s,
                                           &Beliefs::restart_failure_ratio,
                                           &Beliefs::swap_s,
                                           &Beliefs::repair_s,
                                           &Beliefs::checkpoint_bytes,
                                           &Beliefs::write_bytes_per_s,
                                           &Beliefs::read_bytes_per_s,
                                           &Beliefs::snapshot_s,
                                           &Beliefs::straggler_ratio,
                                           &Beliefs::slow_per_device_hour,
                                           &Beliefs::slow_loss_ratio,
                                           &Beliefs::slow_detection_s,
                                           &Beliefs::monitoring_ratio,
                                           &Beliefs::infant_multiplier,
                                           &Beliefs::site_per_day,
                                           &Beliefs::site_outage_s,
                                           &Beliefs::defects_outstanding,
                                           &Beliefs::defect_found_per_day,
                                           &Beliefs::debug_s};
static_assert(std::size(kFields) == kRent - kDetection);

double normal_probability(double z) {
    return 0.5 * boost::math::erfc(-z / std::numbers::sqrt2);
}

// The least known kind of all stages' step times, and the widest interval around the middle.
Uncertain step_belief(const ProjectionInput& input) {
    Uncertain step{1.0, 1.0, 1.0, Kind::kGiven, {}};
    for (const StageInput& stage : input.stages) {
        const Uncertain wide = widened(stage.step_s);
        step.low = std::min(step.low, wide.low / wide.mid);
        step.high = std::max(step.high, wide.high / wide.mid);
        if (wide.kind >= step.kind) {
            step.kind = wide.kind;
            step.source = wide.source;
        }
    }
    return step;
}

// What is believed of one fleet's failures once its soak is counted.
GammaRate posterior(const FailurePrior& prior, const SoakEvidence& soak) {
    return updated(prior.rate, soak);
}

std::string rate_source(const FailurePrior& prior, const SoakEvidence& soak) {
    if (soak.device_hours <= 0.0) return prior.source;
    return fmt::format(
        "{}; {:.0f} failures in {:.4g} device-hours of soak (prior's share {:.0f} %)", prior.source,
        soak.failures, soak.device_hours, 100.0 * prior_share(prior.rate, soak));
}

Uncertain rate_belief(const FailurePrior& prior, const SoakEvidence& soak) {
    const GammaRate rate = posterior(prior, soak);
    return {rate.quantile(0.1), rate.quantile(0.5), rate.quantile(0.9),
            soak.device_hours > prior.rate.b_device_hours ? Kind::kMeasured : prior.kind,
            rate_source(prior, soak)};
}

}  // namespace

const InputRow& row_of(Input input) {
    return kRows[input];
}

Uncertain* field_of(Beliefs& beliefs, Input row) {
    if (row == kPowerUsage) return &beliefs.power_usage_effectiveness;
    if (row < kDetection || row >= kRent) return nullptr;
    return &(beliefs.*kFields[row - kDetection]);
}

std::optional<Uncertain> belief_of(const ProjectionInput& input, Input row) {
    const std::optional<SecondFleet>& second = input.second;
    switch (row) {
        case kStep: return step_belief(input);
        case kFailureRate: return rate_belief(input.failure, input.soak);
        case kDefects: {
            const Uncertain outstanding = widened(input.beliefs.defects_outstanding);
            if (!input.findings.any()) return outstanding;
            return defects_left(outstanding, widened(input.beliefs.defect_found_per_day),
                                input.findings);
        }
        case kRent: return input.beliefs.rent_usd_per_device_hour;
        case kCapex: return input.beliefs.capex_usd_per_device;
        case kPower: return input.beliefs.power_w_per_device;
        case kPowerUsage: return widened(input.beliefs.power_usage_effectiveness);
        case kTariff: return input.beliefs.usd_per_kwh;
        case kSecondFailureRate:
            if (!second) return std::nullopt;
            return rate_belief(second->failure, second->soak);
        case kSecondRent: return second ? second->rent_usd_per_device_hour : std::nullopt;
        case kSecondCapex: return second ? second->capex_usd_per_device : std::nullopt;
        case kSecondPower: return second ? second->power_w_per_device : std::nullopt;
        default: return widened(input.beliefs.*kFields[row - kDetection]);
    }
}

Rows values_at(const ProjectionInput& input, const Rows& scores) {
    Rows values{};
    for (std::size_t i = 0; i < kInputs; ++i) {
        const auto row = static_cast<Input>(i);
        if (row == kFailureRate) {
            values[i] =
                posterior(input.failure, input.soak).quantile(normal_probability(scores[i]));
        } else if (row == kSecondFailureRate && input.second) {
            values[i] = posterior(input.second->failure, input.second->soak)
                            .quantile(normal_probability(scores[i]));
        } else if (const auto belief = belief_of(input, row)) {
            values[i] = std::min(value_at(widened(*belief), scores[i]), kRows[i].limit);
        }
    }
    return values;
}

}  // namespace ascertain::goodput
