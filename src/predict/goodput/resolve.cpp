// From beliefs at given values to one plain run, and from its history to a bill.
#include <algorithm>
#include <cmath>

#include "base/units.hpp"
#include "predict/goodput/inputs.hpp"

namespace ascertain::goodput {

double steps_of(const StageInput& stage) {
    return stage.steps > 0.0 ? stage.steps : std::ceil(stage.tokens / stage.tokens_per_step);
}

double rollout_share(const ProjectionInput& input) {
    double rollout_s = 0.0;
    double all_s = 0.0;
    for (const StageInput& stage : input.stages) {
        rollout_s += steps_of(stage) * stage.rollout_s;
        all_s += steps_of(stage) * stage.step_s.mid;
    }
    return all_s > 0.0 ? rollout_s / all_s : 0.0;
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
        values[kStep] * screws.step /
        (screws.devices * std::pow(input.efficiency_per_doubling, doublings));
    const auto grown = [&](std::int64_t devices) {
        return static_cast<std::int64_t>(
            std::llround(static_cast<double>(devices) * screws.devices));
    };
    setup.devices = std::max<std::int64_t>(grown(input.devices), 1);
    const auto own_devices = [&input](const StageInput& stage) {
        if (stage.devices > 0) return stage.devices;
        return stage.fleet == 0 || !input.second ? input.devices : input.second->devices;
    };
    const auto weight_of = [&](std::size_t fleet) {  // failures relative to the first fleet's
        return fleet == 0 || values[kFailureRate] <= 0.0
                   ? 1.0
                   : values[kSecondFailureRate] / values[kFailureRate];
    };
    for (const StageInput& stage : input.stages) {
        const double step_s =
            ((stage.step_s.mid - stage.rollout_s) * links + stage.rollout_s * screws.rollout) *
            step_factor;
        const auto own = static_cast<double>(own_devices(stage));
        const auto shared = static_cast<double>(stage.shared_devices);
        StageWork work{stage.kind, steps_of(stage) * step_s, step_s,
                       grown(own_devices(stage) + stage.shared_devices),
                       grown(stage.loose_devices)};
        work.fleet = stage.fleet;
        work.failure_weight =
            (own * weight_of(stage.fleet) + shared * weight_of(1 - stage.fleet)) / (own + shared);
        work.loose_fleet = stage.loose_fleet;
        work.loose_failure_weight = weight_of(stage.loose_fleet);
        setup.devices = std::max(setup.devices, work.devices);
        setup.stages.push_back(std::move(work));
    }
    if (input.second) setup.second_spare_nodes = grown(input.second->spare_nodes);
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

namespace {

bool uses(const StageInput& stage, std::size_t fleet) {
    return stage.fleet == fleet || stage.shared_devices > 0 ||
           (stage.loose_devices > 0 && stage.loose_fleet == fleet);
}

// The part of the wall time for which a fleet is held: from the start of the first stage that uses
// it to the end of the last. One fleet alone is held throughout.
double held_ratio(const ProjectionInput& input, const History& history, std::size_t fleet) {
    if (!input.second || history.wall_s <= 0.0) return 1.0;
    std::optional<double> from;
    double until = 0.0;
    for (std::size_t i = 0; i < input.stages.size(); ++i) {
        if (!uses(input.stages[i], fleet)) continue;
        if (!from) from = i == 0 ? 0.0 : history.stage_end_s[i - 1];
        until = history.stage_end_s[i];
    }
    return from ? std::max(0.0, until - *from) / history.wall_s : 0.0;
}

// Rows of one fleet's money.
struct Prices {
    const std::optional<Uncertain>& rent;
    const std::optional<Uncertain>& capex;
    const std::optional<Uncertain>& power;
    double rent_usd, capex_usd, power_w;
};

Bill bill_of(const ProjectionInput& input, const Rows& values, const History& history,
             const Prices& prices, double devices, double held) {
    Bill result;
    if (prices.power) {
        double busy_s = 0.0;
        for (const Share share : {Share::kUseful, Share::kRework, Share::kStraggler, Share::kShrunk,
                                  Share::kMonitoring}) {
            busy_s += history.share_s[static_cast<std::size_t>(share)];
        }
        const double full_s = busy_s + input.idle_power_ratio * (history.wall_s - busy_s);
        const double joules =
            devices * prices.power_w * std::max(1.0, values[kPowerUsage]) * full_s * held;
        result.energy_kwh = joules / 3.6e6;
    }
    const double held_s = history.wall_s * held;
    if (prices.rent) {
        result.cost_usd = devices * prices.rent_usd * held_s / kSecondsPerHour;
    } else if (prices.capex && result.energy_kwh && input.beliefs.usd_per_kwh) {
        result.cost_usd = devices * prices.capex_usd * held_s / input.capex_lifetime_s +
                          *result.energy_kwh * values[kTariff];
    }
    return result;
}

std::optional<double> sum_of(const std::optional<double>& a, const std::optional<double>& b) {
    return a && b ? std::optional(*a + *b) : std::nullopt;
}

}  // namespace

Bill bill(const ProjectionInput& input, const Rows& values, const History& history) {
    const Beliefs& beliefs = input.beliefs;
    const auto devices =
        static_cast<double>(input.devices + input.spare_nodes * input.devices_per_node);
    const Bill first =
        bill_of(input, values, history,
                {beliefs.rent_usd_per_device_hour, beliefs.capex_usd_per_device,
                 beliefs.power_w_per_device, values[kRent], values[kCapex], values[kPower]},
                devices, held_ratio(input, history, 0));
    if (!input.second) return first;
    const SecondFleet& fleet = *input.second;
    const Bill second = bill_of(
        input, values, history,
        {fleet.rent_usd_per_device_hour, fleet.capex_usd_per_device, fleet.power_w_per_device,
         values[kSecondRent], values[kSecondCapex], values[kSecondPower]},
        static_cast<double>(fleet.devices + fleet.spare_nodes * fleet.devices_per_node),
        held_ratio(input, history, 1));
    return {sum_of(first.cost_usd, second.cost_usd), sum_of(first.energy_kwh, second.energy_kwh)};
}

}  // namespace ascertain::goodput
