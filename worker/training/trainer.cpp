#include "worker/training/trainer.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>

#include "base/random.hpp"
#include "worker/training/planted/points.hpp"

namespace ascertain::training {

PassOptions pass_options(const Recipe& recipe) {
    return {.recompute = recipe.recompute,
            .loss_chunk_tokens = recipe.loss_chunk_tokens,
            .mtp_weight = recipe.mtp_weight};
}

PassResult compute_gradients(Model& model, const Batch& batch, const PassOptions& options) {
    constexpr double kLossScale = 4096.0;
    const planted::Weights weights("parameters", model.parameters());
    Batch own = batch;
    planted::at_data(own, model.device());
    model.parameters().clear_gradients();
    PassOptions used = options;
    used.mtp_weight = planted::at_number("mtp", options.mtp_weight, model.device());
    PassResult result = model.pass(own, used);
    planted::at_loss(result, model.device());
    const bool scaled = model.arithmetic().dtype == at::kHalf;
    const double scale = planted::at_number("loss_scale", kLossScale, model.device());
    backward(scaled ? result.loss.mul(scale) : result.loss);
    if (scaled) {
        for (const at::Tensor& value : model.parameters().trained()) {
            if (value.grad().defined()) value.mutable_grad().div_(kLossScale);
        }
    }
    planted::at_gradients(model.parameters());
    return result;
}

Trainer::Trainer(const model::Architecture& architecture, const Recipe& recipe,
                 const ModelOptions& options)
    : recipe_(recipe),
      seed_(options.seed),
      model_(architecture, options),
      optimizer_(model_.parameters(), recipe.adamw) {}

StepReport Trainer::step(const GradientHook& hook) {
    const Batch batch = pretraining_batch(seed_, Split::kTraining, position_,
                                          recipe_.batch_sequences, recipe_.sequence_length)
                            .to(model_.device());
    const PassResult pass = compute_gradients(model_, batch, pass_options(recipe_));
    if (hook) hook(model_.parameters());
    const at::Tensor unused = count_unused(model_.parameters());
    const at::Tensor norm = clip_gradients(model_.parameters(), recipe_.clip_norm);
    optimizer_.step(learning_rate_at(recipe_.schedule(), position_));
    model_.balance_router(pass.routing.loads, recipe_.router_bias_rate);
    ++position_;
    // One copy to the host for all three.
    const at::Tensor numbers = at::stack({pass.next_token_loss.detach().to(at::kDouble),
                                          norm.to(at::kDouble), unused.to(at::kDouble)})
                                   .to(at::kCPU);
    const double* values = numbers.const_data_ptr<double>();
    return {values[0], values[1], static_cast<std::int64_t>(values[2])};
}

std::vector<double> Trainer::held_out_losses(std::int64_t batches) const {
    const c10::AutoGradMode no_gradients(false);
    planted::at_evaluate(model_.device());
    std::vector<double> losses;
    for (std::int64_t index = 0; index < batches; ++index) {
        const Batch batch = pretraining_batch(seed_, Split::kHeldOut, index,
                                              recipe_.batch_sequences, recipe_.sequence_length)
                                .to(model_.device());
        losses.push_back(
            model_.pass(batch, pass_options(recipe_)).next_token_loss.to(at::kCPU).item<double>());
    }
    return losses;
}

void perturb(Parameters& parameters, double size, std::uint64_t seed, std::uint64_t replica) {
    const c10::AutoGradMode no_gradients(false);
    Random random(seed, replica);
    for (const Parameter& parameter : parameters.all()) {
        if (!parameter.trained) continue;
        at::Tensor factor = at::empty(parameter.value.sizes(), at::kDouble);
        double* values = factor.mutable_data_ptr<double>();
        for (std::int64_t i = 0; i < factor.numel(); ++i) values[i] = 1.0 + size * random.normal();
        const at::Tensor moved = parameter.value.to(at::kCPU, at::kDouble).mul(factor);
        parameter.value.copy_(moved);
    }
}

}  // namespace ascertain::training
