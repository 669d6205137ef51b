// Will the run finish: when, at what cost, with what probability, and what would have to be true.
//
// Two kinds of not-knowing are kept apart. Luck: one set of inputs gives many histories. Ignorance:
// the inputs themselves are beliefs. A projection draws inputs from the beliefs, plays histories
// for each, and reports the probability of the deadline as a range over the inputs.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "predict/goodput/belief.hpp"
#include "predict/goodput/growth.hpp"
#include "predict/goodput/history.hpp"
#include "predict/goodput/run_setup.hpp"
#include "predict/goodput/soak.hpp"
#include "predict/goodput/timeline.hpp"

namespace ascertain::goodput {

struct StageInput {
    std::string kind;     // "pretrain", "sft", "grpo" ...
    double steps = 0.0;   // optimizer steps; 0: from tokens
    double tokens = 0.0;  // used when steps is 0
    double tokens_per_step = 0.0;
    Uncertain step_s;                 // seconds of one step on a healthy fleet, straggling left out
    double rollout_s = 0.0;           // of its middle, the part that writes answers, 0..step_s.mid
    std::int64_t devices = 0;         // of its fleet, in lock-step; 0: the whole fleet
    std::int64_t loose_devices = 0;   // rollout workers, which fail without stopping the rest
    std::size_t fleet = 0;            // 0: the first fleet, 1: the second
    std::int64_t shared_devices = 0;  // of the other fleet, in lock-step with those
    std::size_t loose_fleet = 0;      // whose devices the rollout workers are
};

// One kind of failure, in shares and in ratios to the inputs below.
struct FailureShape {
    std::string name;
    double share = 1.0;            // of all interruptions
    double replaced_ratio = 0.0;   // how often the node leaves for repair
    double nodes_lost = 1.0;       // when it does
    double hang_ratio = 0.0;       // how often only a watchdog notices
    double detection_ratio = 1.0;  // x detection_s
    double repair_ratio = 1.0;     // x repair_s
    bool silent = false;           // corrupts; found after silent_detection_s
};

// Everything one may be unsure of. The defaults of data/reliability/defaults.toml fill them.
struct Beliefs {
    Uncertain detection_s;  // from a fault to a job known to be down
    Uncertain hang_detection_s;
    Uncertain silent_detection_s;  // from corruption to its discovery
    Uncertain restart_s;           // scheduling, initialisation, compilation; loading comes on top
    Uncertain restart_failure_ratio;
    Uncertain swap_s;    // bringing a spare in
    Uncertain repair_s;  // a node away
    Uncertain checkpoint_bytes;
    Uncertain write_bytes_per_s;  // of the whole job to durable storage
    Uncertain read_bytes_per_s;
    Uncertain snapshot_s;       // training waits for an asynchronous or in-memory checkpoint
    Uncertain straggler_ratio;  // steps longer than step_s by
    Uncertain slow_per_device_hour;
    Uncertain slow_loss_ratio;
    Uncertain slow_detection_s;
    Uncertain monitoring_ratio;
    Uncertain infant_multiplier;  // of the failure rate at the start of a new site
    Uncertain site_per_day;
    Uncertain site_outage_s;
    Uncertain defects_outstanding;   // software defects not yet found that will stop the run
    Uncertain defect_found_per_day;  // each shows itself at this rate while training runs
    Uncertain debug_s;
    // Money and power. A price nobody gave makes the cost null.
    std::optional<Uncertain> rent_usd_per_device_hour;
    std::optional<Uncertain> capex_usd_per_device;  // used when there is no rent
    std::optional<Uncertain> power_w_per_device;    // busy, host included
    Uncertain power_usage_effectiveness;
    std::optional<Uncertain> usd_per_kwh;  // added to capex
};

// A part of the healthy training step (answers left out) that is no compute, for the waterfall:
// "bubble", "imbalance", "exposed_communication" (which must_be_true also turns, as the speed of
// the links).
struct StepShare {
    std::string name;
    double ratio = 0.0;  // of the step without its answers; all together at most 1
};

struct Blocker {
    std::string check;
    std::string reason;
};

struct FailurePrior {
    GammaRate rate;  // interruptions per device-hour
    Kind kind = Kind::kGuessed;
    std::string source;
};

// Chips of another kind beside the first fleet: they fail, cost and draw power in their own way,
// and their spares are no spares of the first. Both share the site and its operations.
struct SecondFleet {
    std::string name;
    std::int64_t devices = 0;
    std::int64_t devices_per_node = 8;
    std::int64_t spare_nodes = 0;
    FailurePrior failure;
    std::optional<Uncertain> rent_usd_per_device_hour;
    std::optional<Uncertain> capex_usd_per_device;
    std::optional<Uncertain> power_w_per_device;
    SoakEvidence soak;  // of its chips; none: zeros
};

struct ProjectionInput {
    std::vector<StageInput> stages;
    std::int64_t devices = 0;
    std::int64_t devices_per_node = 8;
    std::int64_t spare_nodes = 0;
    std::optional<SecondFleet> second;
    FailurePrior failure;
    SoakEvidence soak;  // none: zeros
    std::vector<FailureShape> failures;
    DefectFindings findings;  // of this qualification; none: zeros
    Beliefs beliefs;
    CheckpointMode checkpoint_mode = CheckpointMode::kBlocking;
    double checkpoint_interval_s = 0.0;  // 0: the best one
    double persistent_interval_s = 3600.0;
    double operations_correlation = 0.0;  // of the inputs that a site's operations decide, 0..1
    double lemon_ratio = 0.0;
    double lemon_multiplier = 1.0;
    double infant_decay_s = 30.0 * 86400.0;
    double recovery_spread = 0.0;  // standard deviation of the logarithm
    double debug_spread = 0.0;
    double stage_change_s = 0.0;
    ElasticModel elastic;
    MaintenanceModel maintenance;
    std::vector<StepShare> step_shares;

    std::optional<double> deadline_s;
    std::optional<double> budget_usd;
    double confidence = 0.9;
    double capex_lifetime_s = 4.0 * 365.25 * 86400.0;
    double idle_power_ratio = 0.4;  // of busy power, while training stands still
    // A fleet of twice the chips is so much less efficient per chip, for "how many more chips".
    double efficiency_per_doubling = 0.95;
    std::vector<Blocker> blockers;

    std::uint64_t seed = 1;
    int belief_draws = 96;  // fewer histories per draw where each is a long story
    int histories_per_draw = 32;
    int threads = 2;  // the answer does not depend on it
};

// Quantiles; absent where the histories did not get there, with the reason.
struct Quantiles {
    std::optional<double> p10;
    std::optional<double> p50;
    std::optional<double> p90;
    std::string reason;
};

enum class Answer { kLikely, kUnlikely, kUnknown };
[[nodiscard]] std::string_view name_of(Answer answer);

struct DeadlineProbability {
    // 10 %, 50 % and 90 % over the beliefs about the inputs; absent under an open blocker.
    std::optional<double> low;
    std::optional<double> mid;
    std::optional<double> high;
    std::string decided_by;  // input that moves it most
    Kind decided_by_kind = Kind::kGuessed;
    std::string settled_by;  // the check that would narrow that input
    std::string reason;      // why the numbers are absent, or why the answer is what it is
};

// What one input must be for the wanted confidence, all others at their middle.
struct MustBeTrue {
    std::string name;
    std::string unit;
    std::string direction;  // "at_least" or "at_most"
    double now = 0.0;
    std::optional<double> needed;
    // For the MTBF: further quiet device-hours until a soak would show it with the confidence.
    std::optional<double> device_hours_to_prove;
    std::string reason;  // why `needed` is absent
};

// How far one input alone, from its low to its high, moves the answer.
struct TornadoBar {
    std::string name;
    Kind kind = Kind::kGuessed;
    double low = 0.0;  // of the input
    double high = 0.0;
    std::optional<double> finish_days_at_low;  // median
    std::optional<double> finish_days_at_high;
    double probability_at_low = 0.0;
    double probability_at_high = 0.0;
    std::string settled_by;
};

struct Provenance {
    std::string name;
    std::string unit;
    double value = 0.0;
    double low = 0.0;
    double high = 0.0;
    Kind kind = Kind::kGuessed;
    std::string source;
};

struct WaterfallPart {
    std::string name;
    double ratio = 0.0;  // of the wall time; all parts add up to 1
};

struct Projection {
    Answer answer = Answer::kUnknown;
    DeadlineProbability deadline;
    double confidence = 0.9;
    std::optional<double> deadline_days;
    double ideal_days = 0.0;  // nothing fails, nothing straggles
    Quantiles finish_days;
    double horizon_days = 0.0;    // histories were given up here
    double finished_ratio = 0.0;  // histories that finished before
    Quantiles cost_usd;
    std::optional<double> budget_usd;
    std::optional<double> probability_within_budget;
    Quantiles energy_kwh;
    std::vector<WaterfallPart> waterfall;
    // Of the wall time: what was lost to each failure class, and to each Cause; the same time as
    // the waterfall's from rework on, told by why and not by how.
    std::vector<WaterfallPart> lost_to;
    double goodput_ratio = 0.0;  // useful share of the wall time, mean over histories
    Quantiles interruptions_per_day;
    double corrupted_at_end_ratio = 0.0;  // finished runs that end with unnoticed corruption
    double failure_prior_share = 1.0;
    double checkpoint_interval_s = 0.0;               // at the middle of all beliefs
    std::vector<double> finish_days_histogram_edges;  // for the report's picture
    std::vector<std::int64_t> finish_days_histogram;
    std::vector<MustBeTrue> must_be_true;
    std::vector<TornadoBar> tornado;
    std::vector<Provenance> provenance;
    std::vector<Blocker> blockers;
    std::int64_t histories = 0;
    std::uint64_t seed = 0;
    // One history at the middle of all beliefs: of some, the one of median length.
    Trace trace;        // at most 2,000 records
    Timeline timeline;  // 96 slices
};

// kBadInput names the field that is missing, negative or absurd. Cost: about 4,000 histories for
// the answer and 10,000 cut off at the deadline for must_be_true; a second or two for thousands of
// chips.
[[nodiscard]] Result<Projection> project(const ProjectionInput& input);

}  // namespace ascertain::goodput
