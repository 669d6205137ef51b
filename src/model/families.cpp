#include "model/families.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

#include "base/text.hpp"
#include "model/names.hpp"

namespace ascertain::model {
namespace {

constexpr Keys kLlamaKeys{.head_dim = "head_dim"};
constexpr Keys kQwen3MoeKeys{.head_dim = "head_dim",
                             .experts = "num_experts",
                             .experts_later = "num_local_experts",
                             .expert_intermediate = "moe_intermediate_size",
                             .auxiliary_loss = "router_aux_loss_coef"};
constexpr Keys kMixtralKeys{.head_dim = "head_dim",
                            .experts = "num_local_experts",
                            .expert_intermediate = "intermediate_size",
                            .auxiliary_loss = "router_aux_loss_coef"};
constexpr Keys kDeepseekKeys{.q_lora_rank = "q_lora_rank",
                             .kv_lora_rank = "kv_lora_rank",
                             .qk_nope = "qk_nope_head_dim",
                             .qk_rope = "qk_rope_head_dim",
                             .v_head = "v_head_dim",
                             .experts = "n_routed_experts",
                             .expert_intermediate = "moe_intermediate_size",
                             .shared_experts = "n_shared_experts",
                             .dense_layers = "first_k_dense_replace",
                             .mtp = "num_nextn_predict_layers",
                             .auxiliary_loss = "aux_loss_alpha"};
constexpr Keys kPanguKeys{.q_lora_rank = "attention_q_lora_dim",
                          .kv_lora_rank = "attention_kv_lora_dim",
                          .qk_nope = "attention_qk_dim",
                          .qk_rope = "attention_qk_rope_dim",
                          .v_head = "attention_v_dim",
                          .experts = "num_routed_experts",
                          .expert_intermediate = "moe_intermediate_size",
                          .shared_experts = "num_shared_experts",
                          .dense_layers = "num_dense_layers",
                          .mtp = "num_mtp_layers"};
constexpr Keys kGpt2Keys{.hidden = "n_embd",
                         .layers = "n_layer",
                         .heads = "n_head",
                         .kv_heads = "",
                         .intermediate = "n_inner",
                         .activation = "activation_function",
                         .epsilon = "layer_norm_epsilon",
                         .length = "n_positions",
                         .attention_dropout = "attn_pdrop"};
constexpr std::array kFamilyRows{
    FamilyRow{.family = Family::kLlama, .keys = kLlamaKeys, .mlp_bias = Bias::kByKey},
    FamilyRow{.family = Family::kQwen2,
              .keys = kLlamaKeys,
              .qkv_bias = Bias::kAlways,
              .output_bias = Bias::kNever},
    FamilyRow{.family = Family::kQwen3, .keys = kLlamaKeys, .qk_norm = true},
    FamilyRow{.family = Family::kQwen3Moe, .keys = kQwen3MoeKeys, .qk_norm = true},
    FamilyRow{.family = Family::kMixtral,
              .keys = kMixtralKeys,
              .qkv_bias = Bias::kNever,
              .output_bias = Bias::kNever,
              .theta = 1e6,
              .epsilon = 1e-5,
              .normalise_topk = true},
    FamilyRow{.family = Family::kDeepseekV2,
              .keys = kDeepseekKeys,
              .attention = AttentionKind::kMla,
              .interleaved_rope = true},
    FamilyRow{.family = Family::kDeepseekV3,
              .keys = kDeepseekKeys,
              .attention = AttentionKind::kMla,
              .interleaved_rope = true,
              .router = RouterKind::kSigmoid,
              .normalise_topk = true,
              .bias_balancing = true},
    FamilyRow{.family = Family::kKimiK2,
              .keys = kDeepseekKeys,
              .attention = AttentionKind::kMla,
              .interleaved_rope = true,
              .router = RouterKind::kSigmoid,
              .normalise_topk = true,
              .bias_balancing = true},
    FamilyRow{.family = Family::kGpt2,
              .keys = kGpt2Keys,
              .qkv_bias = Bias::kAlways,
              .output_bias = Bias::kAlways,
              .mlp_bias = Bias::kAlways,
              .epsilon = 1e-5,
              .tied = true},
    FamilyRow{.family = Family::kPanguUltraMoe,
              .keys = kPanguKeys,
              .attention = AttentionKind::kMla,
              .interleaved_rope = true,
              .epsilon = 1e-5,
              .router = RouterKind::kSigmoid,
              .normalise_topk = true},
};

}  // namespace

Result<const FamilyRow*> find_family(const Json& document, std::string_view name) {
    const std::string where = fmt::format("{}: model_type", name);
    const auto type = text_at(document, "model_type", where);
    if (!type) return type.error();
    const auto family = names::value(names::kFamilies, *type);
    for (const FamilyRow& row : kFamilyRows) {
        if (family && row.family == *family) return &row;
    }
    std::string known;
    for (const auto& text : names::all(names::kFamilies))
        known += (known.empty() ? "" : ", ") + text;
    return Error{ErrorCode::kUnsupported,
                 fmt::format("unknown model type \"{}\"{}; known are {}", shortened(*type, 60),
                             did_you_mean(*type, names::all(names::kFamilies)), known),
                 where};
}

std::string key_of(std::string_view field, const Keys& keys) {
    // Where no key gives the size of a head it follows from the number of heads.
    const std::string_view head_dim = keys.head_dim.empty() ? keys.heads : keys.head_dim;
    const std::array<std::pair<std::string_view, std::string_view>, 31> table{{
        {"vocab_size", keys.vocab},
        {"hidden_size", keys.hidden},
        {"layers", keys.layers},
        {"mtp_layers", keys.mtp},
        {"attention.heads", keys.heads},
        {"attention.kv_heads", keys.kv_heads},
        {"attention.head_dim", head_dim},
        {"attention.v_head_dim", keys.v_head.empty() ? head_dim : keys.v_head},
        {"attention.q_lora_rank", keys.q_lora_rank},
        {"attention.kv_lora_rank", keys.kv_lora_rank},
        {"attention.qk_nope_head_dim", keys.qk_nope},
        {"attention.qk_rope_head_dim", keys.qk_rope},
        {"attention.sliding_window", "sliding_window"},
        {"attention.dropout", keys.attention_dropout},
        {"mlp.intermediate_size", keys.intermediate},
        {"moe.experts", keys.experts},
        {"moe.local_experts", keys.experts},
        {"moe.topk", kTopkKey},
        {"moe.expert_intermediate_size", keys.expert_intermediate},
        {"moe.shared_experts", keys.shared_experts},
        {"moe.shared_intermediate_size", keys.shared_experts},
        {"moe.scaling_factor", "routed_scaling_factor"},
        {"moe.groups", "n_group"},
        {"moe.topk_groups", "topk_group"},
        {"moe.auxiliary_loss_coefficient", keys.auxiliary_loss},
        {"norm.epsilon", keys.epsilon},
        {"position.length_max", keys.length},
        {"position.theta", "rope_theta"},
        {"hidden_dropout", "resid_pdrop"},
        {"embedding_dropout", "embd_pdrop"},
        {"initializer_range", "initializer_range"},
    }};
    for (const auto& [ours, theirs] : table) {
        if (ours == field && !theirs.empty()) return std::string(theirs);
    }
    constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kScaling{{
        {"position.scaling.factor", "factor"},
        {"position.scaling.original_length_max", "original_max_position_embeddings"},
        {"position.scaling.beta_fast", "beta_fast"},
        {"position.scaling.beta_slow", "beta_slow"},
        {"position.scaling.mscale", "mscale"},
        {"position.scaling.mscale_all_dim", "mscale_all_dim"},
        {"position.scaling.attention_factor", "attention_factor"},
        {"position.scaling.low_frequency_factor", "low_freq_factor"},
        {"position.scaling.high_frequency_factor", "high_freq_factor"},
    }};
    for (const auto& [ours, theirs] : kScaling) {
        if (ours == field) return fmt::format("rope_scaling.{}", theirs);
    }
    return std::string(field);
}

}  // namespace ascertain::model
