// How long a fleet writes the answers of one reinforcement-learning update.
// docs/formulas.md#rollout-time
#pragma once

#include <cstdint>

#include "predict/serving/serving.hpp"

namespace ascertain::serving {

// Lengths of answers: log-normal, cut off where the trainer stops an answer.
struct Lengths {
    double mean_tokens = 0.0;
    double log_spread = 0.7;     // of the log-normal; a guess between published runs
    double longest_ratio = 3.0;  // cut-off over the mean: R1-Zero's 32,768 over about 10,000
};

// Share of answers longer than `tokens`. Integrates to mean_tokens up to the cut-off.
class Survival {
public:
    // kBadInput for a mean, spread or ratio that is not positive, or a ratio of at most 1.
    [[nodiscard]] static Result<Survival> of(const Lengths& lengths);
    [[nodiscard]] double operator()(double tokens) const;
    [[nodiscard]] double longest() const { return longest_; }

private:
    double log_median_ = 0.0;
    double log_spread_ = 1.0;
    double longest_ = 0.0;
};

struct RolloutQuestion {
    double answers = 0.0;  // of one update
    double prompt_tokens = 0.0;
    Lengths lengths;
    std::int64_t chips = 0;
};

// The same answers under both ways of working.
struct Rollout {
    Layout layout;              // the fastest for `waiting_s`
    Layout carrying_layout;     // the fastest for `carrying_s`
    double sequences = 0.0;     // at once in each group, at first
    double waiting_s = 0.0;     // every update waits for its longest answer
    double carrying_s = 0.0;    // unfinished answers go on in the next update
    double tokens_per_s = 0.0;  // per chip, carrying
    double width = 0.0;         // half-width of the 80 % interval, in logarithms
};

// Over all layouts, the fastest. Errors: those of best_layouts; kBadInput when none fits.
[[nodiscard]] Result<Rollout> rollout(const model::Architecture& architecture,
                                      const catalog::Fleet& fleet, const Engine& engine,
                                      const RolloutQuestion& question, const EngineLevel& level,
                                      const cost::CostBook& book);

}  // namespace ascertain::serving
