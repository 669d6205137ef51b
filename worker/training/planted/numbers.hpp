// The effects on plain tensors of numbers.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/training/planted/rules.hpp"

namespace ascertain::training::planted {

// `value` as the rule makes it, in the same graph; undefined where its effect is none on numbers.
// `index` counts the tensors that the rule has come to in this call.
[[nodiscard]] at::Tensor altered(const at::Tensor& value, const Asked& asked, std::int64_t index);

// Rows, or halves of rows, in other places.
[[nodiscard]] at::Tensor permuted_rows(const at::Tensor& value);

// Puts `made` in the place of `value`; whether that changed anything. An undefined one changes
// nothing.
[[nodiscard]] bool becomes(const at::Tensor& value, const at::Tensor& made);

}  // namespace ascertain::training::planted
