// What the families of models call things in their configs, and what their code does without saying
// so there: one row per family. Private to this room.
#pragma once

#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "model/architecture.hpp"

namespace ascertain::model {

// The keys under which a family publishes its sizes. Empty: the family has no such key.
struct Keys {
    std::string_view vocab = "vocab_size";
    std::string_view hidden = "hidden_size";
    std::string_view layers = "num_hidden_layers";
    std::string_view heads = "num_attention_heads";
    std::string_view kv_heads = "num_key_value_heads";
    std::string_view head_dim = {};
    std::string_view intermediate = "intermediate_size";
    std::string_view activation = "hidden_act";
    std::string_view epsilon = "rms_norm_eps";
    std::string_view length = "max_position_embeddings";
    std::string_view attention_dropout = "attention_dropout";
    std::string_view q_lora_rank = {};
    std::string_view kv_lora_rank = {};
    std::string_view qk_nope = {};
    std::string_view qk_rope = {};
    std::string_view v_head = {};
    std::string_view experts = {};
    std::string_view experts_later = {};  // what transformers 5 writes instead
    std::string_view expert_intermediate = {};
    std::string_view shared_experts = {};
    std::string_view dense_layers = {};
    std::string_view mtp = {};
    std::string_view auxiliary_loss = {};
};

inline constexpr std::string_view kTopkKey = "num_experts_per_tok";

enum class Bias { kNever, kAlways, kByKey };

// What a family's code does without saying so in its config, and its class's defaults.
// Source: configuration_*.py and modeling_*.py of transformers 4.57 and of the releases.
struct FamilyRow {
    Family family;
    Keys keys;
    AttentionKind attention = AttentionKind::kGqa;
    bool qk_norm = false;
    Bias qkv_bias = Bias::kByKey;  // "attention_bias"
    Bias output_bias = Bias::kByKey;
    Bias mlp_bias = Bias::kNever;  // "mlp_bias"
    bool interleaved_rope = false;
    double theta = 10000.0;
    double epsilon = 1e-6;
    bool tied = false;
    RouterKind router = RouterKind::kSoftmax;
    bool normalise_topk = false;
    bool bias_balancing = false;
};

// The row of the document's "model_type". Errors: kBadInput when it is missing, kUnsupported with
// the near matches when it is unknown; where = "name: model_type".
[[nodiscard]] Result<const FamilyRow*> find_family(const Json& document, std::string_view name);

// The key, in a family's config, of a field of Architecture ("attention.kv_heads"); the field
// itself when the config has no key for it.
[[nodiscard]] std::string key_of(std::string_view field, const Keys& keys);

}  // namespace ascertain::model
