#include "worker/training/trainer.hpp"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "worker/training/test_architectures.hpp"

namespace ascertain::training {
namespace {

Recipe short_recipe() {
    Recipe recipe;
    recipe.batch_sequences = 8;
    recipe.sequence_length = 32;
    recipe.warm_up_steps = 5;
    recipe.total_steps = 60;
    return recipe;
}

TEST(Recipe, ReadsWhatItWritesAndNamesWhatItDoesNotKnow) {
    const Recipe recipe = short_recipe();
    const Result<Recipe> read = recipe_from_json(to_json(recipe), "recipe");
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_EQ(*read, recipe);
    EXPECT_EQ(*recipe_from_json(Json::object(), "recipe"), Recipe{});
    const auto unknown = recipe_from_json(Json{{"learning_rat", 1}}, "recipe");
    ASSERT_FALSE(unknown.ok());
    EXPECT_NE(unknown.error().text().find("learning_rate"), std::string::npos);
    for (const Json& bad : {Json{{"beta1", 1.0}}, Json{{"batch_sequences", 0}},
                            Json{{"clip_norm", "big"}}, Json{{"warm_up_steps", 1.5}}}) {
        EXPECT_FALSE(recipe_from_json(bad, "recipe").ok()) << bad;
    }
}

TEST(Optimizer, RateWarmsUpThenFallsToItsFinalShare) {
    const Schedule recipe =
        Recipe().schedule();  // 3e-3, 20 steps of warm-up, 1,000 in all, to a tenth
    EXPECT_DOUBLE_EQ(learning_rate_at(recipe, 0), 3e-3 / 20);
    EXPECT_DOUBLE_EQ(learning_rate_at(recipe, 19), 3e-3);
    EXPECT_NEAR(learning_rate_at(recipe, 510), 3e-3 * 0.55, 1e-9);  // half way: (1 + 0.1) / 2
    EXPECT_NEAR(learning_rate_at(recipe, 1000), 3e-4, 1e-12);
    EXPECT_NEAR(learning_rate_at(recipe, 5000), 3e-4, 1e-12);
}

TEST(Optimizer, FusedKernelFollowsTheFormula) {
    Parameters parameters(1, at::kCPU, at::kFloat);
    const at::Tensor weight = parameters.add("matrix.weight", {16, 8}, {.deviation = 1.0});
    const AdamwOptions options;
    Adamw optimizer(parameters, options);
    at::Tensor expected = weight.detach().to(at::kDouble);
    Moments moments{at::zeros_like(expected), at::zeros_like(expected), at::zeros({}, at::kDouble)};
    for (int step = 0; step < 5; ++step) {
        const at::Tensor gradient = weight.detach().sin().add(step);
        weight.mutable_grad() = gradient.clone();
        optimizer.step(1e-2);
        adamw_reference(expected, gradient.to(at::kDouble), moments, options, 1e-2, true);
        const at::Tensor error = weight.detach().to(at::kDouble).sub(expected);
        EXPECT_LT(error.norm().item<double>() / expected.norm().item<double>(), 5e-7);
    }
}

TEST(Optimizer, ClippingScalesToTheLimitAndReportsTheNormBefore) {
    Parameters parameters(1, at::kCPU, at::kFloat);
    const at::Tensor one = parameters.add("one", {2}, {});
    const at::Tensor other = parameters.add("other", {2}, {});
    one.mutable_grad() = at::full({2}, 3.0);  // norm of (3, 3, 0, 0) is 3 sqrt 2
    EXPECT_EQ(count_unused(parameters).item<std::int64_t>(), 1);
    EXPECT_NEAR(clip_gradients(parameters, 1.0).item<double>(), 3.0 * std::sqrt(2.0), 1e-6);
    EXPECT_NEAR(one.grad().norm().item<double>(), 1.0, 1e-5);
    EXPECT_EQ(other.grad().norm().item<double>(), 0.0);
}

TEST(Trainer, LearnsMoreThanTheFrequencyOfCharacters) {
    for (const auto& architecture : {dense_architecture(), deepseek_architecture()}) {
        Trainer trainer(architecture, short_recipe(), {.seed = 1});
        StepReport last;
        for (int i = 0; i < 60; ++i) last = trainer.step({});
        const std::vector<double> losses = trainer.held_out_losses(4);
        const double mean = std::accumulate(losses.begin(), losses.end(), 0.0) / 4.0;
        EXPECT_LT(mean, unigram_entropy(1)) << architecture.name;
        EXPECT_TRUE(std::isfinite(last.grad_norm));
    }
}

TEST(Trainer, SameSeedSameCurveAndAPerturbedReplicaStaysNear) {
    std::vector<double> curves[3];
    for (std::size_t run = 0; run < 3; ++run) {
        Trainer trainer(deepseek_architecture(), short_recipe(), {.seed = 2});
        if (run == 2) perturb(trainer.model().parameters(), 1e-7, 2, 1);
        for (int i = 0; i < 5; ++i) curves[run].push_back(trainer.step({}).loss);
    }
    EXPECT_EQ(curves[0], curves[1]);
    EXPECT_NE(curves[0], curves[2]);
    for (std::size_t i = 0; i < 5; ++i) EXPECT_NEAR(curves[0][i], curves[2][i], 1e-5);
}

TEST(Trainer, HookSitsBetweenBackwardAndUpdate) {
    Trainer plain(dense_architecture(), short_recipe(), {.seed = 1});
    Trainer changed(dense_architecture(), short_recipe(), {.seed = 1});
    const double norm = plain.step({}).grad_norm;
    const double doubled = changed
                               .step([](Parameters& parameters) {
                                   for (const at::Tensor& value : parameters.trained()) {
                                       value.mutable_grad().mul_(2.0);
                                   }
                               })
                               .grad_norm;
    EXPECT_NEAR(doubled / norm, 2.0, 1e-5);
}

}  // namespace
}  // namespace ascertain::training
