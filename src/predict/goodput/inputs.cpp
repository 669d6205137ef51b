#include "predict/goodput/inputs.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <numbers>

#include "base/units.hpp"

namespace ascertain::goodput {
namespace {

constexpr double kTimeMax_s = 5.0 * 365.25 * kSecondsPerDay;

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

GammaRate posterior_of(const ProjectionInput& input) {
    return updated(input.failure.rate, input.soak);
}

std::string rate_source(const ProjectionInput& input) {
    if (input.soak.device_hours <= 0.0) return input.failure.source;
    return fmt::format(
        "{}; {:.0f} failures in {:.0f} device-hours of soak (prior's share {:.0f} %)",
        input.failure.source, input.soak.failures, input.soak.device_hours,
        100.0 * prior_share(input.failure.rate, input.soak));
}

double stage_steps(const StageInput& stage) {
    return stage.steps > 0.0 ? stage.steps : std::ceil(stage.tokens / stage.tokens_per_step);
}

Error missing(std::string_view field, std::string_view why) {
    return Error{ErrorCode::kBadInput, std::string(why), std::string(field)};
}

Result<void> validate_stage(const StageInput& stage) {
    const std::string where = "stages." + stage.kind;
    if (!(stage.steps > 0.0 || (stage.tokens > 0.0 && stage.tokens_per_step > 0.0))) {
        return missing(where, "needs steps, or tokens and tokens per step, above 0");
    }
    if (!(stage_steps(stage) <= 1e12)) return missing(where, "more than 1e12 steps");
    if (auto checked = validate(stage.step_s, where + ".step_s", kTimeMax_s); !checked)
        return checked;
    if (!(stage.step_s.low > 0.0)) return missing(where + ".step_s", "must be above 0");
    return {};
}

Result<void> validate_decision(const ProjectionInput& input) {
    if (input.deadline_s && !(*input.deadline_s > 0.0 && *input.deadline_s <= kTimeMax_s)) {
        return missing("decision.finish_within",
                       fmt::format("{} s lies outside 0 to 5 years", *input.deadline_s));
    }
    if (input.budget_usd && !(*input.budget_usd > 0.0 && *input.budget_usd < 1e15)) {
        return missing("decision.budget", fmt::format("{} USD is no budget", *input.budget_usd));
    }
    if (!(input.confidence > 0.0 && input.confidence < 1.0)) {
        return missing("decision.confidence",
                       fmt::format("must lie between 0 and 1, is {}", input.confidence));
    }
    if (input.belief_draws < 4 || input.belief_draws > 100'000 || input.histories_per_draw < 1 ||
        input.histories_per_draw > 100'000) {
        return missing("histories", "4 to 100,000 draws of 1 to 100,000 histories each");
    }
    double step_shares = 0.0;
    for (const StepShare& share : input.step_shares) {
        if (!(share.ratio >= 0.0))
            return missing("step_shares." + share.name, "must not be negative");
        step_shares += share.ratio;
    }
    if (step_shares > 1.0 + 1e-9) return missing("step_shares", "add up to more than 1");
    if (!(input.operations_correlation >= 0.0 && input.operations_correlation <= 1.0)) {
        return missing("operations_correlation", "must lie between 0 and 1");
    }
    if (!(input.efficiency_per_doubling > 0.5 && input.efficiency_per_doubling <= 1.0)) {
        return missing("efficiency_per_doubling", "must lie between 0.5 and 1");
    }
    if (!(input.idle_power_ratio >= 0.0 && input.idle_power_ratio <= 1.0)) {
        return missing("idle_power_ratio", "must lie between 0 and 1");
    }
    if (!(input.capex_lifetime_s >= kSecondsPerDay)) {
        return missing("capex_lifetime_s", "must be at least a day");
    }
    return {};
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
    switch (row) {
        case kStep: return step_belief(input);
        case kFailureRate: {
            const GammaRate rate = posterior_of(input);
            return Uncertain{rate.quantile(0.1), rate.quantile(0.5), rate.quantile(0.9),
                             input.soak.device_hours > input.failure.rate.b_device_hours
                                 ? Kind::kMeasured
                                 : input.failure.kind,
                             rate_source(input)};
        }
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
        default: return widened(input.beliefs.*kFields[row - kDetection]);
    }
}

Rows values_at(const ProjectionInput& input, const Rows& scores) {
    Rows values{};
    for (std::size_t i = 0; i < kInputs; ++i) {
        const auto row = static_cast<Input>(i);
        if (row == kFailureRate) {
            values[i] = posterior_of(input).quantile(normal_probability(scores[i]));
        } else if (const auto belief = belief_of(input, row)) {
            values[i] = std::min(value_at(widened(*belief), scores[i]), kRows[i].limit);
        }
    }
    return values;
}

RunSetup resolve(const ProjectionInput& input, const Rows& values, const Screws& screws,
                 double horizon_s) {
    RunSetup setup;
    const double doublings = std::log2(screws.devices);
    const double step_factor =
        values[kStep] * screws.step /
        (screws.devices * std::pow(input.efficiency_per_doubling, doublings));
    const auto grown = [&](std::int64_t devices) {
        return static_cast<std::int64_t>(
            std::llround(static_cast<double>(devices) * screws.devices));
    };
    for (const StageInput& stage : input.stages) {
        const double step_s = stage.step_s.mid * step_factor;
        setup.stages.push_back({stage.kind, stage_steps(stage) * step_s, step_s,
                                grown(stage.devices), grown(stage.loose_devices)});
    }
    setup.devices = std::max<std::int64_t>(grown(input.devices), 1);
    setup.devices_per_node = input.devices_per_node;
    setup.spare_nodes = screws.spare_nodes.value_or(grown(input.spare_nodes));
    setup.stage_change_s = input.stage_change_s;
    setup.monitoring_ratio = values[kMonitoring];

    FailureModel& failure = setup.failure;
    failure.rate_per_device_s = values[kFailureRate] * screws.failure_rate / kSecondsPerHour;
    for (const FailureShape& shape : input.failures) {
        failure.classes.push_back({shape.name, shape.share, shape.replaced_ratio, shape.nodes_lost,
                                   values[kRepair] * shape.repair_ratio,
                                   values[kDetection] * screws.recovery * shape.detection_ratio,
                                   shape.hang_ratio, shape.silent, values[kSilentDetection]});
    }
    failure.hang_detection_s = values[kHangDetection] * screws.recovery;
    failure.lemon_ratio = input.lemon_ratio;
    failure.lemon_multiplier = std::max(1.0, input.lemon_multiplier);
    failure.infant_multiplier = std::max(1.0, values[kInfant]);
    failure.infant_decay_s = input.infant_decay_s;
    failure.site_rate_per_s = values[kSiteRate] / kSecondsPerDay;
    failure.site_outage_s = values[kSiteOutage];

    const double bytes = values[kCheckpointBytes] * screws.checkpoint;
    const double write_s = bytes > 0.0 ? bytes / values[kWriteBandwidth] : 0.0;
    const double snapshot_s = values[kSnapshot] * screws.checkpoint;
    const bool blocking = input.checkpoint_mode == CheckpointMode::kBlocking;
    const bool in_memory = input.checkpoint_mode == CheckpointMode::kInMemory;
    setup.checkpoint.mode = input.checkpoint_mode;
    setup.checkpoint.stall_s = blocking ? write_s : snapshot_s;
    setup.checkpoint.write_s = write_s;
    setup.checkpoint.interval_s = input.checkpoint_interval_s;
    setup.checkpoint.persistent_interval_s = input.persistent_interval_s;
    const double read_s = bytes > 0.0 ? bytes / values[kReadBandwidth] : 0.0;
    setup.recovery = {values[kRestart] * screws.recovery,
                      in_memory ? snapshot_s : read_s,
                      values[kSwap] * screws.recovery,
                      input.recovery_spread,
                      values[kRestartFailure],
                      values[kRestart] * screws.recovery};
    setup.elastic = input.elastic;
    setup.straggler = {values[kStraggler], values[kSlowRate] / kSecondsPerHour, values[kSlowLoss],
                       values[kSlowDetection]};
    setup.maintenance = input.maintenance;
    setup.defect = {values[kDefects] * screws.defects, values[kDefectRate] / kSecondsPerDay,
                    values[kDebug], input.debug_spread, 0.0};
    setup.horizon_s = horizon_s;
    setup.event_limit = kEventLimit;
    setup.gives_up_early = true;
    return setup;
}

Bill bill(const ProjectionInput& input, const Rows& values, const History& history) {
    const Beliefs& beliefs = input.beliefs;
    const auto devices =
        static_cast<double>(input.devices + input.spare_nodes * input.devices_per_node);
    Bill result;
    if (beliefs.power_w_per_device) {
        double busy_s = 0.0;
        for (const Share share : {Share::kUseful, Share::kRework, Share::kStraggler, Share::kShrunk,
                                  Share::kMonitoring}) {
            busy_s += history.share_s[static_cast<std::size_t>(share)];
        }
        const double full_s = busy_s + input.idle_power_ratio * (history.wall_s - busy_s);
        const double joules =
            devices * values[kPower] * std::max(1.0, values[kPowerUsage]) * full_s;
        result.energy_kwh = joules / 3.6e6;
    }
    if (beliefs.rent_usd_per_device_hour) {
        result.cost_usd = devices * values[kRent] * history.wall_s / kSecondsPerHour;
    } else if (beliefs.capex_usd_per_device && result.energy_kwh && beliefs.usd_per_kwh) {
        result.cost_usd = devices * values[kCapex] * history.wall_s / input.capex_lifetime_s +
                          *result.energy_kwh * values[kTariff];
    }
    return result;
}

Result<void> validate(const ProjectionInput& input) {
    if (input.devices < 1) {
        return missing("fleet.count", fmt::format("{} devices train nothing", input.devices));
    }
    if (input.stages.empty()) return missing("stages", "there is nothing to do: name a stage");
    for (const StageInput& stage : input.stages) {
        if (auto checked = validate_stage(stage); !checked) return checked;
    }
    if (auto checked = validate(input.failure.rate); !checked) return checked;
    if (auto checked = validate(input.soak); !checked) return checked;
    if (auto checked = validate(input.findings); !checked) return checked;
    for (std::size_t i = kDetection; i < kInputs; ++i) {
        const auto belief = belief_of(input, static_cast<Input>(i));
        if (!belief) continue;
        if (auto checked = validate(*belief, kRows[i].name, kRows[i].limit); !checked)
            return checked;
    }
    if (!(input.beliefs.restart_s.mid > 0.0)) {
        return missing("restart_s", "nobody restarts in no time: state it, or use the defaults");
    }
    if (input.checkpoint_mode != CheckpointMode::kNone &&
        !(input.beliefs.write_bytes_per_s.low > 0.0 && input.beliefs.read_bytes_per_s.low > 0.0)) {
        return missing("write_bytes_per_s", "checkpoints need a storage bandwidth above 0");
    }
    return validate_decision(input);
}

}  // namespace ascertain::goodput
