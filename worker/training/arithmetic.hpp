// The working precision of a model, in one place: what is rounded, and where.
//
// fp32: nothing is rounded. bf16 and fp16: the operands and outputs of matrix products, attention
// and activations are rounded to the working dtype; accumulation, residual stream, norms, softmax,
// router, loss, optimizer and master weights stay fp32. "Emulated" keeps the values in fp32 storage
// and rounds at the same places, so that a CPU without fast bf16 kernels can say how far healthy
// rounding alone moves a result.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string_view>

#include "base/result.hpp"
#include "worker/host/torch.hpp"

namespace ascertain::training {

struct Arithmetic {
    at::ScalarType dtype = at::kFloat;  // kFloat, kBFloat16, kHalf; kDouble in tests
    bool emulated = false;              // values stay in fp32 storage
    // Another legitimate arithmetic of the same model, where the comparison would otherwise run the
    // same kernels on both sides: every inner product is summed in this many parts, and attention
    // is spelt out.
    std::int64_t summation_parts = 1;

    bool operator==(const Arithmetic&) const = default;
};

// "fp32", "bf16", "fp16". Errors: kUnsupported for another text.
[[nodiscard]] Result<at::ScalarType> dtype_from_name(std::string_view name);
[[nodiscard]] std::string_view name_of_dtype(at::ScalarType dtype);

// `x` in the working dtype. Its gradient is rounded the same way.
[[nodiscard]] at::Tensor round_to(const Arithmetic& arithmetic, const at::Tensor& x);
// `x` in the dtype of norms, softmax and the residual stream: fp32, or fp64 where x is.
[[nodiscard]] at::Tensor widen(const at::Tensor& x);

// x [tokens, in] times weight [out, in] transposed, plus bias [out] if defined -> [tokens, out] in
// the working dtype.
[[nodiscard]] at::Tensor linear(const Arithmetic& arithmetic, const at::Tensor& x,
                                const at::Tensor& weight, const at::Tensor& bias);

// Rows of x [rows, in], sorted by expert, times weight[expert] [experts, out, in] transposed ->
// [rows, out]. `ends` (int32, [experts]) is where each expert's rows end.
[[nodiscard]] at::Tensor grouped_linear(const Arithmetic& arithmetic, const at::Tensor& x,
                                        const at::Tensor& weight, const at::Tensor& ends);

// q [batch, heads, queries, d], k [batch, kv_heads, keys, d], v [batch, kv_heads, keys, dv] ->
// [batch, heads, queries, dv] in the working dtype. Every query sees the keys that `mask` [queries,
// keys] (true: visible) lets it; without a mask those up to its own place where `causal`, else all.
[[nodiscard]] at::Tensor attention(const Arithmetic& arithmetic, const at::Tensor& q,
                                   const at::Tensor& k, const at::Tensor& v, const at::Tensor& mask,
                                   bool causal, double scale);

}  // namespace ascertain::training
