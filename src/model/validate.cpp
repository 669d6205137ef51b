#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "model/architecture.hpp"

namespace ascertain::model {
namespace {

// Ceilings of plausibility: a hundred times what anybody has built, and low enough that no product
// of a tensor's sides, nor the sum over a model below kParametersMax, leaves 64 bits.
constexpr std::int64_t kLayersMax = 10'000;
constexpr std::int64_t kSizeMax = 1 << 22;
constexpr std::int64_t kVocabMax = 1 << 26;
constexpr std::int64_t kExpertsMax = 1 << 16;
constexpr std::int64_t kHeadsMax = 1 << 14;
constexpr std::int64_t kLengthMax = std::int64_t{1} << 32;
constexpr double kParametersMax = 1e16;

// Collects the first thing that does not hold.
class Checker {
public:
    explicit Checker(const Architecture& a) : a_(a) {}

    void require(bool holds, std::string_view field, std::string message) {
        if (holds || !result_) return;
        result_ =
            Error{ErrorCode::kBadInput, std::move(message), fmt::format("{}: {}", a_.name, field)};
    }
    void range(std::int64_t value, std::int64_t low, std::int64_t high, std::string_view field) {
        require(value >= low && value <= high, field,
                fmt::format("{} is outside {} to {}", value, low, high));
    }
    void probability(double value, std::string_view field) {
        require(std::isfinite(value) && value >= 0.0 && value < 1.0, field,
                fmt::format("{} is no probability below 1", value));
    }
    void positive(double value, std::string_view field) {
        require(std::isfinite(value) && value > 0.0, field,
                fmt::format("{} must be a finite number above 0", value));
    }
    [[nodiscard]] const Result<void>& result() const { return result_; }

private:
    const Architecture& a_;
    Result<void> result_;
};

void check_layers(Checker& check, const Architecture& a) {
    check.require(!a.layers.empty(), "layers", "a model has at least one layer");
    std::int64_t total = 0;
    for (const LayerRun& run : a.layers) {
        check.range(run.count, 1, kLayersMax, "layers");
        total += run.count > 0 && run.count <= kLayersMax ? run.count : 0;
        check.require(total <= kLayersMax, "layers",
                      fmt::format("more than {} layers", kLayersMax));
    }
    for (std::size_t i = 1; i < a.layers.size(); ++i) {
        check.require(a.layers[i].kind != a.layers[i - 1].kind, "layers",
                      "neighbouring runs of the same kind must be one run");
    }
    check.range(a.mtp_layers, 0, 16, "mtp_layers");
}

void check_attention(Checker& check, const Architecture& a) {
    const Attention& t = a.attention;
    check.range(t.heads, 1, kHeadsMax, "attention.heads");
    check.range(t.kv_heads, 1, kHeadsMax, "attention.kv_heads");
    if (t.kind == AttentionKind::kMla) {
        check.range(t.q_lora_rank, 0, kSizeMax, "attention.q_lora_rank");
        check.range(t.kv_lora_rank, 1, kSizeMax, "attention.kv_lora_rank");
        check.range(t.qk_nope_head_dim, 1, kHeadsMax, "attention.qk_nope_head_dim");
        check.range(t.qk_rope_head_dim, 1, kHeadsMax, "attention.qk_rope_head_dim");
    }
    check.range(t.head_dim, 1, 2 * kHeadsMax, "attention.head_dim");
    check.range(t.v_head_dim, 1, kHeadsMax, "attention.v_head_dim");
    check.range(t.sliding_window, 0, kLengthMax, "attention.sliding_window");
    check.probability(t.dropout, "attention.dropout");
    check.require(
        t.kv_heads < 1 || t.heads % t.kv_heads == 0, "attention.kv_heads",
        fmt::format("{} heads cannot share {} key-value heads evenly", t.heads, t.kv_heads));
    if (!check.result()) return;
    if (t.kind == AttentionKind::kGqa) {
        check.require(t.v_head_dim == t.head_dim, "attention.v_head_dim",
                      "grouped-query attention has one head size");
        check.require(t.q_lora_rank == 0 && t.kv_lora_rank == 0 && t.qk_nope_head_dim == 0 &&
                          t.qk_rope_head_dim == 0,
                      "attention.kind", "latent ranks belong to mla alone");
    } else {
        check.require(
            t.kv_heads == t.heads, "attention.kv_heads",
            fmt::format("latent attention gives each of its {} heads its own keys, not {}", t.heads,
                        t.kv_heads));
        check.require(t.head_dim == t.qk_nope_head_dim + t.qk_rope_head_dim, "attention.head_dim",
                      "must be qk_nope_head_dim + qk_rope_head_dim");
        check.require(!t.qk_norm, "attention.qk_norm",
                      "latent attention norms its latents instead");
    }
    const bool mla = t.kind == AttentionKind::kMla;
    check.require(
        a.position.kind != PositionKind::kRope || (mla ? t.qk_rope_head_dim : t.head_dim) % 2 == 0,
        mla ? "attention.qk_rope_head_dim" : "attention.head_dim",
        "rotary position embedding turns pairs: the size must be even");
    check.require(a.position.kind == PositionKind::kRope || !mla, "position.kind",
                  "latent attention carries its positions by rope");
}

void check_moe(Checker& check, const Architecture& a) {
    const Moe& m = a.moe;
    if (m.experts == 0) {
        check.require(m == Moe{}, "moe.experts", "0 experts, yet other fields of moe are set");
        check.require(layer_count(a, LayerKind::kMoe) == 0, "moe.experts",
                      "there are MoE layers, so there must be experts");
        return;
    }
    check.range(m.experts, 1, kExpertsMax, "moe.experts");
    check.range(m.local_experts, 1, m.experts, "moe.local_experts");
    check.require(m.topk >= 1 && m.topk <= m.experts, "moe.topk",
                  fmt::format("{} experts per token cannot be chosen among {}", m.topk, m.experts));
    check.range(m.expert_intermediate_size, 1, kSizeMax, "moe.expert_intermediate_size");
    check.range(m.shared_experts, 0, kExpertsMax, "moe.shared_experts");
    check.range(m.shared_intermediate_size, m.shared_experts > 0 ? 1 : 0,
                m.shared_experts > 0 ? kSizeMax : 0, "moe.shared_intermediate_size");
    check.positive(m.scaling_factor, "moe.scaling_factor");
    check.require(m.groups >= 1 && m.experts % std::max<std::int64_t>(m.groups, 1) == 0,
                  "moe.groups",
                  fmt::format("{} experts do not form {} equal groups", m.experts, m.groups));
    if (!check.result()) return;
    check.range(m.topk_groups, 1, m.groups, "moe.topk_groups");
    if (!check.result()) return;
    const std::int64_t group_size = m.experts / m.groups;
    check.require(m.topk <= group_size * m.topk_groups, "moe.topk_groups",
                  fmt::format("{} of {} groups hold fewer than topk {} experts", m.topk_groups,
                              m.groups, m.topk));
    check.require(!m.bias_balancing || m.groups == 1 || group_size >= 2, "moe.groups",
                  "a group is scored by its two best experts, so it needs two");
    check.require(
        std::isfinite(m.auxiliary_loss_coefficient) && m.auxiliary_loss_coefficient >= 0.0,
        "moe.auxiliary_loss_coefficient", "must be a finite number, 0 or more");
}

void check_position(Checker& check, const Architecture& a) {
    const Position& p = a.position;
    check.range(p.length_max, 1, kLengthMax, "position.length_max");
    check.require(p.kind != PositionKind::kLearned || p.length_max <= kVocabMax,
                  "position.length_max", "too long for a learned table");
    check.positive(p.theta, "position.theta");
    const RopeScaling& s = p.scaling;
    check.require(s.kind == RopeScalingKind::kNone || p.kind == PositionKind::kRope,
                  "position.scaling.kind", "learned positions are not scaled");
    check.require(s.kind != RopeScalingKind::kNone || s == RopeScaling{}, "position.scaling.kind",
                  "no scaling, yet its other fields are set");
    if (s.kind == RopeScalingKind::kNone) return;
    check.positive(s.factor, "position.scaling.factor");
    check.require(s.factor >= 1.0, "position.scaling.factor",
                  fmt::format("{} would shorten the context", s.factor));
    check.range(s.original_length_max, s.kind == RopeScalingKind::kLinear ? 0 : 1, kLengthMax,
                "position.scaling.original_length_max");
    if (s.kind == RopeScalingKind::kYarn) {
        check.positive(s.beta_slow, "position.scaling.beta_slow");
        check.require(std::isfinite(s.beta_fast) && s.beta_fast >= s.beta_slow,
                      "position.scaling.beta_fast", "must not lie below beta_slow");
        for (const auto& [value, field] :
             {std::pair{s.mscale, "position.scaling.mscale"},
              std::pair{s.mscale_all_dim, "position.scaling.mscale_all_dim"},
              std::pair{s.attention_factor, "position.scaling.attention_factor"}}) {
            check.require(std::isfinite(value) && value >= 0.0, field,
                          "must be a finite number, 0 or more");
        }
    }
    if (s.kind == RopeScalingKind::kLlama3) {
        check.positive(s.low_frequency_factor, "position.scaling.low_frequency_factor");
        check.require(std::isfinite(s.high_frequency_factor) &&
                          s.high_frequency_factor > s.low_frequency_factor,
                      "position.scaling.high_frequency_factor",
                      "must be above low_frequency_factor");
    }
}

// The size of the whole, in floating point, so that the integer sums cannot overflow.
double rough_parameters(const Architecture& a) {
    const auto real = [](std::int64_t value) { return static_cast<double>(value); };
    const double hidden = real(a.hidden_size);
    const double head = real(a.attention.head_dim + a.attention.v_head_dim);
    const double attention =
        (2.0 * hidden + real(a.attention.q_lora_rank + a.attention.kv_lora_rank)) *
            (real(a.attention.heads) * head + 1.0) +
        hidden *
            real(a.attention.q_lora_rank + a.attention.kv_lora_rank + a.attention.qk_rope_head_dim);
    const double mlp = 3.0 * hidden * real(a.mlp.intermediate_size);
    const double experts =
        real(a.moe.experts) * hidden * (3.0 * real(a.moe.expert_intermediate_size) + 1.0);
    const double shared = 3.0 * hidden * real(a.moe.shared_intermediate_size);
    const double layers = real(layer_count(a) + a.mtp_layers);
    return layers * (attention + mlp + experts + shared) +
           hidden *
               (2.0 * real(a.vocab_size) +
                (a.position.kind == PositionKind::kLearned ? real(a.position.length_max) : 0.0));
}

}  // namespace

Result<void> validate(const Architecture& a) {
    Checker check(a);
    check.range(a.vocab_size, 2, kVocabMax, "vocab_size");
    check.range(a.hidden_size, 1, kSizeMax, "hidden_size");
    check_layers(check, a);
    if (!check.result()) return check.result();
    check_attention(check, a);
    check.range(a.mlp.intermediate_size, layer_count(a, LayerKind::kDense) > 0 ? 1 : 0, kSizeMax,
                "mlp.intermediate_size");
    check_moe(check, a);
    check.positive(a.norm.epsilon, "norm.epsilon");
    check_position(check, a);
    check.probability(a.hidden_dropout, "hidden_dropout");
    check.probability(a.embedding_dropout, "embedding_dropout");
    check.require(std::isfinite(a.initializer_range) && a.initializer_range >= 0.0,
                  "initializer_range", "must be a finite number, 0 or more");
    check.range(a.quantisation.block_rows, 0, kSizeMax, "quantisation.block_rows");
    check.range(a.quantisation.block_columns, 0, kSizeMax, "quantisation.block_columns");
    if (!check.result()) return check.result();
    const double parameters = rough_parameters(a);
    check.require(parameters <= kParametersMax, "parameters",
                  fmt::format("about {:.1e} weights are more than anybody can train", parameters));
    return check.result();
}

}  // namespace ascertain::model
