// From beliefs at given values to one plain run, and from its history to a bill.
#include <algorithm>
#include <cmath>

#include "base/units.hpp"
#include "predict/goodput/inputs.hpp"

namespace ascertain::goodput {

double steps_of(const StageInput& stage) {
    return stage.steps > 0.0 ? stage.steps : std::ceil(stage.tokens / stage.tokens_per_step);
}

double communication_share(const ProjectionInput& input) {
    for (const StepShare& share : input.step_shares) {
        if (share.name == "exposed_communication") return share.ratio;
    }
    return 0.0;
}

RunSetup resolve(const ProjectionInput& input, const Rows& values, const Screws& screws,
                 double horizon_s) {
    RunSetup setup;
    const double doublings = std::log2(screws.devices);
    const double links = 1.0 + communication_share(input) * (screws.communication - 1.0);
    const double step_factor =
        values[kStep] * screws.step * links /
        (screws.devices * std::pow(input.efficiency_per_doubling, doublings));
    const auto grown = [&](std::int64_t devices) {
        return static_cast<std::int64_t>(
            std::llround(static_cast<double>(devices) * screws.devices));
    };
    for (const StageInput& stage : input.stages) {
        const double step_s = stage.step_s.mid * step_factor;
        setup.stages.push_back({stage.kind, steps_of(stage) * step_s, step_s, grown(stage.devices),
                                grown(stage.loose_devices)});
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
                       values[kSlowDetection], values[kRepair]};
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

}  // namespace ascertain::goodput
