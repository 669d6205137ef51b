// Many histories at once, on several threads, with an answer that does not depend on how many.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "predict/goodput/inputs.hpp"

namespace ascertain::goodput {

// Calls work(0) ... work(count - 1), each exactly once, on up to `threads` threads.
void in_parallel(int threads, int count, const std::function<void(int)>& work);

// Normal scores for `draws` sets of inputs: a Latin hypercube, so that each input's belief is
// covered evenly (McKay, Beckman, Conover, Technometrics 21, 1979). Scores of the inputs that a
// site's operations decide share a common factor and are correlated by `operations_correlation`.
[[nodiscard]] std::vector<Rows> latin_scores(std::uint64_t seed, int draws,
                                             double operations_correlation);

// The share of `histories` that finish by `deadline_s`, with these values and screws. The same
// seed meets the same luck, so the answer changes smoothly with the values.
[[nodiscard]] double probability_by(const ProjectionInput& input, const Rows& values,
                                    const Screws& screws, double deadline_s, int histories);

// The p-quantile of sorted values by linear interpolation between order statistics.
[[nodiscard]] double quantile_of(const std::vector<double>& sorted, double p);

}  // namespace ascertain::goodput
