// Numbers below the least normal one of fp32 and bf16 (both 2^-126), read and written as zero of
// their sign. fp16 keeps its own, as the units that flush these two do.
#pragma once

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <string_view>

namespace ascertain::simulated::arithmetic {

// Operators that compute: what only moves, compares or draws keeps every bit. Name without '_'.
[[nodiscard]] bool is_arithmetic(std::string_view name);

// Before the kernel: what is only read is replaced by a flushed copy where it holds subnormals,
// what is written is flushed in place. After it: the results.
void flush_inputs(const c10::OperatorHandle& op, torch::jit::Stack& stack);
void flush_outputs(const c10::OperatorHandle& op, torch::jit::Stack& stack);

}  // namespace ascertain::simulated::arithmetic
