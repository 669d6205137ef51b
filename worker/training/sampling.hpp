// Drawing answers from a model, token by token, with a key-value cache.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "worker/training/model.hpp"

namespace ascertain::training {

struct SampleOptions {
    std::int64_t response_tokens = 0;  // at most so many; a response ends with the token `end`
    std::int64_t end = 0;
    bool greedy = false;     // the likeliest token, else drawn at temperature 1
    std::uint64_t seed = 0;  // row r draws from stream `stream` + r
    std::uint64_t stream = 0;
};

// On the CPU.
struct Rollout {
    at::Tensor tokens;  // [rows, prompt + response], int64; 0 after the end
    // Of the drawn tokens under the sampler's own arithmetic, [rows, response], fp64; 0 after the
    // end.
    at::Tensor log_probabilities;
    at::Tensor drawn;  // [rows, response], fp32: 1 where a token was drawn, the end included
};

// prompts [rows, prompt], int64 on the CPU. Tokens are drawn on the CPU from the device's logits,
// so that the same logits give the same tokens everywhere.
[[nodiscard]] Rollout sample(const Model& model, const at::Tensor& prompts,
                             const SampleOptions& options);

}  // namespace ascertain::training
