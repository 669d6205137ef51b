// The uncertain inputs of a projection as one table, so that drawing, tornado, provenance and the
// check that would settle each are written once.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string_view>

#include "predict/goodput/projection.hpp"

namespace ascertain::goodput {

// Nothing that a projection asks about takes longer.
inline constexpr double kTimeMax_s = 5.0 * 365.25 * 86400.0;

// Rows of the table.
enum Input : std::size_t {
    kStep,         // a factor on every stage's step_s: they err together
    kFailureRate,  // interruptions per device-hour
    kDetection,
    kHangDetection,
    kSilentDetection,
    kRestart,
    kRestartFailure,
    kSwap,
    kRepair,
    kCheckpointBytes,
    kWriteBandwidth,
    kReadBandwidth,
    kSnapshot,
    kStraggler,
    kSlowRate,
    kSlowLoss,
    kSlowDetection,
    kMonitoring,
    kInfant,
    kSiteRate,
    kSiteOutage,
    kDefects,
    kDefectRate,
    kDebug,
    kRent,
    kCapex,
    kPower,
    kPowerUsage,
    kTariff,
    kSecondFailureRate,  // of the second fleet, where there is one
    kSecondRent,
    kSecondCapex,
    kSecondPower,
    kInputs,
};
// Money moves no date.
[[nodiscard]] constexpr bool moves_dates(Input row) {
    return row < kRent || row == kSecondFailureRate;
}

// What is known about one row, apart from its belief.
struct InputRow {
    std::string_view name;
    std::string_view unit;
    std::string_view settled_by;  // the check or command that narrows it
    double limit;                 // larger values are absurd
    // How it goes with the quality of a site's operations: +1 a good site has less of it, -1 more,
    // 0 nothing to do with it.
    double operations;
};
[[nodiscard]] const InputRow& row_of(Input input);

// One number per row: normal scores, or values.
using Rows = std::array<double, kInputs>;

// The field of Beliefs behind a row; null for step, failure rate and what money costs.
[[nodiscard]] Uncertain* field_of(Beliefs& beliefs, Input row);
// The belief of a row; absent where the input does not exist (no price given). The failure rate's
// is the posterior's 10 %, 50 % and 90 %; the step's is relative to the middle.
[[nodiscard]] std::optional<Uncertain> belief_of(const ProjectionInput& input, Input row);
// Values at normal scores.
[[nodiscard]] Rows values_at(const ProjectionInput& input, const Rows& scores);

// Optimizer steps of a stage: stated, or tokens / tokens per step, rounded up.
[[nodiscard]] double steps_of(const StageInput& stage);

// The share of all work in which answers are written.
[[nodiscard]] double rollout_share(const ProjectionInput& input);

// The share of the training step (answers left out) that waits for links; 0 when nobody said.
[[nodiscard]] double communication_share(const ProjectionInput& input);

// By what must_be_true turns the inputs.
struct Screws {
    double failure_rate = 1.0;
    double recovery = 1.0;  // detection, hang detection, restart, swap
    double step = 1.0;
    double communication = 1.0;  // the exposed part of the step
    double rollout = 1.0;        // the part of steps that writes answers
    double checkpoint = 1.0;     // bytes, and the snapshot's stall
    double defects = 1.0;
    double devices = 1.0;
    std::optional<std::int64_t> spare_nodes;
};

// A history with more events than this goes nowhere: some 20,000 interruptions.
inline constexpr std::int64_t kEventLimit = 100'000;

// The plain run that `input` is with these values.
[[nodiscard]] RunSetup resolve(const ProjectionInput& input, const Rows& values,
                               const Screws& screws, double horizon_s);

// What one history costs with these values.
struct Bill {
    std::optional<double> cost_usd;
    std::optional<double> energy_kwh;
};
[[nodiscard]] Bill bill(const ProjectionInput& input, const Rows& values, const History& history);

// kBadInput names the first field that is missing, negative, contradictory or absurd.
[[nodiscard]] Result<void> validate(const ProjectionInput& input);

}  // namespace ascertain::goodput
