// Where a sampler has bugs of its own: the points of drawing answers and learning from them at
// which planted defects act (docs/defects.md). As in points.hpp, on the simulated chip alone.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/training/model.hpp"

namespace ascertain::training::planted {

// Before a token is decoded.
void at_kv_cache(KvCache& cache, at::Device device);
// Logits on the host, fp64 [rows, vocabulary].
[[nodiscard]] at::Tensor at_rollout_logits(const at::Tensor& logits, at::Device device);
// What drawn tokens arrive as on the host, int64 [rows, tokens]; those of column `step` are new.
void at_tokens_to_host(const at::Tensor& tokens, std::int64_t step, at::Device device);
// Of the drawn tokens; changed in place.
void at_rollout_log_probabilities(const at::Tensor& values, at::Device device);
// [rows, 1]; changed in place.
void at_advantages(const at::Tensor& values, at::Device device);

}  // namespace ascertain::training::planted
