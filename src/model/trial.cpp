#include "model/trial.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ascertain::model {
namespace {

// One dense layer first and MoE after it where the model has both, in the model's own order.
std::vector<LayerRun> scaled_layers(const Architecture& a, std::int64_t layers) {
    if (a.layers.size() == 1) return {{a.layers.front().kind, layers}};
    return {{a.layers[0].kind, 1}, {a.layers[1].kind, layers - 1}};
}

Attention scaled_attention(const Attention& large, const TrialSize& size) {
    Attention t = large;
    t.heads = size.heads;
    if (large.kind == AttentionKind::kMla) {
        t.kv_heads = size.heads;
        t.q_lora_rank = large.q_lora_rank > 0 ? size.q_lora_rank : 0;
        t.kv_lora_rank = size.kv_lora_rank;
        t.qk_nope_head_dim = size.qk_nope_head_dim;
        t.qk_rope_head_dim = size.qk_rope_head_dim;
        t.head_dim = size.qk_nope_head_dim + size.qk_rope_head_dim;
        t.v_head_dim = size.v_head_dim;
    } else {
        const bool multi_head = large.kv_heads == large.heads;
        t.kv_heads = multi_head ? size.heads : std::min(large.kv_heads, size.kv_heads);
        t.head_dim = size.head_dim;
        t.v_head_dim = size.head_dim;
    }
    t.sliding_window = large.sliding_window > 0 ? size.sliding_window : 0;
    return t;
}

// Groups keep at least two experts each, because a balanced group is scored by its two best; a
// token keeps the same share of the groups.
Moe scaled_moe(const Moe& large, const TrialSize& size) {
    if (large.experts == 0) return {};
    Moe m = large;
    m.experts = std::min(large.experts, size.experts);
    m.local_experts = m.experts;
    m.topk = std::min(large.topk, size.topk);
    m.expert_intermediate_size = size.expert_intermediate_size;
    m.shared_experts = std::min<std::int64_t>(large.shared_experts, 1);
    m.shared_intermediate_size = m.shared_experts * size.expert_intermediate_size;
    m.groups = std::clamp<std::int64_t>(m.experts / 2, 1, large.groups);
    m.topk_groups = std::max<std::int64_t>(1, m.groups * large.topk_groups / large.groups);
    return m;
}

}  // namespace

Result<Architecture> trial_scale(const Architecture& architecture, const TrialSize& size) {
    const std::string name = architecture.name + " at trial size";
    if (architecture.layers.size() > 1 && size.layers < 2) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("{} layer cannot hold both kinds of the model", size.layers),
                     name + ": layers"};
    }
    Architecture trial = architecture;
    trial.name = name;
    trial.vocab_size = size.vocab_size;
    trial.hidden_size = size.hidden_size;
    trial.layers = scaled_layers(architecture, size.layers);
    trial.attention = scaled_attention(architecture.attention, size);
    trial.mlp.intermediate_size =
        layer_count(trial, LayerKind::kDense) > 0 ? size.intermediate_size : 0;
    trial.moe = scaled_moe(architecture.moe, size);
    if (architecture.position.kind == PositionKind::kLearned) {
        trial.position.length_max = size.length_max;
    }
    trial.mtp_layers = std::min<std::int64_t>(architecture.mtp_layers, 1);
    trial.quantisation = {};
    if (const auto valid = validate(trial); !valid) return valid.error();
    return trial;
}

}  // namespace ascertain::model
