// Distances between what a device gave and what an ideal machine would have given.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "worker/host/torch.hpp"

namespace ascertain::operators {

// Upper edges of the error histogram, in ulp of the output's dtype; the last bin is open.
inline constexpr std::array<double, 10> kUlpEdges = {0.0, 0.25, 0.5, 0.75, 1.0,
                                                     2.0, 4.0,  8.0, 64.0, 1024.0};

struct Worst {
    std::vector<std::int64_t> index;
    double got = 0.0;
    double expected = 0.0;
    double ulp = 0.0;  // error in ulp
};

// Over the elements where both sides are finite, docs/formulas.md#operator-metrics. e = got -
// reference; ideal = reference rounded once to the output's dtype.
struct Distance {
    std::int64_t elements = 0;
    std::int64_t not_ideal = 0;  // elements that differ from ideal, ties apart (#rounding-share)
    std::int64_t nonfinite_mismatches =
        0;                          // one side infinite or NaN, the other not or differently
    double error_square_sum = 0.0;  // of e
    double ideal_square_sum = 0.0;  // of ideal - reference
    double reference_square_sum = 0.0;
    double error_max = 0.0;
    double reference_max = 0.0;
    double ulp_max = 0.0;    // |e| in ulp at the size of the largest element of the row
    double bound_max = 0.0;  // |e| over the bound, where a bound was given
    // The slope of (got - ideal) against the reference, and the variance of that estimate.
    double bias_sum = 0.0;
    double bias_variance_sum = 0.0;
    std::array<std::int64_t, kUlpEdges.size() + 1> histogram{};
    std::optional<Worst> worst;

    [[nodiscard]] double rms_error() const;
    [[nodiscard]] double rms_ideal() const;
    [[nodiscard]] double rms_reference() const;
    [[nodiscard]] double bias() const;    // relative: 0.001 for results 0.1 % too large
    [[nodiscard]] double bias_z() const;  // bias over its standard error
};

// `got` on the CPU in any floating dtype, `reference` and (if defined) `bound` fp64 of the same
// shape. The rows are those of the last dimension. Cost: one pass, in as many threads as torch has.
[[nodiscard]] Distance compare(const at::Tensor& got, const at::Tensor& reference,
                               const at::Tensor& bound);

// Root mean square of the difference of two fp64 tensors, finite elements only.
[[nodiscard]] double rms_difference(const at::Tensor& a, const at::Tensor& b);

}  // namespace ascertain::operators
