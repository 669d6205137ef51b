// A legal matrix unit of the less exact kind, emulated: what others are held against where sums are
// long.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>

#include "worker/operators/inputs.hpp"
#include "worker/operators/judgement.hpp"

namespace ascertain::operators {

// Beyond this many terms the share of a legal accumulator is worth computing.
inline constexpr std::int64_t kPlainReductionMax = 4096;

// left [m, k], right [k, n], fp64 values of a 16-bit dtype; the share of the m n products that do
// not come out correctly rounded to `dtype` when blocks of 16 terms are summed exactly and added to
// an fp32 accumulator that truncates. Source of the behaviour: arXiv 2403.00232, section 5.
// Cost: m n k additions.
[[nodiscard]] double truncating_share(const at::Tensor& left, const at::Tensor& right,
                                      c10::ScalarType dtype);

// Length of the sums of a matrix product, with the emulated share of a part of it where they are
// long; nothing for other operators. `stack` is the lifted stack.
[[nodiscard]] std::optional<Reduction> reduction_of(const Case& operator_case, const Stack& stack,
                                                    c10::ScalarType output);

}  // namespace ascertain::operators
