#include "model/config_writer.hpp"

#include <fmt/format.h>

#include <array>

#include "base/json.hpp"
#include "model/config.hpp"
#include "model/families.hpp"
#include "model/names.hpp"

namespace ascertain::model {
namespace {

// The class of `transformers` that loads a family.
constexpr std::array kClasses{
    names::Name{Family::kLlama, "LlamaForCausalLM"},
    names::Name{Family::kQwen2, "Qwen2ForCausalLM"},
    names::Name{Family::kQwen3, "Qwen3ForCausalLM"},
    names::Name{Family::kQwen3Moe, "Qwen3MoeForCausalLM"},
    names::Name{Family::kMixtral, "MixtralForCausalLM"},
    names::Name{Family::kDeepseekV2, "DeepseekV2ForCausalLM"},
    names::Name{Family::kDeepseekV3, "DeepseekV3ForCausalLM"},
    names::Name{Family::kKimiK2, "DeepseekV3ForCausalLM"},
    names::Name{Family::kGpt2, "GPT2LMHeadModel"},
    names::Name{Family::kPanguUltraMoe, "PanguUltraMoEForCausalLM"},
};

// Sets a member where the family has a key for it.
class Members {
public:
    template <typename Value>
    void set(std::string_view key, const Value& value) {
        if (!key.empty()) document[std::string(key)] = value;
    }
    Json document = Json::object();
};

void write_attention(const Architecture& a, const Keys& keys, Members& out) {
    const Attention& t = a.attention;
    out.set(keys.heads, t.heads);
    out.set(keys.kv_heads, t.kv_heads);
    out.set(keys.head_dim, t.head_dim);
    out.set(keys.attention_dropout, t.dropout);
    out.set("attention_bias", t.kind == AttentionKind::kMla ? t.qkv_bias : t.output_bias);
    if (t.kind == AttentionKind::kMla) {
        out.set(keys.q_lora_rank, t.q_lora_rank > 0 ? Json(t.q_lora_rank) : Json());
        out.set(keys.kv_lora_rank, t.kv_lora_rank);
        out.set(keys.qk_nope, t.qk_nope_head_dim);
        out.set(keys.qk_rope, t.qk_rope_head_dim);
        out.set(keys.v_head, t.v_head_dim);
    }
    if (t.sliding_window > 0) {
        out.set("sliding_window", t.sliding_window);
        out.set("use_sliding_window", true);
        out.set("max_window_layers", 0);
    }
}

void write_layers(const Architecture& a, const Keys& keys, Members& out) {
    out.set(keys.layers, layer_count(a));
    if (a.moe.experts == 0) return;
    Json dense = Json::array();
    std::int64_t first = 0;
    const std::int64_t layers = layer_count(a);
    while (first < layers && layer_kind(a, first) == LayerKind::kDense) ++first;
    for (std::int64_t i = 0; i < layers; ++i) {
        if (layer_kind(a, i) == LayerKind::kDense) dense.push_back(i);
    }
    out.set(keys.dense_layers, first);
    // Those after the first expert layer, and all of them where there is no key for the first.
    const bool scattered = static_cast<std::int64_t>(dense.size()) > first;
    if (keys.dense_layers.empty() || scattered) out.set("mlp_only_layers", dense);
}

void write_experts(const Architecture& a, const FamilyRow& row, Members& out) {
    const Moe& moe = a.moe;
    const Keys& keys = row.keys;
    if (moe.experts == 0) return;
    out.set(keys.experts, moe.experts);
    out.set(kTopkKey, moe.topk);
    out.set(keys.expert_intermediate, moe.expert_intermediate_size);
    out.set(keys.shared_experts, moe.shared_experts);
    out.set(keys.auxiliary_loss, moe.auxiliary_loss_coefficient);
    if (a.family != Family::kMixtral) out.set("norm_topk_prob", moe.normalise_topk);
    if (row.attention != AttentionKind::kMla) return;
    out.set("scoring_func", name_of(moe.router));
    out.set("routed_scaling_factor", moe.scaling_factor);
    const bool grouped = moe.groups > 1;
    out.set("topk_method", moe.bias_balancing ? "noaux_tc"
                           : grouped          ? "group_limited_greedy"
                                              : "greedy");
    out.set("n_group", moe.groups);
    out.set("topk_group", moe.topk_groups);
}

Json scaling_of(const RopeScaling& s) {
    Json out{{"rope_type", names::text(names::kRopeScalingKinds, s.kind)}, {"factor", s.factor}};
    if (s.kind == RopeScalingKind::kLinear) return out;
    out["original_max_position_embeddings"] = s.original_length_max;
    if (s.kind == RopeScalingKind::kLlama3) {
        out["low_freq_factor"] = s.low_frequency_factor;
        out["high_freq_factor"] = s.high_frequency_factor;
        return out;
    }
    out["beta_fast"] = s.beta_fast;
    out["beta_slow"] = s.beta_slow;
    if (s.mscale != 0.0) out["mscale"] = s.mscale;
    if (s.mscale_all_dim != 0.0) out["mscale_all_dim"] = s.mscale_all_dim;
    if (s.attention_factor != 0.0) out["attention_factor"] = s.attention_factor;
    return out;
}

void write_position(const Architecture& a, const Keys& keys, Members& out) {
    out.set(keys.length, a.position.length_max);
    if (a.position.kind == PositionKind::kLearned) return;
    out.set("rope_theta", a.position.theta);
    if (a.position.scaling.kind != RopeScalingKind::kNone) {
        out.set("rope_scaling", scaling_of(a.position.scaling));
    }
}

void write_mlp(const Architecture& a, const FamilyRow& row, Members& out) {
    const MlpKind kind = a.mlp.kind;
    out.set(row.keys.activation, kind == MlpKind::kSwiglu     ? "silu"
                                 : kind == MlpKind::kGeluTanh ? "gelu_new"
                                                              : "gelu");
    // Mixtral's intermediate_size is that of its experts.
    if (row.keys.expert_intermediate != row.keys.intermediate) {
        out.set(row.keys.intermediate, a.mlp.intermediate_size);
    }
    if (row.mlp_bias == Bias::kByKey) out.set("mlp_bias", a.mlp.bias);
}

}  // namespace

Result<std::string> write_config(const Architecture& architecture) {
    Architecture a = architecture;
    a.dtype = Dtype::kFp32;
    a.quantisation = {};
    const std::string type(names::text(names::kFamilies, a.family));
    const auto found = find_family({{"model_type", type}}, "config");
    if (!found) return found.error();
    const FamilyRow& row = **found;
    const Keys& keys = row.keys;
    Members out;
    out.set("architectures", Json::array({names::text(kClasses, a.family)}));
    out.set("model_type", type);
    out.set("dtype", "float32");
    out.set(keys.vocab, a.vocab_size);
    out.set(keys.hidden, a.hidden_size);
    write_layers(a, keys, out);
    write_attention(a, keys, out);
    write_mlp(a, row, out);
    write_experts(a, row, out);
    write_position(a, keys, out);
    out.set(keys.epsilon, a.norm.epsilon);
    if (a.norm.sandwich) out.set("sandwich_norm", true);
    out.set(keys.mtp, a.mtp_layers);
    out.set("tie_word_embeddings", a.tied_embeddings);
    out.set("initializer_range", a.initializer_range);
    if (a.family == Family::kGpt2) {
        out.set("resid_pdrop", a.hidden_dropout);
        out.set("embd_pdrop", a.embedding_dropout);
    }
    // No token of ours begins or ends a text.
    for (const char* token : {"bos_token_id", "eos_token_id", "pad_token_id"}) {
        out.set(token, nullptr);
    }
    const std::string text = out.document.dump(2) + "\n";
    auto again = read_config(text, a.name);
    if (!again) return again.error();
    if (*again != a) {
        return Error{ErrorCode::kUnsupported,
                     fmt::format("a {} config has no words for this model", type), a.name};
    }
    return text;
}

std::string write_generation_config() {
    return Json{{"do_sample", false}, {"eos_token_id", nullptr}}.dump(2) + "\n";
}

}  // namespace ascertain::model
