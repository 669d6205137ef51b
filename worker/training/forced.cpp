#include "worker/training/forced.hpp"

#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>

#include "base/assert.hpp"
#include "worker/training/compare.hpp"
#include "worker/training/forced_summary.hpp"

namespace ascertain::training {
namespace {

// What one side made of one batch.
struct Outcome {
    double loss = 0.0;
    double grad_norm = 0.0;
    std::vector<NamedTensor> gradients;  // on the CPU
    RoutingRecord routing;
};

class ForcedComparison {
public:
    explicit ForcedComparison(const ForcedPlan& plan)
        : plan_(plan),
          reference_(plan.architecture, plan.recipe, {.seed = plan.seed}),
          twin_(plan.architecture, options(plan.twin)),
          device_(plan.architecture, options(plan.device)),
          optimizer_(device_.parameters(), plan.recipe.adamw) {}

    ForcedResult run(const std::function<void(double)>& progress) {
        double done = 0.0;
        const double all =
            static_cast<double>(plan_.steps.size()) * static_cast<double>(plan_.batches);
        for (const std::int64_t step : plan_.steps) {
            while (reference_.position() < step) reference_.step({});
            totals_.losses.emplace_back();
            totals_.norms.emplace_back();
            for (std::int64_t batch = 0; batch < plan_.batches; ++batch) {
                load();
                compare_batch(step, batch);
                progress(++done / all);
            }
        }
        return summary();
    }

private:
    ModelOptions options(const Side& side) const {
        return {.arithmetic = side.arithmetic, .device = side.device, .seed = plan_.seed};
    }

    // The reference's weights and optimizer state to everybody.
    void load() {
        twin_.parameters().copy_from(reference_.model().parameters());
        device_.parameters().copy_from(reference_.model().parameters());
        optimizer_.copy_from(reference_.optimizer());
    }

    Outcome outcome(Model& model, const Batch& batch, const RoutingRecord* routing,
                    const GradientHook& hook) {
        PassOptions options = pass_options(plan_.recipe);
        if (routing != nullptr) options.replayed_choices = &routing->choices;
        const PassResult pass = compute_gradients(model, batch.to(model.device()), options);
        if (hook) hook(model.parameters());
        Outcome made;
        made.loss = pass.next_token_loss.to(at::kCPU).item<double>();
        made.gradients = gradients_on_host(model.parameters());
        made.grad_norm = global_norm(made.gradients);
        made.routing = pass.routing;
        return made;
    }

    void compare_batch(std::int64_t step, std::int64_t index) {
        const Batch batch =
            pretraining_batch(plan_.seed, Split::kTraining, step + index,
                              plan_.recipe.batch_sequences, plan_.recipe.sequence_length);
        const Outcome reference = outcome(reference_.model(), batch, nullptr, {});
        const Outcome twin = outcome(twin_, batch, &reference.routing, {});
        const ThreadCount threads(plan_.device.threads);
        const Outcome device = outcome(device_, batch, &reference.routing, plan_.hook);
        const bool suspect = note(step, index, reference, twin, device);
        compare_choices(reference.routing, device.routing);
        if (index == 0) {
            clip_gradients(reference_.model().parameters(), plan_.recipe.clip_norm);
            compare_update(step);
            compare_router_bias(device.routing, reference.routing);
            load();
            compare_optimizer();
        }
        if (suspect && !located_) {
            load();
            located_ = locate(reference_.model(), twin_, device_, batch, pass_options(plan_.recipe),
                              plan_.hook);
        }
    }

    // Whether the device is clearly farther from the reference than its twin is.
    bool note(std::int64_t step, std::int64_t index, const Outcome& reference, const Outcome& twin,
              const Outcome& device) {
        ForcedPoint point{.step = step,
                          .batch = index,
                          .loss_device = device.loss,
                          .loss_reference = reference.loss,
                          .loss_twin = twin.loss,
                          .grad_norm_device = device.grad_norm,
                          .grad_norm_reference = reference.grad_norm,
                          .grad_norm_twin = twin.grad_norm,
                          .gradient_error = 0.0,
                          .worst_tensor = ""};
        totals_.losses.back().device.push_back(relative_deviation(device.loss, reference.loss));
        totals_.losses.back().twin.push_back(relative_deviation(twin.loss, reference.loss));
        totals_.norms.back().device.push_back(log_ratio(device.grad_norm, reference.grad_norm));
        totals_.norms.back().twin.push_back(log_ratio(twin.grad_norm, reference.grad_norm));

        double elements = 0.0;
        for (const NamedTensor& tensor : reference.gradients) {
            elements += static_cast<double>(tensor.value.numel());
        }
        if (tensors_.empty()) {
            for (const NamedTensor& tensor : reference.gradients) {
                tensors_.push_back({.name = tensor.name});
            }
        }
        double squares = 0.0;
        double worst = -1.0;
        double worst_twin = 0.0;
        for (std::size_t i = 0; i < reference.gradients.size(); ++i) {
            const at::Tensor& expected = reference.gradients[i].value;
            const double floor = norm_floor(expected, reference.grad_norm, elements);
            const Difference ours = difference(device.gradients[i].value, expected, floor);
            const Difference healthy = difference(twin.gradients[i].value, expected, floor);
            const double apart =
                ours.relative_error * std::max(floor, expected.norm().item<double>());
            squares += apart * apart;
            ForcedTensor& tensor = tensors_[i];
            tensor.relative_error = std::max(tensor.relative_error, ours.relative_error);
            tensor.one_minus_cosine = std::max(tensor.one_minus_cosine, ours.one_minus_cosine);
            tensor.one_minus_cosine_twin =
                std::max(tensor.one_minus_cosine_twin, healthy.one_minus_cosine);
            worst_twin = std::max(worst_twin, healthy.relative_error);
            if (ours.relative_error > worst) {
                worst = ours.relative_error;
                point.worst_tensor = tensor.name;
            }
        }
        point.gradient_error = std::min(std::sqrt(squares) / reference.grad_norm, kNotFinite);
        points_.push_back(std::move(point));
        totals_.twin_error = std::max(totals_.twin_error, worst_twin);
        return worst > std::max(kSuspectFactor * worst_twin, kSuspectFloor);
    }

    // Tokens for which the device's router, asked for itself, took other experts.
    void compare_choices(const RoutingRecord& reference, const RoutingRecord& device) {
        for (std::size_t i = 0; i < reference.choices.size(); ++i) {
            const at::Tensor expected = std::get<0>(reference.choices[i].sort(1));
            const at::Tensor got = std::get<0>(device.own_choices[i].to(at::kCPU).sort(1));
            totals_.tokens_disagreeing += got.ne(expected).any(1).sum().item<std::int64_t>();
            totals_.tokens_routed += expected.size(0);
        }
    }

    // One whole update from the same state, each side with its own gradients.
    void compare_update(std::int64_t step) {
        const c10::AutoGradMode no_gradients(false);
        const double rate = learning_rate_at(plan_.recipe.schedule(), step);
        const std::vector<at::Tensor> before = reference_weights();
        std::vector<at::Tensor> expected = before;
        reference_update(expected, nullptr, rate);
        clip_gradients(device_.parameters(), plan_.recipe.clip_norm);
        optimizer_.step(rate);
        const std::vector<at::Tensor> after = device_.parameters().trained();
        double all_ours = 0.0;
        double all_theirs = 0.0;
        for (std::size_t i = 0; i < before.size(); ++i) {
            const double ours =
                after[i].to(at::kCPU, at::kDouble).sub(before[i]).norm().item<double>();
            const double theirs = expected[i].sub(before[i]).norm().item<double>();
            all_ours += ours * ours;
            all_theirs += theirs * theirs;
            widen(totals_.update_norm, log_ratio(ours, theirs));
        }
        widen(totals_.global_update_norm, 0.5 * log_ratio(all_ours, all_theirs));
    }

    // The device's optimizer on the reference's gradients, at the peak rate, against the formula.
    void compare_optimizer() {
        const c10::AutoGradMode no_gradients(false);
        const std::vector<at::Tensor> values = device_.parameters().trained();
        const std::vector<at::Tensor> sources = reference_.model().parameters().trained();
        for (std::size_t i = 0; i < values.size(); ++i) {
            values[i].mutable_grad() = sources[i].grad().to(values[i].device(), false, true);
        }
        std::vector<at::Tensor> expected = reference_weights();
        std::vector<Moments> moments;
        reference_update(expected, &moments, plan_.recipe.learning_rate);
        optimizer_.step(plan_.recipe.learning_rate);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const Moments& own = optimizer_.moments()[i];
            for (const double error :
                 {difference(values[i], expected[i], 0.0).relative_error,
                  difference(own.first, moments[i].first, 0.0).relative_error,
                  difference(own.second, moments[i].second, 0.0).relative_error}) {
                totals_.optimizer_error = std::max(totals_.optimizer_error, error);
            }
        }
    }

    void compare_router_bias(const RoutingRecord& device, const RoutingRecord& reference) {
        device_.balance_router(device.loads, plan_.recipe.router_bias_rate);
        twin_.balance_router(reference.loads, plan_.recipe.router_bias_rate);
        for (std::size_t i = 0; i < twin_.parameters().all().size(); ++i) {
            const Parameter& expected = twin_.parameters().all()[i];
            if (expected.trained) continue;
            const at::Tensor got = device_.parameters().all()[i].value.to(at::kCPU);
            totals_.bias_mismatches += got.ne(expected.value).sum().item<std::int64_t>();
            totals_.biases += got.numel();
        }
    }

    std::vector<at::Tensor> reference_weights() const {
        std::vector<at::Tensor> weights;
        for (const at::Tensor& value : reference_.model().parameters().trained()) {
            weights.push_back(value.detach().to(at::kDouble));
        }
        return weights;
    }

    // `weights` after one update by the formula with the reference's clipped gradients; `after`, if
    // given, gets the moments.
    void reference_update(std::vector<at::Tensor>& weights, std::vector<Moments>* after,
                          double rate) {
        std::size_t index = 0;
        for (const Parameter& parameter : reference_.model().parameters().all()) {
            if (!parameter.trained) continue;
            const Moments& own = reference_.optimizer().moments()[index];
            Moments moments{own.first.to(at::kDouble), own.second.to(at::kDouble),
                            own.steps.to(at::kDouble)};
            adamw_reference(weights[index], parameter.value.grad().to(at::kDouble), moments,
                            plan_.recipe.adamw, rate, parameter.decays);
            if (after != nullptr) after->push_back(std::move(moments));
            ++index;
        }
    }

    static void widen(double& worst, double value) {
        if (std::abs(value) > std::abs(worst)) worst = value;
    }

    ForcedResult summary() {
        ForcedResult result;
        result.observation = summarise(points_, tensors_, totals_);
        std::stable_sort(tensors_.begin(), tensors_.end(),
                         [](const ForcedTensor& a, const ForcedTensor& b) {
                             return a.relative_error > b.relative_error;
                         });
        result.points = std::move(points_);
        result.tensors = std::move(tensors_);
        result.located = std::move(located_);
        return result;
    }

    const ForcedPlan& plan_;
    Trainer reference_;
    Model twin_;
    Model device_;
    Adamw optimizer_;

    std::vector<ForcedPoint> points_;
    std::vector<ForcedTensor> tensors_;
    std::optional<Located> located_;
    ForcedTotals totals_;
};

}  // namespace

ForcedResult compare_forced(const ForcedPlan& plan, const std::function<void(double)>& progress) {
    ASCERTAIN_ASSERT(std::is_sorted(plan.steps.begin(), plan.steps.end()));
    return ForcedComparison(plan).run(progress);
}

}  // namespace ascertain::training
