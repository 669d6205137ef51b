// One long run in plain numbers: what is to be done, on how many nodes, what breaks how often, and
// what a repair costs. Nothing here is uncertain; beliefs about these numbers live in
// projection.hpp.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace ascertain::goodput {

// A part of the run with its own work: pre-training, supervised fine-tuning, reinforcement
// learning.
struct StageWork {
    std::string kind;
    double work_s = 0.0;       // seconds the stage takes when nothing goes wrong, > 0
    double step_s = 0.0;       // seconds of one of its steps: no checkpoint interval is shorter
    std::int64_t devices = 0;  // devices that must all be up; 0: those of the whole run
    // Devices that fail without stopping the others (rollout workers of RL): each one away slows
    // the stage by its share until it is repaired or replaced.
    std::int64_t loose_devices = 0;
    // Where there are two fleets: whose spares the devices in lock-step draw on (0 or 1), and how
    // often each of them fails, relative to `FailureModel::rate_per_device_s`; so for loose ones.
    std::size_t fleet = 0;
    double failure_weight = 1.0;
    std::size_t loose_fleet = 0;
    double loose_failure_weight = 1.0;
};

// A kind of interruption. Shares of all classes add up to 1.
struct FailureClass {
    std::string name;
    double share = 1.0;
    double replaced_ratio = 0.0;    // how often the node must leave for repair, 0..1
    double nodes_lost = 1.0;        // nodes that leave together when they do, >= 1 (a switch: more)
    double repair_s = 86400.0;      // mean, exponential, until the node is a spare again
    double detection_s = 60.0;      // from the fault until the job is known to be down
    double hang_ratio = 0.0;        // how often nothing is raised and only a watchdog ends the job
    bool silent = false;            // corrupts numbers and lets the job go on
    double silent_detection_s = 0;  // mean, exponential, from corruption to its discovery
};

struct FailureModel {
    double rate_per_device_s =
        0.0;  // of all classes together, averaged over the fleet, when settled
    std::vector<FailureClass> classes;
    double hang_detection_s = 1800.0;
    // Frailty: so many nodes fail so many times as often as the others, and are evicted for good
    // after so many failures.
    double lemon_ratio = 0.0;
    double lemon_multiplier = 1.0;
    std::int64_t lemon_strikes = 3;
    // Infant mortality: the rate is multiplied by 1 + (infant_multiplier - 1) exp(-t / decay).
    double infant_multiplier = 1.0;
    double infant_decay_s = 30.0 * 86400.0;
    // What takes the whole site down, whatever its size: file system, power, provider.
    double site_rate_per_s = 0.0;
    double site_outage_s = 0.0;  // mean, exponential
};

struct RecoveryModel {
    double restart_s = 600.0;    // scheduling, initialisation, communicators, compilation
    double load_s = 0.0;         // reading the checkpoint back
    double swap_s = 0.0;         // bringing a spare in
    double spread = 0.0;         // standard deviation of the logarithm of each recovery
    double failure_ratio = 0.0;  // restarts that fail and are tried again, 0..0.95
    double retry_gap_s = 0.0;
};

enum class CheckpointMode {
    kNone,          // a failure costs the whole run so far
    kBlocking,      // training waits until the checkpoint is durable
    kAsynchronous,  // training waits for the snapshot, the write goes on beside it
    kInMemory,      // copies in a peer's memory, and a persistent one now and then
};

struct CheckpointModel {
    CheckpointMode mode = CheckpointMode::kBlocking;
    double stall_s = 30.0;    // training waits so long for each one
    double write_s = 0.0;     // asynchronous: from the snapshot until it is durable
    double interval_s = 0.0;  // training between two checkpoints; 0: the best one (Daly)
    double persistent_interval_s = 3600.0;  // in memory: between persistent copies
    std::int64_t retained = 10;             // the last ones kept for a deep rollback
    double archive_interval_s = 86400.0;    // and, beyond those, one kept every so often
};

struct ElasticModel {
    std::int64_t nodes_per_replica = 0;  // 0: the run cannot shrink
    double replicas_lost_ratio_max = 0.25;
    double reshape_s = 300.0;  // added to the restart whenever the shape changes
};

struct StragglerModel {
    double slowdown_ratio = 0.0;          // steady: 0.05 means steps take 5 % longer
    double slow_rate_per_device_s = 0.0;  // devices that turn slow
    double slow_loss_ratio = 0.0;         // mean, exponential: what one slow device costs all
    double slow_detection_s = 86400.0;    // mean, exponential, until it is found and evicted
    double repair_s = 86400.0;            // mean, exponential, of an evicted node
};

struct MaintenanceModel {
    double interval_s = 0.0;  // 0: none
    double duration_s = 0.0;
};

// Software defects not yet found, by Goel and Okumoto: each of the outstanding ones shows itself
// after an exponential time of running, stops the run, and is gone once mended.
struct DefectModel {
    double outstanding = 0.0;   // mean number at the start, Poisson
    double rate_per_s = 0.0;    // of each, per second of running
    double debug_s = 0.0;       // mean time until the run may go on
    double debug_spread = 0.0;  // standard deviation of its logarithm
    double rollback_s = 0.0;    // mean, exponential: good work thrown away beyond the checkpoint
};

struct RunSetup {
    std::vector<StageWork> stages;
    std::int64_t devices = 0;
    std::int64_t devices_per_node = 8;
    std::int64_t spare_nodes = 0;
    std::int64_t second_spare_nodes = 0;  // of the second fleet: chips of another kind
    double stage_change_s = 0.0;
    double monitoring_ratio = 0.0;  // 0.01: watching costs 1 % of the step
    FailureModel failure;
    RecoveryModel recovery;
    CheckpointModel checkpoint;
    ElasticModel elastic;
    StragglerModel straggler;
    MaintenanceModel maintenance;
    DefectModel defect;
    double horizon_s = 0.0;              // the history is given up here; > 0
    std::int64_t event_limit = 400'000;  // or after so many events
    // Or, when set, as soon as some thousand events show a pace at which not even a fifth of the
    // work would be done at the horizon.
    bool gives_up_early = false;
};

// Names the first field that is negative, not finite, contradictory or absurd.
[[nodiscard]] Result<void> validate(const RunSetup& setup);

[[nodiscard]] double total_work_s(const RunSetup& setup);
// Failures per second that stop the whole run: devices, site and software, silent ones left out.
[[nodiscard]] double interruption_rate_per_s(const RunSetup& setup);
// Seconds of training between two checkpoints: the given interval, or Daly's optimum for the rate
// above, never below one step nor (asynchronous) below what a write takes, and at most a day.
[[nodiscard]] double checkpoint_interval_s(const RunSetup& setup);

}  // namespace ascertain::goodput
