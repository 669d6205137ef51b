// The two models of the trial, for the tests of this folder.
#pragma once

#include "model/architecture.hpp"

namespace ascertain::training {

// Qwen3-like: grouped queries, query and key norms, SwiGLU.
inline model::Architecture dense_architecture() {
    model::Architecture made;
    made.name = "dense";
    made.family = model::Family::kQwen3;
    made.vocab_size = 32;
    made.hidden_size = 96;
    made.layers = {{model::LayerKind::kDense, 3}};
    made.attention.heads = 4;
    made.attention.kv_heads = 2;
    made.attention.head_dim = 24;
    made.attention.v_head_dim = 24;
    made.attention.qk_norm = true;
    made.mlp.intermediate_size = 256;
    made.position.length_max = 256;
    return made;
}

// DeepSeek-V3-like: latent attention, a dense layer first, sigmoid router with balancing bias.
inline model::Architecture deepseek_architecture() {
    model::Architecture made = dense_architecture();
    made.name = "deepseek";
    made.family = model::Family::kDeepseekV3;
    made.layers = {{model::LayerKind::kDense, 1}, {model::LayerKind::kMoe, 2}};
    made.attention = {};
    made.attention.kind = model::AttentionKind::kMla;
    made.attention.heads = 4;
    made.attention.kv_heads = 4;
    made.attention.head_dim = 32;
    made.attention.kv_lora_rank = 32;
    made.attention.qk_nope_head_dim = 16;
    made.attention.qk_rope_head_dim = 16;
    made.attention.v_head_dim = 24;
    made.moe.experts = 4;
    made.moe.local_experts = 4;
    made.moe.topk = 2;
    made.moe.expert_intermediate_size = 64;
    made.moe.shared_experts = 1;
    made.moe.shared_intermediate_size = 64;
    made.moe.router = model::RouterKind::kSigmoid;
    made.moe.normalise_topk = true;
    made.moe.bias_balancing = true;
    made.position.interleaved = true;
    return made;
}

}  // namespace ascertain::training
