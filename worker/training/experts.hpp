// Mixture of experts: the router, and dropless experts run as one grouped matrix product.
#pragma once

#include "worker/training/layers.hpp"

namespace ascertain::training {

struct Experts {
    model::Moe shape;
    model::MlpKind kind = model::MlpKind::kSwiglu;
    at::Tensor router;          // [experts, hidden]; always applied in fp32
    at::Tensor router_bias;     // [experts] buffer, or undefined
    at::Tensor gate, up, down;  // [local_experts, out, in]; gate for SwiGLU only
    Mlp shared;                 // undefined weights: none
    std::size_t index = 0;      // among the model's MoE layers
};

[[nodiscard]] Experts make_experts(Builder& builder, const std::string& layer, std::size_t index);

struct Choice {
    at::Tensor experts;  // [tokens, topk], int64, best first
    at::Tensor weights;  // [tokens, topk], fp32
};

// What every expert would get, [tokens, experts]: softmax or sigmoid of the logits.
[[nodiscard]] at::Tensor router_scores(const model::Moe& moe, const at::Tensor& logits);
// The best experts, docs/formulas.md#router. `bias` may be undefined.
[[nodiscard]] at::Tensor choose_experts(const model::Moe& moe, const at::Tensor& scores,
                                        const at::Tensor& bias);
// The chosen scores, normalised and scaled as the model says.
[[nodiscard]] at::Tensor choice_weights(const model::Moe& moe, const at::Tensor& scores,
                                        const at::Tensor& experts);

// The experts that are here, on rows [tokens, hidden] in the working dtype -> [tokens, hidden],
// fp32.
[[nodiscard]] at::Tensor run_experts(const Experts& experts, const Arithmetic& arithmetic,
                                     const at::Tensor& rows, const Choice& choice);

struct ExpertsOutput {
    at::Tensor added;         // [tokens, hidden]
    at::Tensor balance_loss;  // scalar, or undefined where the model has no auxiliary loss
};

// On a rank that holds fewer experts than there are, tokens of expert e go to local expert
// e mod local_experts: as many rows as the rank gets from its whole group when loads are even.
[[nodiscard]] ExpertsOutput apply(const Experts& experts, const Pass& pass, const at::Tensor& x);

}  // namespace ascertain::training
