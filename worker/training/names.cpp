#include "worker/training/names.hpp"

namespace ascertain::training {
namespace {

Names llama_names() {
    Names names;
    names.embedding = "model.embed_tokens";
    names.final_norm = "model.norm";
    names.head = "lm_head";
    names.layers = "model.layers.";
    names.attention_norm = "input_layernorm";
    names.mlp_norm = "post_attention_layernorm";
    names.q = "self_attn.q_proj";
    names.k = "self_attn.k_proj";
    names.v = "self_attn.v_proj";
    names.o = "self_attn.o_proj";
    names.q_norm = "self_attn.q_norm";
    names.k_norm = "self_attn.k_norm";
    names.q_down = "self_attn.q_a_proj";
    names.q_latent_norm = "self_attn.q_a_layernorm";
    names.q_up = "self_attn.q_b_proj";
    names.kv_down = "self_attn.kv_a_proj_with_mqa";
    names.kv_latent_norm = "self_attn.kv_a_layernorm";
    names.kv_up = "self_attn.kv_b_proj";
    names.gate = "mlp.gate_proj";
    names.up = "mlp.up_proj";
    names.down = "mlp.down_proj";
    names.router = "mlp.gate";
    names.router_bias = "mlp.gate.e_score_correction_bias";
    names.expert_gate = "mlp.experts.*.gate_proj";
    names.expert_up = "mlp.experts.*.up_proj";
    names.expert_down = "mlp.experts.*.down_proj";
    names.shared_gate = "mlp.shared_experts.gate_proj";
    names.shared_up = "mlp.shared_experts.up_proj";
    names.shared_down = "mlp.shared_experts.down_proj";
    return names;
}

Names mixtral_names() {
    Names names = llama_names();
    names.router = "block_sparse_moe.gate";
    names.expert_gate = "block_sparse_moe.experts.*.w1";
    names.expert_up = "block_sparse_moe.experts.*.w3";
    names.expert_down = "block_sparse_moe.experts.*.w2";
    return names;
}

Names gpt2_names() {
    Names names;
    names.embedding = "transformer.wte";
    names.positions = "transformer.wpe";
    names.final_norm = "transformer.ln_f";
    names.head = "lm_head";
    names.layers = "transformer.h.";
    names.attention_norm = "ln_1";
    names.mlp_norm = "ln_2";
    names.qkv = "attn.c_attn";
    names.o = "attn.c_proj";
    names.up = "mlp.c_fc";
    names.down = "mlp.c_proj";
    names.input_major = true;
    return names;
}

}  // namespace

Names names_of(const model::Architecture& architecture) {
    if (architecture.family == model::Family::kGpt2) return gpt2_names();
    Names names = architecture.family == model::Family::kMixtral ? mixtral_names() : llama_names();
    if (architecture.norm.sandwich) {
        names.attention_output_norm = "post_attention_layernorm";
        names.mlp_norm = "pre_mlp_layernorm";
        names.mlp_output_norm = "post_mlp_layernorm";
    }
    return names;
}

}  // namespace ascertain::training
