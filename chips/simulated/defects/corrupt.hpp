// What defects do to the results of an operator. CPU tensors throughout.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "chips/simulated/defects/defect.hpp"

namespace ascertain::simulated::defects {

// A matrix product's operands: out = beta * addend + alpha * left x right.
struct Product {
    at::Tensor left;    // [..., m, k]
    at::Tensor right;   // [..., k, n]
    at::Tensor addend;  // undefined: none
    double alpha = 1.0;
    double beta = 0.0;
};

// What an operator wrote, and what was there before (undefined where the memory was new).
struct Output {
    at::Tensor now;
    at::Tensor before;
};

// Each returns whether anything was done: an output without such a bit, of whole numbers, without
// elements or of another shape than before is left alone.
[[nodiscard]] bool scale(const at::Tensor& output, double factor);
[[nodiscard]] bool flip_bit(const at::Tensor& output, std::int64_t bit, std::int64_t element);
[[nodiscard]] bool drop_tail(const Output& output, std::int64_t elements);
[[nodiscard]] bool zero_out(const at::Tensor& output);
[[nodiscard]] bool replace_by(const at::Tensor& output, const at::Tensor& stale);
[[nodiscard]] bool shift(const at::Tensor& output, std::int64_t by);
[[nodiscard]] bool saturate(const at::Tensor& output, double limit);
// Sums chunks of k one after another, rounding the running sum to bf16 after each.
[[nodiscard]] bool round_partial_sums(const at::Tensor& output, const Product& product,
                                      std::int64_t chunk);
// Sums the chunks in fp32 in an order that no seed fixes.
[[nodiscard]] bool sum_in_any_order(const at::Tensor& output, const Product& product,
                                    std::int64_t chunk);

}  // namespace ascertain::simulated::defects
