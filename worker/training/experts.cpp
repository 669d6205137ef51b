#include "worker/training/experts.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/empty_like.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/softmax.h>
#include <ATen/ops/sort.h>
#include <ATen/ops/topk.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/assert.hpp"

namespace ascertain::training {
namespace {

// Scores with the experts of all but the best groups out of reach; arXiv 2412.19437 section 2.1.2.
at::Tensor limited_to_groups(const model::Moe& moe, const at::Tensor& scores) {
    const at::Tensor grouped = scores.unflatten(1, {moe.groups, moe.experts / moe.groups});
    const std::int64_t judged = moe.bias_balancing ? std::min<std::int64_t>(2, grouped.size(2)) : 1;
    const at::Tensor group_scores = std::get<0>(grouped.topk(judged, 2)).sum(2);
    const at::Tensor best = std::get<1>(group_scores.topk(moe.topk_groups, 1));
    const at::Tensor hidden =
        at::ones_like(group_scores, at::kBool).scatter(1, best, at::Scalar(false));
    return grouped.masked_fill(hidden.unsqueeze(2), -std::numeric_limits<double>::infinity())
        .flatten(1);
}

at::Tensor count_per_expert(const at::Tensor& experts, std::int64_t count) {
    const at::Tensor flat = experts.flatten();
    return at::zeros({count}, flat.options()).scatter_add_(0, flat, at::ones_like(flat));
}

// Switch Transformers, arXiv 2101.03961 equation 4, with topk choices per token.
at::Tensor balance_loss(const model::Moe& moe, const at::Tensor& scores, const at::Tensor& load) {
    const auto tokens = static_cast<double>(scores.size(0));
    const at::Tensor share = load.to(scores.scalar_type()).div(tokens);
    return scores.mean(0).mul(share).sum().mul(static_cast<double>(moe.experts) *
                                               moe.auxiliary_loss_coefficient);
}

}  // namespace

// The routed experts' sum for every token.
at::Tensor run_experts(const Experts& experts, const Arithmetic& arithmetic, const at::Tensor& x,
                       const Choice& choice) {
    const std::int64_t topk = experts.shape.topk;
    const std::int64_t local = experts.up.size(0);
    const at::Tensor flat = choice.experts.flatten().remainder(local);
    const auto [sorted, order] = at::sort(flat, /*stable=*/true, 0, /*descending=*/false);
    const at::Tensor ends = count_per_expert(flat, local).cumsum(0).to(at::kInt);
    const at::Tensor rows = x.index_select(0, order.floor_divide(topk));
    const at::Tensor gate = experts.gate.defined()
                                ? grouped_linear(arithmetic, rows, experts.gate, ends)
                                : at::Tensor();
    const at::Tensor up = grouped_linear(arithmetic, rows, experts.up, ends);
    const at::Tensor down = grouped_linear(arithmetic, activate(experts.kind, arithmetic, gate, up),
                                           experts.down, ends);
    // Back to token order; every row is written once, so the sum over a token's experts is in the
    // same order on every run.
    const at::Tensor place =
        at::empty_like(order).scatter_(0, order, at::arange(order.numel(), order.options()));
    const at::Tensor by_token = widen(down.index_select(0, place)).unflatten(0, {-1, topk});
    return by_token.mul(choice.weights.unsqueeze(2)).sum(1);
}

Experts make_experts(Builder& builder, const std::string& layer, std::size_t index) {
    const model::Architecture& architecture = builder.architecture;
    const model::Moe& shape = architecture.moe;
    const Names& names = builder.names;
    const std::int64_t hidden = architecture.hidden_size;
    const std::int64_t inner = shape.expert_intermediate_size;
    const double into = 1.0 / std::sqrt(static_cast<double>(hidden));
    const double out_of = builder.output_scale() / std::sqrt(static_cast<double>(inner));
    Experts made;
    made.shape = shape;
    made.kind = architecture.mlp.kind;
    made.index = index;
    made.router = builder.parameters.add(layer + names.router + ".weight", {shape.experts, hidden},
                                         {.deviation = into});
    if (shape.bias_balancing) {
        made.router_bias =
            builder.parameters.add_buffer(layer + names.router_bias, {shape.experts});
    }
    const std::int64_t local = shape.local_experts;
    const bool gated = made.kind == model::MlpKind::kSwiglu;
    if (gated) {
        made.gate = builder.parameters.add(layer + names.expert_gate + ".weight",
                                           {local, inner, hidden}, {.deviation = into});
    }
    made.up = builder.parameters.add(layer + names.expert_up + ".weight", {local, inner, hidden},
                                     {.deviation = into});
    made.down = builder.parameters.add(layer + names.expert_down + ".weight",
                                       {local, hidden, inner}, {.deviation = out_of});
    if (shape.shared_experts > 0) {
        const std::int64_t width = shape.shared_intermediate_size;
        made.shared.kind = made.kind;
        if (gated)
            made.shared.gate = builder.linear(layer + names.shared_gate, hidden, width, false);
        made.shared.up = builder.linear(layer + names.shared_up, hidden, width, false);
        made.shared.down =
            builder.linear(layer + names.shared_down, width, hidden, false, builder.output_scale());
    }
    return made;
}

at::Tensor router_scores(const model::Moe& moe, const at::Tensor& logits) {
    return moe.router == model::RouterKind::kSigmoid ? at::sigmoid(logits)
                                                     : at::softmax(logits, -1);
}

at::Tensor choose_experts(const model::Moe& moe, const at::Tensor& scores, const at::Tensor& bias) {
    at::Tensor biased = scores.detach();
    if (bias.defined()) biased = biased.add(bias);
    if (moe.groups > 1) biased = limited_to_groups(moe, biased);
    return std::get<1>(biased.topk(moe.topk, 1));
}

at::Tensor choice_weights(const model::Moe& moe, const at::Tensor& scores,
                          const at::Tensor& experts) {
    at::Tensor weights = scores.gather(1, experts);
    if (moe.normalise_topk) weights = weights.div(weights.sum(1, true).add(1e-20));
    return moe.scaling_factor == 1.0 ? weights : weights.mul(moe.scaling_factor);
}

ExpertsOutput apply(const Experts& experts, const Pass& pass, const at::Tensor& x) {
    const Arithmetic wide{.dtype = x.scalar_type(),
                          .summation_parts = pass.arithmetic.summation_parts};
    const at::Tensor scores =
        router_scores(experts.shape, linear(wide, x, experts.router, at::Tensor()));
    const at::Tensor own = choose_experts(experts.shape, scores, experts.router_bias);
    Choice choice;
    choice.experts = pass.replayed_choices != nullptr
                         ? pass.replayed_choices->at(experts.index).to(x.device())
                         : own;
    choice.weights = choice_weights(experts.shape, scores, choice.experts);
    const at::Tensor load = count_per_expert(choice.experts, experts.shape.experts);
    if (pass.record) {
        pass.record->choices.at(experts.index) = choice.experts;
        pass.record->own_choices.at(experts.index) = own;
        pass.record->loads.at(experts.index) = load;
    }

    const at::Tensor rounded = round_to(pass.arithmetic, x);
    ExpertsOutput output;
    const bool spread = pass.exchanges != nullptr && pass.exchanges->run_experts;
    output.added = spread ? pass.exchanges->run_experts(experts, pass.arithmetic, rounded, choice)
                          : run_experts(experts, pass.arithmetic, rounded, choice);
    if (experts.shared.up.weight.defined()) {
        output.added = output.added.add(widen(apply(experts.shared, pass.arithmetic, rounded)));
    }
    if (experts.shape.auxiliary_loss_coefficient > 0.0) {
        output.balance_loss = balance_loss(experts.shape, scores, load);
    }
    return output;
}

}  // namespace ascertain::training
