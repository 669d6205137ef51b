#include "worker/training/post_training.hpp"

#include <ATen/ops/log_softmax.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include "worker/training/sampling.hpp"
#include "worker/training/task.hpp"
#include "worker/training/test_architectures.hpp"

namespace ascertain::training {
namespace {

model::Architecture learned_positions() {
    model::Architecture made = dense_architecture();
    made.family = model::Family::kGpt2;
    made.attention.qk_norm = false;
    made.attention.kv_heads = 4;
    made.norm.kind = model::NormKind::kLayer;
    made.mlp.kind = model::MlpKind::kGeluTanh;
    made.position.kind = model::PositionKind::kLearned;
    return made;
}

model::Architecture windowed() {
    model::Architecture made = dense_architecture();
    made.attention.sliding_window = 6;
    return made;
}

// Token by token with a cache must give what one pass over the whole text gives.
TEST(Sampling, LogProbabilitiesEqualThoseOfAFullForwardPass) {
    for (const auto& architecture :
         {dense_architecture(), deepseek_architecture(), learned_positions(), windowed()}) {
        const Model model(architecture, {.seed = 4});
        const Batch text = pretraining_batch(1, Split::kTraining, 0, 8, 11);
        const Rollout rollout =
            sample(model, text.tokens, {.response_tokens = 9, .end = -1, .seed = 1});
        const c10::AutoGradMode no_gradients(false);
        const at::Tensor logits = model.logits(rollout.tokens.narrow(1, 0, 19));
        const at::Tensor expected = at::log_softmax(logits.narrow(1, 10, 9), -1)
                                        .gather(2, rollout.tokens.narrow(1, 11, 9).unsqueeze(2))
                                        .squeeze(2);
        const at::Tensor error = expected.to(at::kDouble).sub(rollout.log_probabilities).abs();
        EXPECT_LT(error.max().item<double>(), 2e-5) << architecture.name;
        EXPECT_EQ(rollout.drawn.sum().item<float>(), 72.0F);
    }
}

TEST(Sampling, DrawsTheSameTokensFromTheSameSeedAndEndsAtTheMark) {
    const Model model(dense_architecture(), {.seed = 4});
    const Batch text = pretraining_batch(1, Split::kTraining, 0, 64, 4);
    const SampleOptions options{.response_tokens = 12, .end = 3, .seed = 9};
    const Rollout one = sample(model, text.tokens, options);
    EXPECT_TRUE(one.tokens.equal(sample(model, text.tokens, options).tokens));
    SampleOptions other = options;
    other.seed = 10;
    EXPECT_FALSE(one.tokens.equal(sample(model, text.tokens, other).tokens));
    int ended = 0;
    for (std::int64_t row = 0; row < 64; ++row) {
        bool over = false;
        for (std::int64_t i = 0; i < 12; ++i) {
            const bool drawn = one.drawn[row][i].item<float>() == 1.0F;
            EXPECT_EQ(drawn, !over);
            if (over) {
                EXPECT_EQ(one.tokens[row][4 + i].item<std::int64_t>(), 0);
            }
            over = over || one.tokens[row][4 + i].item<std::int64_t>() == 3;
        }
        ended += over ? 1 : 0;
    }
    EXPECT_GT(ended, 0);
}

TEST(Accuracy, HasWilsonsInterval) {
    // Wilson 1927: for 0 of 10 the upper limit is z^2 / (n + z^2) = 0.2775.
    EXPECT_NEAR(accuracy_of(0, 10).high, 0.2775, 1e-4);
    EXPECT_EQ(accuracy_of(0, 10).low, 0.0);
    EXPECT_NEAR(accuracy_of(5, 10).low, 0.2366, 1e-4);
    EXPECT_NEAR(accuracy_of(5, 10).high, 0.7634, 1e-4);
    const Gain gained = gain(accuracy_of(300, 1000), accuracy_of(800, 1000));
    EXPECT_DOUBLE_EQ(gained.share, 0.5);
    // sqrt(0.3 * 0.7 / 1000 + 0.8 * 0.2 / 1000) = 0.01924, times 1.96
    EXPECT_NEAR(gained.low, 0.5 - 0.0377, 1e-4);
}

TEST(Accuracy, OfAnUntrainedModelIsNothing) {
    const Model model(dense_architecture(), {.seed = 1});
    const Accuracy accuracy = measure_accuracy(model, 100, false, 1);
    EXPECT_EQ(accuracy.problems, 100);
    EXPECT_LT(accuracy.share, 0.2);
}

TEST(PostTraining, FineTuningLearnsTheFormAndReinforcementStartsOnPolicy) {
    Model model(dense_architecture(), {.seed = 1});
    Recipe recipe;
    recipe.sft.steps = 40;
    recipe.sft.batch_sequences = 16;
    recipe.sft.learning_rate = 3e-3;
    recipe.grpo.updates = 2;
    recipe.grpo.prompts = 4;
    recipe.grpo.samples = 4;
    const SftReport sft = fine_tune(model, recipe, 1, [](std::int64_t) {});
    ASSERT_EQ(sft.losses.size(), 40U);
    EXPECT_LT(sft.losses.back(), 0.7 * sft.losses.front());
    const GrpoReport grpo = reinforce(model, recipe, 1, [](std::int64_t) {});
    ASSERT_EQ(grpo.rewards.size(), 2U);
    // Before the first update the policy is the one it is compared with; one model, two ways.
    EXPECT_NEAR(grpo.divergences.front(), 0.0, 1e-6);
    EXPECT_LT(grpo.mismatches.front(), 1e-5);
    for (const double reward : grpo.rewards) {
        EXPECT_GE(reward, 0.0);
        EXPECT_LE(reward, 1.0);
    }
    // Without a rewarded sample all advantages, and so all gradients, are zero.
    const bool rewarded = grpo.rewards[0] > 0.0 && grpo.rewards[0] < 1.0;
    EXPECT_EQ(grpo.grad_norms[0] > 0.0, rewarded);
}

}  // namespace
}  // namespace ascertain::training
