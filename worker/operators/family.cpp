#include "worker/operators/family.hpp"

#include <array>
#include <string>
#include <utility>

namespace ascertain::operators {
namespace {

constexpr auto kFamilies = std::to_array<std::pair<std::string_view, Family>>({
    {"_copy_from", Family::kMove},
    {"_reshape_alias", Family::kMove},
    {"_to_copy", Family::kElementwise},  // it rounds where the dtype changes
    {"arange", Family::kMove},
    {"bitwise_and", Family::kMove},
    {"bitwise_not", Family::kMove},
    {"bitwise_or", Family::kMove},
    {"cat", Family::kMove},
    {"clone", Family::kMove},
    {"constant_pad_nd", Family::kMove},
    {"contiguous", Family::kMove},
    {"copy", Family::kElementwise},
    {"diagonal_copy", Family::kMove},
    {"embedding", Family::kMove},
    {"eye", Family::kMove},
    {"fill", Family::kElementwise},
    {"flip", Family::kMove},
    {"full", Family::kElementwise},
    {"full_like", Family::kElementwise},
    {"gather", Family::kMove},
    {"index", Family::kMove},
    {"index_copy", Family::kMove},
    {"index_fill", Family::kMove},
    {"index_select", Family::kMove},
    {"masked_fill", Family::kMove},
    {"masked_scatter", Family::kMove},
    {"masked_select", Family::kMove},
    {"max_pool2d_with_indices", Family::kMove},
    {"one_hot", Family::kMove},
    {"ones", Family::kMove},
    {"ones_like", Family::kMove},
    {"repeat", Family::kMove},
    {"repeat_interleave", Family::kMove},
    {"roll", Family::kMove},
    {"scatter", Family::kMove},
    {"slice_backward", Family::kMove},
    {"sort", Family::kMove},
    {"stack", Family::kMove},
    {"topk", Family::kMove},
    {"tril", Family::kMove},
    {"triu", Family::kMove},
    {"where", Family::kMove},
    {"zero", Family::kMove},
    {"zeros", Family::kMove},
    {"zeros_like", Family::kMove},

    {"abs", Family::kElementwise},
    {"add", Family::kElementwise},
    {"addcdiv", Family::kElementwise},
    {"addcmul", Family::kElementwise},
    {"ceil", Family::kElementwise},
    {"clamp", Family::kElementwise},
    {"clamp_max", Family::kElementwise},
    {"clamp_min", Family::kElementwise},
    {"cos", Family::kElementwise},
    {"div", Family::kElementwise},
    {"eq", Family::kElementwise},
    {"erf", Family::kElementwise},
    {"exp", Family::kElementwise},
    {"expm1", Family::kElementwise},
    {"floor", Family::kElementwise},
    {"floor_divide", Family::kElementwise},
    {"ge", Family::kElementwise},
    {"gelu", Family::kElementwise},
    {"gelu_backward", Family::kElementwise},
    {"gt", Family::kElementwise},
    {"isfinite", Family::kElementwise},
    {"isinf", Family::kElementwise},
    {"isnan", Family::kElementwise},
    {"isneginf", Family::kElementwise},
    {"isposinf", Family::kElementwise},
    {"le", Family::kElementwise},
    {"lerp", Family::kElementwise},
    {"log", Family::kElementwise},
    {"log1p", Family::kElementwise},
    {"logical_and", Family::kElementwise},
    {"logical_not", Family::kElementwise},
    {"logical_or", Family::kElementwise},
    {"lt", Family::kElementwise},
    {"maximum", Family::kElementwise},
    {"minimum", Family::kElementwise},
    {"mul", Family::kElementwise},
    {"ne", Family::kElementwise},
    {"neg", Family::kElementwise},
    {"pow", Family::kElementwise},
    {"reciprocal", Family::kElementwise},
    {"relu", Family::kElementwise},
    {"remainder", Family::kElementwise},
    {"round", Family::kElementwise},
    {"rsqrt", Family::kElementwise},
    {"sigmoid", Family::kElementwise},
    {"sigmoid_backward", Family::kElementwise},
    {"sign", Family::kElementwise},
    {"silu", Family::kElementwise},
    {"silu_backward", Family::kElementwise},
    {"sin", Family::kElementwise},
    {"sqrt", Family::kElementwise},
    {"sub", Family::kElementwise},
    {"rsub", Family::kElementwise},
    {"tanh", Family::kElementwise},
    {"tanh_backward", Family::kElementwise},
    {"threshold_backward", Family::kElementwise},
    {"trunc", Family::kElementwise},

    {"all", Family::kReduction},
    {"amax", Family::kReduction},
    {"amin", Family::kReduction},
    {"any", Family::kReduction},
    {"argmax", Family::kReduction},
    {"bincount", Family::kReduction},
    {"cumsum", Family::kReduction},
    {"linalg_vector_norm", Family::kReduction},
    {"logsumexp", Family::kReduction},
    {"max", Family::kReduction},
    {"min", Family::kReduction},
    {"norm", Family::kReduction},
    {"_foreach_norm", Family::kReduction},
    {"prod", Family::kReduction},
    {"std", Family::kReduction},
    {"sum", Family::kReduction},
    {"var", Family::kReduction},
    {"mean", Family::kMean},

    {"_grouped_mm", Family::kGemm},
    {"addmm", Family::kGemm},
    {"baddbmm", Family::kGemm},
    {"bmm", Family::kGemm},
    {"dot", Family::kGemm},
    {"linear", Family::kGemm},
    {"matmul", Family::kGemm},
    {"mm", Family::kGemm},
    {"mv", Family::kGemm},

    {"scaled_dot_product_attention", Family::kAttention},
    {"_scaled_dot_product_flash_attention_for_cpu", Family::kAttention},
    {"_scaled_dot_product_flash_attention_for_cpu_backward", Family::kAttentionBackward},

    {"embedding_dense_backward", Family::kScatter},
    {"index_add", Family::kScatter},
    {"index_put", Family::kScatter},
    {"_index_put_impl", Family::kScatter},
    {"index_reduce", Family::kScatter},
    {"scatter_add", Family::kScatter},
    {"scatter_reduce", Family::kScatter},

    {"cross_entropy_loss", Family::kLoss},
    {"nll_loss_forward", Family::kLoss},

    {"_fused_rms_norm", Family::kNormalisation},
    {"_log_softmax", Family::kNormalisation},
    {"_softmax", Family::kNormalisation},
    {"native_layer_norm", Family::kNormalisation},
    {"rms_norm", Family::kNormalisation},

    {"_foreach_add", Family::kOptimizer},
    {"_foreach_mul", Family::kOptimizer},
    {"_fused_adamw", Family::kOptimizer},

    {"bernoulli", Family::kRandom},
    {"native_dropout", Family::kRandom},
    {"normal", Family::kRandom},
    {"randn", Family::kRandom},
    {"uniform", Family::kRandom},
});

bool is_low_precision(c10::ScalarType dtype) {
    return dtype != c10::ScalarType::Float && dtype != c10::ScalarType::Double;
}

}  // namespace

Family family_of(std::string_view op) {
    if (const std::size_t space = op.rfind("::"); space != std::string_view::npos) {
        // Another library's operator may have any name.
        if (op.substr(0, space) != "aten") return Family::kOther;
        op.remove_prefix(space + 2);
    }
    if (op.size() > 1 && op.ends_with('_')) op.remove_suffix(1);
    for (const auto& [name, family] : kFamilies) {
        if (name == op) return family;
    }
    return Family::kOther;
}

std::string_view name_of(Family family) {
    switch (family) {
        case Family::kMove: return "move";
        case Family::kElementwise: return "elementwise";
        case Family::kReduction: return "reduction";
        case Family::kMean: return "mean";
        case Family::kGemm: return "gemm";
        case Family::kAttention: return "attention";
        case Family::kAttentionBackward: return "attention_backward";
        case Family::kScatter: return "scatter";
        case Family::kLoss: return "loss";
        case Family::kNormalisation: return "normalisation";
        case Family::kOptimizer: return "optimizer";
        case Family::kRandom: return "random";
        case Family::kOther: return "other";
    }
    return "other";
}

bool is_rowwise(Family family) {
    return family == Family::kElementwise || family == Family::kOptimizer;
}

std::string_view name_of(Rule rule) {
    switch (rule) {
        case Rule::kExact: return "exact";
        case Rule::kRounding: return "rounding";
        case Rule::kErrorRatio: return "error_ratio";
        case Rule::kBounded: return "bounded";
    }
    return "exact";
}

std::string_view metric_of(Rule rule) {
    switch (rule) {
        case Rule::kExact: return "exact_mismatches";
        case Rule::kRounding: return "share_not_correctly_rounded";
        case Rule::kErrorRatio: return "error_ratio";
        case Rule::kBounded: return "bound_ratio";
    }
    return "exact_mismatches";
}

Rule rule_for(Family family, c10::ScalarType output, std::int64_t elements) {
    if (!c10::isFloatingType(output) || family == Family::kMove) return Rule::kExact;
    if (!is_low_precision(output)) return Rule::kErrorRatio;
    switch (family) {
        case Family::kMean:
        case Family::kAttention:
        case Family::kAttentionBackward:
        case Family::kScatter:
        case Family::kLoss: return Rule::kBounded;
        default: break;
    }
    return elements < kShareElementsMin ? Rule::kBounded : Rule::kRounding;
}

}  // namespace ascertain::operators
