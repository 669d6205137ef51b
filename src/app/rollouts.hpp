// How long the answers of one reinforcement-learning update take, as the months believe it.
#pragma once

#include "app/home.hpp"
#include "app/situation.hpp"
#include "base/result.hpp"
#include "predict/cost/constants.hpp"
#include "predict/goodput/projection.hpp"
#include "predict/serving/rollout.hpp"

namespace ascertain::app {

// Seconds that `fleet` writes one update's answers of a grpo stage, by the serving model; the share
// of one update where the answers of several are written at once. Where the
// campaign does not say whether updates wait for their longest answer, the belief goes from not
// waiting to waiting. docs/formulas.md#rollout-time. Errors: kUnknownValue for a number that the
// catalog lacks; kBadInput when the model cannot be served on the fleet.
[[nodiscard]] Result<goodput::Uncertain> rollout_belief(const Home& home,
                                                        const Situation& situation,
                                                        const cost::CostBook& book,
                                                        const Stage& stage,
                                                        const catalog::Fleet& fleet);

// The belief of rollouts that were priced already.
[[nodiscard]] goodput::Uncertain belief_of(const serving::Rollout& rollout, const Stage& stage);

}  // namespace ascertain::app
