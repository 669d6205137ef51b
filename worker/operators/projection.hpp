// A whole matrix product checked against one random vector: what a sample of rows and columns does
// not look at is looked at here.
#pragma once

#include <cstdint>
#include <optional>

#include "worker/operators/case.hpp"
#include "worker/operators/inputs.hpp"

namespace ascertain::operators {

// For signs x, C x = A (B x) (Freivalds 1977). The largest of |C x - A (B x)| over its rows, over
// what the roundings of C and fp32 sums can make of it; above one is more than chance
// (docs/formulas.md#projection). Nothing for what is no plain product of two matrices. `stack` is
// the call on the CPU, whole; `product` what the device gave. Cost: three passes over the matrices
// in fp64, in blocks of rows.
[[nodiscard]] std::optional<double> projection_ratio(const Case& operator_case, const Stack& stack,
                                                     const at::Tensor& product, std::uint64_t seed);

}  // namespace ascertain::operators
