#include "worker/training/optimizer.hpp"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/full.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/assert.hpp"
#include "worker/training/planted/points.hpp"

namespace ascertain::training {
namespace {

std::vector<at::Tensor> gradients_of(Parameters& parameters) {
    std::vector<at::Tensor> gradients;
    for (const at::Tensor& value : parameters.trained()) {
        if (!value.grad().defined()) value.mutable_grad() = at::zeros_like(value);
        gradients.push_back(value.grad());
    }
    return gradients;
}

}  // namespace

Adamw::Adamw(Parameters& parameters, const AdamwOptions& options)
    : parameters_(parameters), options_(options) {
    const c10::AutoGradMode no_gradients(false);
    for (const at::Tensor& value : parameters_.trained()) {
        moments_.push_back({at::zeros_like(value), at::zeros_like(value),
                            at::zeros({}, value.options().dtype(at::kFloat))});
    }
}

void Adamw::step(double learning_rate) {
    const planted::OptimizerStep around(parameters_, moments_);
    const at::Device device = parameters_.all().front().value.device();
    const double rate = planted::at_number("learning_rate", learning_rate, device);
    for (int i = 0; i < around.times(); ++i) update(rate);
}

void Adamw::update(double learning_rate) {
    const c10::AutoGradMode no_gradients(false);
    for (const bool decays : {true, false}) {
        std::vector<at::Tensor> values, gradients, first, second, steps;
        std::size_t index = 0;
        for (const Parameter& parameter : parameters_.all()) {
            if (!parameter.trained) continue;
            const Moments& moments = moments_[index++];
            if (parameter.decays != decays) continue;
            ASCERTAIN_ASSERT(parameter.value.grad().defined());
            values.push_back(parameter.value);
            gradients.push_back(parameter.value.grad());
            first.push_back(moments.first);
            second.push_back(moments.second);
            steps.push_back(moments.steps);
        }
        if (values.empty()) continue;
        at::_foreach_add_(steps, 1);
        at::_fused_adamw_(values, gradients, first, second, {}, steps, learning_rate,
                          options_.beta1, options_.beta2, decays ? options_.weight_decay : 0.0,
                          options_.epsilon, /*amsgrad=*/false, /*maximize=*/false);
    }
}

void Adamw::copy_from(const Adamw& other) {
    const c10::AutoGradMode no_gradients(false);
    ASCERTAIN_ASSERT(moments_.size() == other.moments_.size());
    for (std::size_t i = 0; i < moments_.size(); ++i) {
        moments_[i].first.copy_(other.moments_[i].first);
        moments_[i].second.copy_(other.moments_[i].second);
        moments_[i].steps.copy_(other.moments_[i].steps);
    }
}

void adamw_reference(at::Tensor& weight, const at::Tensor& gradient, Moments& moments,
                     const AdamwOptions& options, double learning_rate, bool decays) {
    const c10::AutoGradMode no_gradients(false);
    const double step = moments.steps.item<double>() + 1.0;
    moments.steps = moments.steps.add(1.0);
    moments.first = moments.first.mul(options.beta1).add(gradient, 1.0 - options.beta1);
    moments.second =
        moments.second.mul(options.beta2).add(gradient.mul(gradient), 1.0 - options.beta2);
    const at::Tensor mean = moments.first.div(1.0 - std::pow(options.beta1, step));
    const at::Tensor spread = moments.second.div(1.0 - std::pow(options.beta2, step)).sqrt();
    const at::Tensor kept =
        decays ? weight.mul(1.0 - learning_rate * options.weight_decay) : weight;
    weight = kept.sub(mean.div(spread.add(options.epsilon)), learning_rate);
}

at::Tensor clip_gradients(Parameters& parameters, double limit) {
    const c10::AutoGradMode no_gradients(false);
    std::vector<at::Tensor> gradients = gradients_of(parameters);
    const at::Tensor norm =
        planted::at_grad_norm(at::stack(at::_foreach_norm(gradients, 2)).norm(), parameters);
    const double bound = planted::at_number("clip", limit, norm.device());
    at::_foreach_mul_(gradients, norm.add(1e-6).reciprocal().mul(bound).clamp_max(1.0));
    return norm;
}

at::Tensor count_unused(const Parameters& parameters) {
    const c10::AutoGradMode no_gradients(false);
    at::Tensor count;
    for (const Parameter& parameter : parameters.all()) {
        if (!parameter.trained) continue;
        const at::Tensor gradient = parameter.value.grad();
        const std::int64_t tensors = parameter.value.dim() == 3 ? parameter.value.size(0) : 1;
        const at::Tensor zero =
            gradient.defined() ? gradient.reshape({tensors, -1}).eq(0).all(1).sum()
                               : at::full({}, tensors, parameter.value.options().dtype(at::kLong));
        count = count.defined() ? count.add(zero) : zero;
    }
    return count;
}

double learning_rate_at(const Schedule& schedule, std::int64_t step) {
    if (step < schedule.warm_up_steps) {
        return schedule.peak * static_cast<double>(step + 1) /
               static_cast<double>(schedule.warm_up_steps);
    }
    const auto past = static_cast<double>(step - schedule.warm_up_steps);
    const auto course = static_cast<double>(
        std::max<std::int64_t>(1, schedule.total_steps - schedule.warm_up_steps));
    const double share = std::min(1.0, past / course);
    const double cosine = 0.5 * (1.0 + std::cos(std::numbers::pi * share));
    return schedule.peak * (schedule.final_share + (1.0 - schedule.final_share) * cosine);
}

}  // namespace ascertain::training
