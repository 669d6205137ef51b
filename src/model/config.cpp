#include "model/config.hpp"

#include <fmt/format.h>

#include <array>
#include <string>

#include "base/json.hpp"
#include "model/families.hpp"
#include "model/fields.hpp"
#include "model/names.hpp"

namespace ascertain::model {
namespace {

bool has_bias(Bias bias, std::string_view key, Fields& fields) {
    return bias == Bias::kByKey ? fields.flag_or(key, false) : bias == Bias::kAlways;
}

// The value of the first of two names for one thing; both given must agree.
std::string either_text(Fields& fields, std::string_view old_key, std::string_view new_key) {
    const std::string old_text = fields.text_or(old_key, "");
    std::string new_text = fields.text_or(new_key, old_text);
    if (!old_text.empty() && old_text != new_text) {
        fields.refuse(new_key,
                      fmt::format("\"{}\" contradicts {} \"{}\"", new_text, old_key, old_text));
    }
    return new_text;
}

Dtype read_dtype(Fields& fields) {
    constexpr std::array kTorchNames{
        names::Name{Dtype::kFp32, "float32"}, names::Name{Dtype::kBf16, "bfloat16"},
        names::Name{Dtype::kFp16, "float16"}, names::Name{Dtype::kFp8, "float8_e4m3fn"}};
    std::string text = either_text(fields, "torch_dtype", "dtype");
    if (text.starts_with("torch.")) text.erase(0, 6);
    if (text.empty() || text == "auto") return Dtype::kBf16;
    const auto dtype = names::value(kTorchNames, text);
    if (!dtype) {
        fields.refuse(fields.has("dtype") ? "dtype" : "torch_dtype",
                      fmt::format("unknown element type \"{}\"{}", shortened(text, 60),
                                  did_you_mean(text, names::all(kTorchNames))));
    }
    return dtype.value_or(Dtype::kBf16);
}

std::int64_t sliding_window(Fields& fields, const FamilyRow& row, std::int64_t layers) {
    const bool switched = row.family == Family::kQwen2 || row.family == Family::kQwen3 ||
                          row.family == Family::kQwen3Moe;
    if (!switched && row.family != Family::kMixtral) return 0;
    const std::int64_t window = fields.integer_or("sliding_window", 0);
    if (fields.has("sliding_window") && window < 1) {
        fields.refuse("sliding_window", fmt::format("{} must be at least 1", window));
    }
    if (!switched) return window;
    if (!fields.flag_or("use_sliding_window", false)) return 0;
    // The first max_window_layers layers see everything, the others a window.
    const std::int64_t full_layers = fields.integer_or("max_window_layers", layers);
    if (full_layers >= layers) return 0;
    if (full_layers == 0) return window;
    fields.refuse("max_window_layers", "layers with and without a window in one model",
                  ErrorCode::kUnsupported);
    return 0;
}

Attention read_attention(Fields& fields, const FamilyRow& row, const Architecture& a) {
    const Keys& keys = row.keys;
    Attention t;
    t.kind = row.attention;
    t.heads = fields.integer(keys.heads);
    // Llama alone means "as many as heads" by leaving the key out; others would get a class default
    // that fits no published model.
    const bool optional =
        keys.kv_heads.empty() || row.family == Family::kLlama || t.kind == AttentionKind::kMla;
    t.kv_heads =
        optional ? fields.integer_or(keys.kv_heads, t.heads) : fields.integer(keys.kv_heads);
    t.qk_norm = row.qk_norm;
    t.qkv_bias = has_bias(row.qkv_bias, "attention_bias", fields);
    t.output_bias = has_bias(row.output_bias, "attention_bias", fields);
    t.dropout = fields.number_or(keys.attention_dropout, row.family == Family::kGpt2 ? 0.1 : 0.0);
    t.sliding_window = sliding_window(fields, row, layer_count(a));
    if (t.kind == AttentionKind::kMla) {
        t.q_lora_rank = fields.integer_or(keys.q_lora_rank, 0);
        t.kv_lora_rank = fields.integer(keys.kv_lora_rank);
        t.qk_nope_head_dim = fields.integer(keys.qk_nope);
        t.qk_rope_head_dim = fields.integer(keys.qk_rope);
        t.v_head_dim = fields.integer(keys.v_head);
        constexpr std::int64_t kPlausible = 1 << 20;  // so that the sum cannot overflow
        if (t.qk_nope_head_dim < kPlausible && t.qk_rope_head_dim < kPlausible &&
            t.qk_nope_head_dim > 0 && t.qk_rope_head_dim > 0) {
            t.head_dim = t.qk_nope_head_dim + t.qk_rope_head_dim;
        }
        return t;
    }
    if (fields.has(keys.head_dim)) {
        t.head_dim = fields.integer(keys.head_dim);
    } else if (t.heads > 0) {
        t.head_dim = a.hidden_size / t.heads;
        if (a.hidden_size % t.heads != 0) {
            fields.refuse(keys.heads, fmt::format("{} {} is not divisible by {} heads, and no "
                                                  "head_dim is given",
                                                  keys.hidden, a.hidden_size, t.heads));
        }
    }
    t.v_head_dim = t.head_dim;
    return t;
}

Mlp read_mlp(Fields& fields, const FamilyRow& row, const Architecture& a) {
    Mlp mlp;
    const std::string activation =
        fields.text_or(row.keys.activation, row.family == Family::kGpt2 ? "gelu_new" : "silu");
    using Row = names::Name<MlpKind>;
    constexpr std::array kGated{Row{MlpKind::kSwiglu, "silu"}, Row{MlpKind::kSwiglu, "swish"}};
    constexpr std::array kPlain{Row{MlpKind::kGeluTanh, "gelu_new"},
                                Row{MlpKind::kGeluTanh, "gelu_pytorch_tanh"},
                                Row{MlpKind::kGelu, "gelu"}};
    const bool plain = row.family == Family::kGpt2;
    const auto kind = plain ? names::value(kPlain, activation) : names::value(kGated, activation);
    if (!kind) {
        fields.refuse(
            row.keys.activation,
            fmt::format("activation \"{}\" is not supported for this family{}",
                        shortened(activation, 60),
                        did_you_mean(activation, plain ? names::all(kPlain) : names::all(kGated))),
            ErrorCode::kUnsupported);
    }
    mlp.kind = kind.value_or(MlpKind::kSwiglu);
    mlp.bias = has_bias(row.mlp_bias, "mlp_bias", fields);
    if (plain && !fields.has(row.keys.intermediate)) {
        constexpr std::int64_t kPlausible = 1 << 24;  // so that the product cannot overflow
        const bool plausible = a.hidden_size > 0 && a.hidden_size < kPlausible;
        mlp.intermediate_size = plausible ? 4 * a.hidden_size : a.hidden_size;
    } else {
        mlp.intermediate_size = fields.integer(row.keys.intermediate);
    }
    // Mixtral's intermediate_size is that of its experts; it has no dense layer.
    if (row.keys.expert_intermediate == row.keys.intermediate) mlp.intermediate_size = 0;
    return mlp;
}

void read_choice(Fields& fields, const FamilyRow& row, Moe& moe) {
    const std::string scores = fields.text_or("scoring_func", std::string(name_of(row.router)));
    if (const auto router = names::value(names::kRouterKinds, scores)) {
        moe.router = *router;
    } else {
        fields.refuse("scoring_func",
                      fmt::format("unknown router \"{}\"{}", shortened(scores, 60),
                                  did_you_mean(scores, names::all(names::kRouterKinds))));
    }
    struct Method {
        std::string_view text;
        bool grouped;
        bool balanced;
    };
    constexpr std::array kMethods{Method{"greedy", false, false},
                                  Method{"group_limited_greedy", true, false},
                                  Method{"noaux_tc", true, true}};
    const std::string method =
        fields.text_or("topk_method", row.bias_balancing ? "noaux_tc" : "greedy");
    for (const Method& known : kMethods) {
        if (known.text != method) continue;
        moe.bias_balancing = known.balanced;
        moe.groups = known.grouped ? fields.integer_or("n_group", 1) : 1;
        moe.topk_groups = known.grouped ? fields.integer_or("topk_group", moe.groups) : 1;
        return;
    }
    std::vector<std::string> texts;
    for (const Method& known : kMethods) texts.emplace_back(known.text);
    fields.refuse("topk_method",
                  fmt::format("unknown choice of experts \"{}\"{}", shortened(method, 60),
                              did_you_mean(method, texts)),
                  ErrorCode::kUnsupported);
}

Moe read_moe(Fields& fields, const FamilyRow& row) {
    const Keys& keys = row.keys;
    Moe moe;
    // DeepSeek's configs say null for "no experts"; the others always name theirs.
    if (keys.experts.empty() || (!keys.shared_experts.empty() && !fields.has(keys.experts)))
        return moe;
    const bool later = fields.has(keys.experts_later) && !fields.has(keys.experts);
    moe.experts = fields.integer(later ? keys.experts_later : keys.experts);
    moe.local_experts = moe.experts;
    moe.topk = fields.integer(kTopkKey);
    moe.expert_intermediate_size = fields.integer(keys.expert_intermediate);
    moe.shared_experts = fields.integer_or(keys.shared_experts, 0);
    constexpr std::int64_t kPlausible = 1 << 22;
    if (moe.shared_experts > 0 && moe.shared_experts < kPlausible &&
        moe.expert_intermediate_size > 0 && moe.expert_intermediate_size < kPlausible) {
        moe.shared_intermediate_size = moe.shared_experts * moe.expert_intermediate_size;
    }
    moe.normalise_topk = row.family == Family::kMixtral
                             ? true
                             : fields.flag_or("norm_topk_prob", row.normalise_topk);
    moe.scaling_factor = fields.number_or("routed_scaling_factor", 1.0);
    moe.auxiliary_loss_coefficient = fields.number_or(keys.auxiliary_loss, 0.0);
    read_choice(fields, row, moe);
    if (moe.experts < 1) {
        fields.refuse(keys.experts, fmt::format("{} must be at least 1", moe.experts));
    }
    return moe;
}

// Which layers are MoE: DeepSeek keeps the first few dense, Qwen names exceptions and a step.
std::vector<LayerRun> read_layers(Fields& fields, const FamilyRow& row, const Moe& moe) {
    const std::int64_t layers = fields.integer(row.keys.layers);
    constexpr std::int64_t kLayersMax = 10'000;
    if (layers < 1 || layers > kLayersMax) {
        fields.refuse(row.keys.layers, fmt::format("{} is outside 1 to {}", layers, kLayersMax));
        return {};
    }
    if (moe.experts == 0) return {{LayerKind::kDense, layers}};
    const std::int64_t dense_first = fields.integer_or(row.keys.dense_layers, 0);
    if (dense_first < 0 || dense_first > layers) {
        fields.refuse(
            row.keys.dense_layers,
            fmt::format("{} dense layers do not fit into {} layers", dense_first, layers));
        return {};
    }
    const std::string_view step_key =
        row.family == Family::kQwen3Moe ? "decoder_sparse_step" : "moe_layer_freq";
    const std::int64_t step = fields.integer_or(step_key, 1);
    if (step < 1) fields.refuse(step_key, fmt::format("{} must be at least 1", step));
    std::vector<char> dense(static_cast<std::size_t>(layers), 0);
    if (const Json* exceptions = fields.array("mlp_only_layers")) {
        for (const Json& index : *exceptions) {
            if (!index.is_number_unsigned() ||
                index.get<std::uint64_t>() >= static_cast<std::uint64_t>(layers)) {
                fields.refuse("mlp_only_layers", fmt::format("{} is no layer of {}",
                                                             shortened(index.dump(), 40), layers));
                return {};
            }
            dense[index.get<std::size_t>()] = 1;
        }
    }
    if (fields.error()) return {};
    std::vector<LayerRun> runs;
    for (std::int64_t i = 0; i < layers; ++i) {
        // Qwen counts its step from 1, DeepSeek from 0.
        const std::int64_t position = row.family == Family::kQwen3Moe ? i + 1 : i;
        const bool moe_layer =
            i >= dense_first && position % step == 0 && dense[static_cast<std::size_t>(i)] == 0;
        const LayerKind kind = moe_layer ? LayerKind::kMoe : LayerKind::kDense;
        if (runs.empty() || runs.back().kind != kind) runs.push_back({kind, 0});
        ++runs.back().count;
    }
    return runs;
}

RopeScaling read_scaling(Fields& fields, std::string_view place, std::int64_t length_max) {
    RopeScaling s;
    std::string type = either_text(fields, "type", "rope_type");
    if (type.empty() || type == "default") return s;
    const auto kind = names::value(names::kRopeScalingKinds, type);
    if (!kind || *kind == RopeScalingKind::kNone) {
        fields.refuse("rope_type",
                      fmt::format("{} \"{}\" is not supported{}", place, shortened(type, 60),
                                  did_you_mean(type, names::all(names::kRopeScalingKinds))),
                      ErrorCode::kUnsupported);
        return s;
    }
    s.kind = *kind;
    s.factor = fields.number("factor");
    if (s.kind == RopeScalingKind::kLinear) return s;
    s.original_length_max = s.kind == RopeScalingKind::kLlama3
                                ? fields.integer("original_max_position_embeddings")
                                : fields.integer_or("original_max_position_embeddings", length_max);
    if (s.kind == RopeScalingKind::kYarn) {
        s.beta_fast = fields.number_or("beta_fast", 32.0);
        s.beta_slow = fields.number_or("beta_slow", 1.0);
        s.mscale = fields.number_or("mscale", 0.0);
        s.mscale_all_dim = fields.number_or("mscale_all_dim", 0.0);
        s.attention_factor = fields.number_or("attention_factor", 0.0);
    } else {
        s.low_frequency_factor = fields.number("low_freq_factor");
        s.high_frequency_factor = fields.number("high_freq_factor");
    }
    return s;
}

Position read_position(Fields& fields, const FamilyRow& row) {
    Position p;
    p.length_max = fields.integer(row.keys.length);
    if (row.family == Family::kGpt2) {
        p.kind = PositionKind::kLearned;
        return p;
    }
    p.interleaved = row.interleaved_rope;
    p.theta = fields.number_or("rope_theta", row.theta);
    for (const std::string_view key : {"rope_scaling", "rope_parameters"}) {
        const Json* object = fields.object(key);
        if (object == nullptr) continue;
        Fields inner(*object, fmt::format("{}: {}", fields.name(), key));
        const double theta = inner.number_or("rope_theta", p.theta);
        if (fields.has("rope_theta") && theta != p.theta) {
            inner.refuse("rope_theta", fmt::format("{} contradicts rope_theta {}", theta, p.theta));
        }
        p.theta = theta;
        if (inner.number_or("partial_rotary_factor", 1.0) != 1.0) {
            inner.refuse("partial_rotary_factor", "rotation of a part of a head is not supported",
                         ErrorCode::kUnsupported);
        }
        const RopeScaling scaling = read_scaling(inner, key, p.length_max);
        if (p.scaling.kind != RopeScalingKind::kNone && scaling != p.scaling) {
            inner.refuse("rope_type", "contradicts rope_scaling");
        }
        p.scaling = scaling;
        if (inner.error()) {
            const Error& e = *inner.error();
            // One colon less: "name: rope_scaling.factor".
            const std::string field = e.where.substr(inner.name().size() + 2);
            fields.refuse(fmt::format("{}.{}", key, field), e.message, e.code);
        }
    }
    return p;
}

Quantisation read_quantisation(Fields& fields) {
    Quantisation q;
    const Json* object = fields.object("quantization_config");
    if (object == nullptr) return q;
    Fields inner(*object, fields.name());
    q.method = inner.text_or("quant_method", "unnamed");
    if (const Json* block = inner.array("weight_block_size")) {
        const auto whole = [](const Json& value) {
            return value.is_number_unsigned() && value.get<std::uint64_t>() <= (1u << 20);
        };
        if (block->size() == 2 && whole((*block)[0]) && whole((*block)[1])) {
            q.block_rows = (*block)[0].get<std::int64_t>();
            q.block_columns = (*block)[1].get<std::int64_t>();
        } else {
            inner.refuse("weight_block_size", "must be two sizes, such as [128, 128]");
        }
    }
    if (inner.error()) {
        fields.refuse(
            "quantization_config." + inner.error()->where.substr(fields.name().size() + 2),
            inner.error()->message);
    }
    return q;
}

}  // namespace

Result<Architecture> read_config(std::string_view json_text, std::string_view name) {
    const auto document = parse_json(json_text, name);
    if (!document) return document.error();
    if (!document->is_object()) {
        return Error{ErrorCode::kBadInput, "a model's config is an object", std::string(name)};
    }
    const auto found = find_family(*document, name);
    if (!found) return found.error();
    const FamilyRow& row = **found;
    Fields fields(*document, std::string(name));

    Architecture a;
    a.name = std::string(name);
    a.family = row.family;
    a.vocab_size = fields.integer(row.keys.vocab);
    a.hidden_size = fields.integer(row.keys.hidden);
    a.moe = read_moe(fields, row);
    a.layers = read_layers(fields, row, a.moe);
    if (layer_count(a, LayerKind::kMoe) == 0) a.moe = Moe{};
    a.mtp_layers = fields.integer_or(row.keys.mtp, 0);
    a.attention = read_attention(fields, row, a);
    a.mlp = read_mlp(fields, row, a);
    a.norm.kind = row.family == Family::kGpt2 ? NormKind::kLayer : NormKind::kRms;
    a.norm.epsilon = fields.number_or(row.keys.epsilon, row.epsilon);
    a.norm.sandwich =
        row.family == Family::kPanguUltraMoe && fields.flag_or("sandwich_norm", false);
    a.position = read_position(fields, row);
    a.tied_embeddings = fields.flag_or("tie_word_embeddings", row.tied);
    if (row.family == Family::kGpt2) {
        a.hidden_dropout = fields.number_or("resid_pdrop", 0.1);
        a.embedding_dropout = fields.number_or("embd_pdrop", 0.1);
        if (fields.flag_or("scale_attn_by_inverse_layer_idx", false)) {
            fields.refuse("scale_attn_by_inverse_layer_idx", "scaling by layer is not supported",
                          ErrorCode::kUnsupported);
        }
    }
    a.initializer_range = fields.number_or("initializer_range", 0.02);
    a.dtype = read_dtype(fields);
    a.quantisation = read_quantisation(fields);
    if (fields.error()) return *fields.error();

    if (const auto valid = validate(a); !valid) {
        Error error = valid.error();
        const std::string field = error.where.substr(a.name.size() + 2);
        error.where = fmt::format("{}: {}", name, key_of(field, row.keys));
        return error;
    }
    return a;
}

}  // namespace ascertain::model
