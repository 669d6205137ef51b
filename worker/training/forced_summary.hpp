// From what the forced comparison collected to its metrics.
#pragma once

#include <cstdint>
#include <vector>

#include "base/observation.hpp"
#include "worker/training/compare.hpp"
#include "worker/training/forced.hpp"

namespace ascertain::training {

// Signed deviations have one entry per step; the rest is the worst or the sum over all steps.
struct ForcedTotals {
    std::vector<SignedDeviations> losses;
    std::vector<SignedDeviations> norms;
    double twin_error = 0.0;  // relative, of the worst tensor
    double update_norm = 0.0;
    double global_update_norm = 0.0;
    double optimizer_error = 0.0;
    std::int64_t bias_mismatches = 0;
    std::int64_t biases = 0;  // compared
    std::int64_t tokens_disagreeing = 0;
    std::int64_t tokens_routed = 0;
};

// Relative and logarithmic deviation of `got` from `expected`, which is finite and positive;
// kNotFinite where there is none.
[[nodiscard]] double relative_deviation(double got, double expected);
[[nodiscard]] double log_ratio(double got, double expected);

[[nodiscard]] Observation summarise(const std::vector<ForcedPoint>& points,
                                    const std::vector<ForcedTensor>& tensors,
                                    const ForcedTotals& totals);

}  // namespace ascertain::training
