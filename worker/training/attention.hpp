// Grouped-query and multi-head latent attention.
#pragma once

#include "worker/training/layers.hpp"

namespace ascertain::training {

struct Attention {
    model::Attention shape;
    double softmax_scale = 0.0;
    std::size_t index = 0;  // of the layer, for the cache
    // Grouped-query; qkv is the three in one matrix where the family stores them so.
    Linear q, k, v, qkv;
    Norm q_norm, k_norm;  // over head_dim; undefined weights: none
    // Latent, arXiv 2405.04434 section 2.1. Without q_down, queries come from `q`.
    Linear q_down, q_up, kv_down, kv_up;
    Norm q_latent_norm, kv_latent_norm;
    Linear o;
};

[[nodiscard]] Attention make_attention(Builder& builder, const std::string& layer,
                                       std::size_t index);

// The dimension that rotary embedding turns: head_dim, or the shared part of a latent head.
[[nodiscard]] std::int64_t rope_dimension(const model::Attention& attention);
// Positions a query sees when a sliding window hides some of the past; undefined otherwise.
// [queries, keys]: what queries at `position` on see of a sequence of `keys` tokens.
[[nodiscard]] at::Tensor context_mask(const model::Attention& attention, std::int64_t position,
                                      std::int64_t queries, std::int64_t keys, at::Device device);
[[nodiscard]] at::Tensor attention_mask(const model::Attention& attention,
                                        std::int64_t sequence_length, at::Device device);

// Normalised residual stream in, what attention adds to it out; both [tokens, hidden]. With a
// cache, queries also see what it holds, and it gets what they brought: a first call with any
// number of tokens, then one token at a time.
[[nodiscard]] at::Tensor apply(const Attention& attention, const Pass& pass, const at::Tensor& x);

}  // namespace ascertain::training
