#include "predict/goodput/run_setup.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "base/units.hpp"
#include "predict/goodput/closed_forms.hpp"

namespace ascertain::goodput {
namespace {

constexpr double kLongestTime_s = 50.0 * 365.25 * kSecondsPerDay;
constexpr std::int64_t kDevicesMax = 100'000'000;

struct Bounded {
    const char* name;
    double value;
    double low;
    double high;
};

std::optional<Error> out_of_range(const Bounded& field) {
    if (field.value >= field.low && field.value <= field.high) return std::nullopt;  // NaN fails
    return Error{
        ErrorCode::kBadInput,
        fmt::format("is {}, but must lie between {} and {}", field.value, field.low, field.high),
        field.name};
}

Result<void> validate_class(const FailureClass& failure) {
    const std::string where = "failure.classes." + failure.name;
    const Bounded fields[] = {
        {"share", failure.share, 0.0, 1.0},
        {"replaced_ratio", failure.replaced_ratio, 0.0, 1.0},
        {"nodes_lost", failure.nodes_lost, 1.0, 1e4},
        {"repair_s", failure.repair_s, 0.0, kLongestTime_s},
        {"detection_s", failure.detection_s, 0.0, kLongestTime_s},
        {"hang_ratio", failure.hang_ratio, 0.0, 1.0},
        {"silent_detection_s", failure.silent_detection_s, 0.0, kLongestTime_s},
    };
    for (const Bounded& field : fields) {
        if (auto error = out_of_range(field)) {
            return Error{error->code, error->message, where + "." + error->where};
        }
    }
    return {};
}

Result<void> validate_stages(const RunSetup& setup) {
    if (setup.stages.empty()) {
        return Error{ErrorCode::kBadInput, "there is nothing to do: name at least one stage",
                     "stages"};
    }
    for (const StageWork& stage : setup.stages) {
        const std::string where = "stages." + stage.kind;
        if (auto error = out_of_range({"work_s", stage.work_s, 1e-9, kLongestTime_s})) {
            return Error{error->code,
                         error->message + " (a stage of more than 50 years never finishes)",
                         where + ".work_s"};
        }
        if (auto error = out_of_range({"step_s", stage.step_s, 0.0, stage.work_s * (1.0 + 1e-9)})) {
            return Error{error->code, error->message, where + ".step_s"};
        }
        if (!(stage.failure_weight >= 0.0 && stage.failure_weight <= 1e6) ||
            !(stage.loose_failure_weight >= 0.0 && stage.loose_failure_weight <= 1e6) ||
            stage.fleet > 1 || stage.loose_fleet > 1) {
            return Error{ErrorCode::kBadInput,
                         "fleets are 0 and 1, failure weights lie between 0 and a million",
                         where + ".fleet"};
        }
        if (stage.devices < 0 || stage.devices > setup.devices || stage.loose_devices < 0 ||
            stage.loose_devices > kDevicesMax) {
            return Error{ErrorCode::kBadInput,
                         fmt::format("asks for {} devices and {} loose ones of a fleet of {}",
                                     stage.devices, stage.loose_devices, setup.devices),
                         where + ".devices"};
        }
    }
    return {};
}

}  // namespace

Result<void> validate(const RunSetup& setup) {
    const FailureModel& failure = setup.failure;
    const RecoveryModel& recovery = setup.recovery;
    const CheckpointModel& checkpoint = setup.checkpoint;
    const Bounded fields[] = {
        {"devices", static_cast<double>(setup.devices), 1.0, static_cast<double>(kDevicesMax)},
        {"devices_per_node", static_cast<double>(setup.devices_per_node), 1.0, 1e4},
        {"spare_nodes", static_cast<double>(setup.spare_nodes), 0.0,
         static_cast<double>(kDevicesMax)},
        {"second_spare_nodes", static_cast<double>(setup.second_spare_nodes), 0.0,
         static_cast<double>(kDevicesMax)},
        {"stage_change_s", setup.stage_change_s, 0.0, kLongestTime_s},
        {"monitoring_ratio", setup.monitoring_ratio, 0.0, 10.0},
        {"failure.rate_per_device_s", failure.rate_per_device_s, 0.0, 1.0},
        {"failure.hang_detection_s", failure.hang_detection_s, 0.0, kLongestTime_s},
        {"failure.lemon_ratio", failure.lemon_ratio, 0.0, 0.5},
        {"failure.lemon_multiplier", failure.lemon_multiplier, 1.0, 1e6},
        {"failure.lemon_strikes", static_cast<double>(failure.lemon_strikes), 1.0, 1e6},
        {"failure.infant_multiplier", failure.infant_multiplier, 1.0, 1e4},
        {"failure.infant_decay_s", failure.infant_decay_s, 1.0, kLongestTime_s},
        {"failure.site_rate_per_s", failure.site_rate_per_s, 0.0, 1.0},
        {"failure.site_outage_s", failure.site_outage_s, 0.0, kLongestTime_s},
        {"recovery.restart_s", recovery.restart_s, 0.0, kLongestTime_s},
        {"recovery.load_s", recovery.load_s, 0.0, kLongestTime_s},
        {"recovery.swap_s", recovery.swap_s, 0.0, kLongestTime_s},
        {"recovery.spread", recovery.spread, 0.0, 4.0},
        {"recovery.failure_ratio", recovery.failure_ratio, 0.0, 0.95},
        {"recovery.retry_gap_s", recovery.retry_gap_s, 0.0, kLongestTime_s},
        {"checkpoint.stall_s", checkpoint.stall_s, 0.0, kLongestTime_s},
        {"checkpoint.write_s", checkpoint.write_s, 0.0, kLongestTime_s},
        {"checkpoint.interval_s", checkpoint.interval_s, 0.0, kLongestTime_s},
        {"checkpoint.persistent_interval_s", checkpoint.persistent_interval_s, 1.0, kLongestTime_s},
        {"checkpoint.retained", static_cast<double>(checkpoint.retained), 1.0, 1e9},
        {"checkpoint.archive_interval_s", checkpoint.archive_interval_s, 1.0, kLongestTime_s},
        {"elastic.nodes_per_replica", static_cast<double>(setup.elastic.nodes_per_replica), 0.0,
         static_cast<double>(kDevicesMax)},
        {"elastic.replicas_lost_ratio_max", setup.elastic.replicas_lost_ratio_max, 0.0, 0.95},
        {"elastic.reshape_s", setup.elastic.reshape_s, 0.0, kLongestTime_s},
        {"straggler.slowdown_ratio", setup.straggler.slowdown_ratio, 0.0, 1e3},
        {"straggler.slow_rate_per_device_s", setup.straggler.slow_rate_per_device_s, 0.0, 1.0},
        {"straggler.slow_loss_ratio", setup.straggler.slow_loss_ratio, 0.0, 1e3},
        {"straggler.slow_detection_s", setup.straggler.slow_detection_s, 0.0, kLongestTime_s},
        {"straggler.repair_s", setup.straggler.repair_s, 0.0, kLongestTime_s},
        {"maintenance.interval_s", setup.maintenance.interval_s, 0.0, kLongestTime_s},
        {"maintenance.duration_s", setup.maintenance.duration_s, 0.0, kLongestTime_s},
        {"defect.outstanding", setup.defect.outstanding, 0.0, 1e4},
        {"defect.rate_per_s", setup.defect.rate_per_s, 0.0, 1.0},
        {"defect.debug_s", setup.defect.debug_s, 0.0, kLongestTime_s},
        {"defect.debug_spread", setup.defect.debug_spread, 0.0, 4.0},
        {"defect.rollback_s", setup.defect.rollback_s, 0.0, kLongestTime_s},
        {"horizon_s", setup.horizon_s, 1e-9, kLongestTime_s},
        {"event_limit", static_cast<double>(setup.event_limit), 1.0, 1e9},
    };
    for (const Bounded& field : fields) {
        if (auto error = out_of_range(field)) return *error;
    }
    double shares = 0.0;
    for (const FailureClass& one : failure.classes) {
        if (auto checked = validate_class(one); !checked) return checked.error();
        shares += one.share;
    }
    if (!failure.classes.empty() && std::abs(shares - 1.0) > 1e-6) {
        return Error{ErrorCode::kBadInput, fmt::format("shares add up to {}, not to 1", shares),
                     "failure.classes"};
    }
    if (failure.rate_per_device_s > 0.0 && failure.classes.empty()) {
        return Error{ErrorCode::kBadInput, "devices fail, but no class of failure is named",
                     "failure.classes"};
    }
    return validate_stages(setup);
}

double total_work_s(const RunSetup& setup) {
    double work_s = 0.0;
    for (const StageWork& stage : setup.stages) work_s += stage.work_s;
    return work_s;
}

double interruption_rate_per_s(const RunSetup& setup) {
    double loud = 0.0;
    for (const FailureClass& one : setup.failure.classes) loud += one.silent ? 0.0 : one.share;
    double weighted = 0.0;  // devices of the stage that fails most often
    for (const StageWork& stage : setup.stages) {
        const std::int64_t devices = stage.devices > 0 ? stage.devices : setup.devices;
        weighted = std::max(weighted, static_cast<double>(devices) * stage.failure_weight);
    }
    return setup.failure.rate_per_device_s * weighted * loud + setup.failure.site_rate_per_s +
           setup.defect.outstanding * setup.defect.rate_per_s;
}

double checkpoint_interval_s(const RunSetup& setup) {
    const CheckpointModel& checkpoint = setup.checkpoint;
    if (checkpoint.mode == CheckpointMode::kNone) return kLongestTime_s;
    double shortest_s = 1e-3;
    for (const StageWork& stage : setup.stages) shortest_s = std::max(shortest_s, stage.step_s);
    if (checkpoint.mode == CheckpointMode::kAsynchronous) {
        shortest_s = std::max(shortest_s, checkpoint.write_s);
    }
    double interval_s = checkpoint.interval_s;
    if (interval_s <= 0.0) {
        const double rate = interruption_rate_per_s(setup);
        interval_s = rate > 0.0 ? daly_interval_s(checkpoint.stall_s, 1.0 / rate) : kSecondsPerDay;
        interval_s = std::min(interval_s, kSecondsPerDay);
    }
    return std::max(interval_s, shortest_s);
}

}  // namespace ascertain::goodput
