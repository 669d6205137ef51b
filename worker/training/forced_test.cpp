#include "worker/training/forced.hpp"

#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

#include "worker/training/compare.hpp"
#include "worker/training/tamper.hpp"
#include "worker/training/test_architectures.hpp"

namespace ascertain::training {
namespace {

ForcedPlan plan_of(const model::Architecture& architecture, at::ScalarType dtype) {
    ForcedPlan plan;
    plan.architecture = architecture;
    plan.recipe.batch_sequences = 8;
    plan.recipe.sequence_length = 32;
    plan.steps = {0, 3};
    plan.batches = 4;
    plan.seed = 1;
    plan.device = device_side(at::kCPU, dtype);
    plan.twin = twin_side(dtype);
    return plan;
}

double value_of(const ForcedResult& result, std::string_view name) {
    const Metric* metric = find_metric(result.observation, name);
    EXPECT_NE(metric, nullptr) << name;
    EXPECT_TRUE(metric->value.has_value()) << name << ": " << metric->reason;
    return metric->value.value_or(NAN);
}

ForcedResult compared(const ForcedPlan& plan) {
    return compare_forced(plan, [](double) {});
}

TEST(Difference, IsRelativeToTheReferenceAndTurnsWithTheAngle) {
    const at::Tensor x = at::full({4}, 2.0);
    EXPECT_EQ(difference(x, x, 0.0).relative_error, 0.0);
    EXPECT_NEAR(difference(x.mul(1.01), x, 0.0).relative_error, 0.01, 1e-7);
    EXPECT_NEAR(difference(x.mul(1.01), x, 0.0).one_minus_cosine, 0.0, 1e-12);
    EXPECT_NEAR(difference(x.neg(), x, 0.0).one_minus_cosine, 2.0, 1e-12);
    EXPECT_NEAR(difference(at::zeros({4}), x, 0.0).one_minus_cosine, 1.0, 1e-12);
    EXPECT_EQ(difference(x.mul(NAN), x, 0.0).relative_error, kNotFinite);
    // Below the floor a tensor is judged by the floor: 0.04 apart over 40.
    EXPECT_NEAR(difference(x.mul(1.01), x, 40.0).relative_error, 0.001, 1e-7);
}

TEST(ZScore, CountsStandardErrorsOfTheTwin) {
    // Spread of the twin: standard deviation 1, 4 batches, so one standard error is 0.5.
    const double s = std::sqrt(0.75);  // of +-s each twice the sample deviation is 1
    EXPECT_NEAR(*z_score({{1, 1, 1, 1}, {s, -s, s, -s}}, 1e-7), 2.0, 1e-12);
    EXPECT_NEAR(*z_score({{1, 1}, {0, 0}}, 0.5), 1.0 / (0.5 / std::sqrt(2.0)), 1e-12);
    EXPECT_FALSE(z_score({{1}, {0}}, 1e-7).has_value());
}

TEST(Forced, HealthyFp32InAnotherOrderOfSummationIsWithinTheLimits) {
    for (const auto& architecture : {dense_architecture(), deepseek_architecture()}) {
        const ForcedResult result = compared(plan_of(architecture, at::kFloat));
        EXPECT_EQ(result.points.size(), 8U);
        EXPECT_LT(value_of(result, "relative_loss_max"), 1e-6);
        EXPECT_LT(value_of(result, "tensor_relative_error_max"), 3e-5);
        // Not the same kernels on both sides: something must differ.
        EXPECT_GT(value_of(result, "tensor_relative_error_max"), 1e-9);
        EXPECT_LT(value_of(result, "optimizer_relative_error_max"), 1e-6);
        EXPECT_FALSE(result.located.has_value());
        EXPECT_LT(std::abs(value_of(result, "update_norm_log_ratio_max")), 1e-5);
    }
}

TEST(Forced, RouterBiasIsComparedExactlyAndOnlyWhereThereIsOne) {
    const ForcedResult moe = compared(plan_of(deepseek_architecture(), at::kFloat));
    EXPECT_EQ(value_of(moe, "router_bias_mismatches"), 0.0);
    EXPECT_LT(value_of(moe, "routing_disagreement"), 1e-3);
    const ForcedResult dense = compared(plan_of(dense_architecture(), at::kFloat));
    const Metric* mismatches = find_metric(dense.observation, "router_bias_mismatches");
    ASSERT_NE(mismatches, nullptr);
    EXPECT_FALSE(mismatches->value.has_value());
    EXPECT_NE(mismatches->reason, "");
}

TEST(Forced, HealthyBf16KernelsStayInTheBandOfTheirEmulation) {
    const ForcedResult result = compared(plan_of(deepseek_architecture(), at::kBFloat16));
    EXPECT_LT(value_of(result, "one_minus_cosine_max"),
              3.0 * value_of(result, "one_minus_cosine_band"));
    EXPECT_LT(std::abs(value_of(result, "loss_z")), 8.0);
    EXPECT_LT(std::abs(value_of(result, "log_grad_norm_ratio_z")), 8.0);
    EXPECT_GT(value_of(result, "tensor_relative_error_max"), 1e-4);  // it is bf16 that ran
}

TEST(Forced, AScaledGradientIsSeenAndNamed) {
    ForcedPlan plan = plan_of(dense_architecture(), at::kFloat);
    plan.hook = tampering_hook({.kind = TamperKind::kScale, .amount = 1e-3});
    const ForcedResult result = compared(plan);
    EXPECT_NEAR(value_of(result, "tensor_relative_error_max"), 1e-3, 1e-5);
    EXPECT_NEAR(result.tensors.front().relative_error, 1e-3, 1e-5);
    EXPECT_LT(result.tensors[1].relative_error, 3e-5);
    EXPECT_EQ(result.points.front().worst_tensor, result.tensors.front().name);
    ASSERT_TRUE(result.located.has_value());
    EXPECT_EQ(result.located->module, result.tensors.front().name);
    EXPECT_EQ(result.located->phase, "weight_gradient");
}

TEST(Forced, AGradientThatIsNotANumberIsAnErrorAndNotAGap) {
    ForcedPlan plan = plan_of(dense_architecture(), at::kFloat);
    plan.hook = [](Parameters& parameters) {
        parameters.trained().front().mutable_grad().mul_(NAN);
    };
    const ForcedResult result = compared(plan);
    EXPECT_GE(value_of(result, "tensor_relative_error_max"), kNotFinite);
    EXPECT_GE(value_of(result, "one_minus_cosine_max"), kNotFinite);
}

TEST(Tamper, DoesWhatItsKindSays) {
    const at::Tensor x = at::full({3}, 1.0);
    x[1] = 4.0;
    EXPECT_TRUE(tampered(x, {.kind = TamperKind::kScale, .amount = 1.0}).equal(x.mul(2.0)));
    const at::Tensor element = tampered(x, {.kind = TamperKind::kElement, .amount = 0.5});
    EXPECT_EQ(element.sub(x).ne(0).sum().item<std::int64_t>(), 1);
    EXPECT_EQ(element[1].item<float>(), 6.0F);
    const at::Tensor third = at::full({1}, 1.0 / 3.0);  // mantissa 1.0101..., 2 bits kept: 1.01
    EXPECT_EQ(tampered(third, {.kind = TamperKind::kRound, .bits = 2}).item<float>(), 0.3125F);
    EXPECT_EQ(tampered(x, {.kind = TamperKind::kFlip, .bit = 31})[1].item<float>(), -4.0F);
    EXPECT_FALSE(tamper_from_json({{"kind", "flip"}, {"bit", 32}}).ok());
    EXPECT_FALSE(tamper_from_json({{"kind", "scales"}, {"amount", 1}}).ok());
    EXPECT_FALSE(tamper_from_json({{"kind", "scale"}}).ok());
}

}  // namespace
}  // namespace ascertain::training
