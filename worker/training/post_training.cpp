#include "worker/training/post_training.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <cmath>
#include <span>

#include "worker/training/optimizer.hpp"
#include "worker/training/planted/sampler.hpp"
#include "worker/training/sampling.hpp"
#include "worker/training/task.hpp"
#include "worker/training/trainer.hpp"

namespace ascertain::training {
namespace {

constexpr double kNormal95 = 1.959964;        // two-sided 95 % quantile of the normal
constexpr std::int64_t kResponseTokens = 12;  // an answer and two more
constexpr std::uint64_t kSamplesPerSeed = 1u << 20u;

AdamwOptions without_decay(AdamwOptions options) {
    options.weight_decay = 0.0;
    return options;
}

std::int64_t end_token() {
    return encode("$").front();
}

at::Tensor prompts_of(std::span<const std::int64_t> problems, std::int64_t samples) {
    const auto rows = static_cast<std::int64_t>(problems.size()) * samples;
    at::Tensor prompts = at::empty({rows, kQuestionTokens}, at::TensorOptions().dtype(at::kLong));
    auto* place = prompts.mutable_data_ptr<std::int64_t>();
    for (const std::int64_t number : problems) {
        const std::vector<std::int64_t> tokens = encode(problem(number).question);
        for (std::int64_t sample = 0; sample < samples; ++sample) {
            place = std::copy(tokens.begin(), tokens.end(), place);
        }
    }
    return prompts;
}

// One reward per row; row r answers problems[r / samples].
std::vector<double> rewards_of(const Rollout& rollout, std::span<const std::int64_t> problems,
                               std::int64_t samples) {
    std::vector<double> rewards;
    const std::int64_t width = rollout.tokens.size(1);
    const auto* tokens = rollout.tokens.const_data_ptr<std::int64_t>();
    for (std::int64_t row = 0; row < rollout.tokens.size(0); ++row) {
        const std::vector<std::int64_t> response(tokens + row * width + kQuestionTokens,
                                                 tokens + (row + 1) * width);
        const std::int64_t number = problems[static_cast<std::size_t>(row / samples)];
        rewards.push_back(reward(problem(number), decode(response)));
    }
    return rewards;
}

// (reward - mean of its group) / (standard deviation + 1e-4), [rows, 1].
at::Tensor advantages_of(const std::vector<double>& rewards, std::int64_t samples) {
    constexpr double kSmallest = 1e-4;
    at::Tensor advantages = at::empty({static_cast<std::int64_t>(rewards.size()), 1}, at::kFloat);
    float* place = advantages.mutable_data_ptr<float>();
    const auto size = static_cast<std::size_t>(samples);
    for (std::size_t group = 0; group < rewards.size(); group += size) {
        double mean = 0.0;
        double squares = 0.0;
        for (std::size_t i = group; i < group + size; ++i) mean += rewards[i];
        mean /= static_cast<double>(samples);
        for (std::size_t i = group; i < group + size; ++i) {
            squares += (rewards[i] - mean) * (rewards[i] - mean);
        }
        const double deviation = std::sqrt(squares / static_cast<double>(samples - 1));
        for (std::size_t i = group; i < group + size; ++i) {
            *place++ = static_cast<float>((rewards[i] - mean) / (deviation + kSmallest));
        }
    }
    return advantages;
}

// Log-probability of every response token, [rows, response].
at::Tensor response_log_probabilities(const Model& model, const at::Tensor& tokens) {
    const std::int64_t response = tokens.size(1) - kQuestionTokens;
    const at::Tensor logits = model.logits(tokens.narrow(1, 0, tokens.size(1) - 1))
                                  .narrow(1, kQuestionTokens - 1, response);
    const at::Tensor targets = tokens.narrow(1, kQuestionTokens, response).unsqueeze(2);
    return at::log_softmax(logits, -1).gather(2, targets).squeeze(2);
}

double mean_where(const at::Tensor& values, const at::Tensor& mask) {
    return values.mul(mask).sum().div(mask.sum()).to(at::kCPU).item<double>();
}

}  // namespace

Accuracy accuracy_of(std::int64_t right, std::int64_t problems) {
    const auto n = static_cast<double>(problems);
    const double share = static_cast<double>(right) / n;
    const double z = kNormal95;
    const double middle = (share + z * z / (2 * n)) / (1 + z * z / n);
    const double half =
        z / (1 + z * z / n) * std::sqrt(share * (1 - share) / n + z * z / (4 * n * n));
    return {right, problems, share, std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

Accuracy measure_accuracy(const Model& model, std::int64_t problems, bool greedy,
                          std::uint64_t seed) {
    const std::vector<std::int64_t> numbers = held_out_problems(problems);
    const Rollout rollout = sample(model, prompts_of(numbers, 1),
                                   {.response_tokens = kResponseTokens,
                                    .end = end_token(),
                                    .greedy = greedy,
                                    .seed = seed,
                                    .stream = 0});
    std::int64_t right = 0;
    for (const double reward : rewards_of(rollout, numbers, 1)) right += reward > 0.0 ? 1 : 0;
    return accuracy_of(right, static_cast<std::int64_t>(numbers.size()));
}

Gain gain(const Accuracy& earlier, const Accuracy& later) {
    const auto variance = [](const Accuracy& accuracy) {
        return accuracy.share * (1 - accuracy.share) / static_cast<double>(accuracy.problems);
    };
    const double share = later.share - earlier.share;
    const double half = kNormal95 * std::sqrt(variance(earlier) + variance(later));
    return {share, share - half, share + half};
}

SftReport fine_tune(Model& model, const Recipe& recipe, std::uint64_t seed,
                    const StageProgress& progress) {
    const SftRecipe& sft = recipe.sft;
    const Schedule schedule{sft.learning_rate, sft.warm_up_steps, sft.steps,
                            recipe.final_learning_rate_share};
    Adamw optimizer(model.parameters(), recipe.adamw);
    SftReport report;
    for (std::int64_t step = 0; step < sft.steps; ++step) {
        const Batch batch = demonstration_batch(seed, step, sft.batch_sequences, sft.noise);
        const PassResult pass =
            compute_gradients(model, batch.to(model.device()), pass_options(recipe));
        clip_gradients(model.parameters(), recipe.clip_norm);
        optimizer.step(learning_rate_at(schedule, step));
        model.balance_router(pass.routing.loads, recipe.router_bias_rate);
        report.losses.push_back(pass.next_token_loss.to(at::kCPU).item<double>());
        progress(step);
    }
    return report;
}

GrpoReport reinforce(Model& model, const Recipe& recipe, std::uint64_t seed,
                     const StageProgress& progress) {
    const GrpoRecipe& grpo = recipe.grpo;
    const Schedule schedule{grpo.learning_rate, grpo.warm_up_steps, grpo.updates, 1.0};
    Adamw optimizer(model.parameters(), without_decay(recipe.adamw));
    Model before(model.architecture(),
                 {.arithmetic = model.arithmetic(), .device = model.device(), .seed = seed});
    before.parameters().copy_from(model.parameters());
    GrpoReport report;
    for (std::int64_t update = 0; update < grpo.updates; ++update) {
        const std::vector<std::int64_t> problems = prompt_problems(seed, update, grpo.prompts);
        const Rollout rollout =
            sample(model, prompts_of(problems, grpo.samples),
                   {.response_tokens = kResponseTokens,
                    .end = end_token(),
                    .greedy = false,
                    .seed = seed + 1,  // other numbers than those that measure accuracy
                    .stream = static_cast<std::uint64_t>(update) * kSamplesPerSeed});
        const std::vector<double> rewards = rewards_of(rollout, problems, grpo.samples);
        const at::Device device = model.device();
        const at::Tensor tokens = rollout.tokens.to(device);
        const at::Tensor drawn = rollout.drawn.to(device);
        at::Tensor advantages = advantages_of(rewards, grpo.samples);
        planted::at_advantages(advantages, device);
        advantages = advantages.to(device);
        const at::Tensor sampled = rollout.log_probabilities.to(at::kFloat).to(device);

        model.parameters().clear_gradients();
        const at::Tensor log_probabilities = response_log_probabilities(model, tokens);
        const at::Tensor fixed = log_probabilities.detach();
        const at::Tensor importance = fixed.sub(sampled).exp().clamp_max(grpo.importance_cap);
        at::Tensor objective = log_probabilities.sub(fixed).exp().mul(importance).mul(advantages);
        at::Tensor away;
        {
            const c10::AutoGradMode no_gradients(false);
            away = response_log_probabilities(before, tokens);
        }
        const at::Tensor ratio = away.sub(log_probabilities);
        const at::Tensor divergence = ratio.exp().sub(ratio).sub(1.0);  // k3, never negative
        if (grpo.kl_coefficient > 0.0) {
            objective = objective.sub(divergence.mul(grpo.kl_coefficient));
        }
        backward(objective.mul(drawn).sum().div(drawn.sum()).neg());
        const at::Tensor norm = clip_gradients(model.parameters(), recipe.clip_norm);
        optimizer.step(learning_rate_at(schedule, update));

        double mean_reward = 0.0;
        for (const double reward : rewards) mean_reward += reward;
        report.rewards.push_back(mean_reward / static_cast<double>(rewards.size()));
        report.grad_norms.push_back(norm.to(at::kCPU).item<double>());
        report.divergences.push_back(mean_where(divergence.detach(), drawn));
        report.mismatches.push_back(mean_where(fixed.sub(sampled).abs(), drawn));
        progress(update);
    }
    return report;
}

}  // namespace ascertain::training
