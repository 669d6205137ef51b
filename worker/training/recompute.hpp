// Activation checkpointing: a block keeps its input only, and runs again in the backward pass.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>
#include <vector>

namespace ascertain::training {

using Block = std::function<std::vector<at::Tensor>(const at::Tensor&)>;

// block(x), whose intermediate values are not kept. `x` must require a gradient, or the block's own
// parameters get none. The block must give the same values when run twice; random numbers drawn
// from the generators of the host and of the device are the same both times.
[[nodiscard]] std::vector<at::Tensor> recomputed(Block block, const at::Tensor& x);

}  // namespace ascertain::training
