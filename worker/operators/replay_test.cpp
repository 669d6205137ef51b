#include "worker/operators/replay.hpp"

#include <gtest/gtest.h>

#include <functional>

#include "base/observation.hpp"
#include "worker/operators/inputs.hpp"
#include "worker/operators/testing.hpp"

namespace ascertain::operators {
namespace {

using testing::call_of;
using testing::matrix_product;
using testing::tensor;

constexpr auto kBf16 = c10::ScalarType::BFloat16;
constexpr auto kFp32 = c10::ScalarType::Float;

Result<Json> ask(const std::function<Result<Json>(worker::Session&, const Json&)>& request,
                 const Case& operator_case, Json params) {
    worker::Session session;
    params["case"] = to_json(operator_case);
    params["seed"] = 11;
    return request(session, params);
}

// The metric of a result; absent: not a number.
double value(const Result<Json>& result, const char* name) {
    EXPECT_TRUE(result.ok()) << (result ? "" : result.error().text());
    const Observation observation = *observation_from_json((*result)["observation"], "result");
    const Metric* metric = find_metric(observation, name);
    return metric != nullptr && metric->value ? *metric->value : std::nan("");
}

// The criteria of docs/formulas.md#operator-rules on what the metrics say.
bool passes(const Result<Json>& result) {
    const auto within = [&](const char* name, double bound) {
        const double found = value(result, name);
        return std::isnan(found) || found <= bound;
    };
    return within("share_not_correctly_rounded", (*result)["rule"] == "rounding" ? 0.005 : 1.0) &&
           within("error_ratio", 64.0) && within("bound_ratio", 1.0) &&
           within("exact_mismatches", 0.0) && within("nonfinite_mismatches", 0.0);
}

Case attention() {
    return call_of("aten::scaled_dot_product_attention",
                   {tensor({2, 4, 64, 32}, kBf16, 0), tensor({2, 4, 64, 32}, kBf16, 1),
                    tensor({2, 4, 64, 32}, kBf16, 2), None{}, Scalar(0.0), Scalar(true), None{},
                    Scalar(false)});
}

Case norm() {
    return call_of("aten::rms_norm", {tensor({64, 256}, kBf16, 0), Integers{256},
                                      tensor({256}, kBf16, 1), Scalar(1e-6)});
}

Case in_place_add() {
    Case made = call_of("aten::add_", {tensor({64, 256}, kBf16, 0), tensor({64, 256}, kBf16, 1),
                                       Scalar(std::int64_t{1})});
    made.overload = "Tensor";
    made.writes = {"self"};
    return made;
}

Case embedding_gradient() {
    TensorSpec indices = tensor({2048}, c10::ScalarType::Long, 1);
    indices.fill = {.family = FillFamily::kIndex, .low = 0.0, .high = 63.0};
    return call_of("aten::embedding_dense_backward",
                   {tensor({2048, 64}, kBf16, 0), indices, Scalar(std::int64_t{64}),
                    Scalar(std::int64_t{-1}), Scalar(false)});
}

Case best_of() {
    return call_of("aten::topk", {tensor({64, 256}, kBf16, 0), Scalar(std::int64_t{8}),
                                  Scalar(std::int64_t{-1}), Scalar(true), Scalar(true)});
}

Case grouped_product() {
    TensorSpec ends = tensor({4}, c10::ScalarType::Int, 2);
    ends.fill = {.family = FillFamily::kOffsets, .high = 128.0, .multiple = 8};
    return call_of("aten::_grouped_mm", {tensor({128, 64}, kBf16, 0), tensor({4, 64, 96}, kBf16, 1),
                                         ends, None{}, None{}});
}

TEST(Replay, EveryFamilyIsRightOnTheCpuAndWrongWhenScaledByATenthOfAPercent) {
    for (const Case& operator_case :
         {matrix_product(64, 512, 96, kBf16), matrix_product(64, 512, 96, kFp32), attention(),
          norm(), in_place_add(), grouped_product()}) {
        EXPECT_TRUE(passes(ask(replay, operator_case, {}))) << operator_case.op;
        const Result<Json> tampered =
            ask(replay, operator_case, {{"tamper", {{"kind", "scale"}, {"amount", 0.001}}}});
        EXPECT_FALSE(passes(tampered)) << operator_case.op;
        EXPECT_EQ((*tampered)["tampered"], true);
    }
}

TEST(Replay, OneElementOffByFivePercentIsSeen) {
    for (const Case& operator_case : {matrix_product(64, 512, 96, kBf16),
                                      matrix_product(64, 512, 96, kFp32), norm(), best_of()}) {
        EXPECT_TRUE(passes(ask(replay, operator_case, {}))) << operator_case.op;
        EXPECT_FALSE(passes(
            ask(replay, operator_case, {{"tamper", {{"kind", "element"}, {"amount", 0.05}}}})))
            << operator_case.op;
    }
}

TEST(Replay, SumsInTheOutputsDtypeAreLegalWhereTheOperatorAllowsThem) {
    const Result<Json> result = ask(replay, embedding_gradient(), {});
    EXPECT_EQ((*result)["rule"], "bounded");
    EXPECT_TRUE(passes(result));
    EXPECT_FALSE(passes(
        ask(replay, embedding_gradient(), {{"tamper", {{"kind", "element"}, {"amount", 0.5}}}})));
}

TEST(Replay, LongSumsCarryTheShareOfAnEmulatedAccumulator) {
    const Result<Json> result = ask(replay, matrix_product(64, 8192, 64, kBf16), {});
    EXPECT_EQ(value(result, "reduction_length"), 8192.0);
    EXPECT_GT(value(result, "share_not_correctly_rounded_emulated"), 0.0);
    EXPECT_LT(value(result, "share_not_correctly_rounded_emulated"), 0.05);
}

TEST(Replay, LargeProductsAreJudgedByASample) {
    const Result<Json> result = ask(replay, matrix_product(4200, 8, 4200, kBf16), {});
    EXPECT_EQ((*result)["sampled"], true);
    EXPECT_TRUE(passes(result));
}

TEST(Replay, TheSameSeedMakesTheSameInputsAndAnotherOneDoesNot) {
    const Case operator_case = matrix_product(8, 8, 8, kFp32);
    EXPECT_EQ(hash_of(make_inputs(operator_case, 1)), hash_of(make_inputs(operator_case, 1)));
    EXPECT_NE(hash_of(make_inputs(operator_case, 1)), hash_of(make_inputs(operator_case, 2)));
}

TEST(Replay, StridesOffsetsAndSharedMemoryAreKept) {
    TensorSpec left = tensor({4, 6}, kFp32, 0);
    left.strides = {1, 4};
    left.storage_offset = 3;
    TensorSpec right = left;
    right.storage_offset = 5;
    const Case operator_case = call_of("aten::mul", {left, right});
    Case named = operator_case;
    named.overload = "Tensor";
    const auto op = find_operator(named);
    ASSERT_TRUE(op.ok()) << op.error().text();
    const Stack stack = assemble(named, op->schema(), make_inputs(named, 1), at::kCPU);
    EXPECT_EQ(stack[0].toTensor().strides(), at::IntArrayRef({1, 4}));
    EXPECT_EQ(stack[0].toTensor().storage_offset(), 3);
    EXPECT_TRUE(stack[0].toTensor().is_alias_of(stack[1].toTensor()));
}

TEST(Replay, WhatCannotBeJudgedSaysWhy) {
    Case random = call_of("aten::bernoulli", {tensor({8}, kFp32, 0), None{}});
    EXPECT_EQ(ask(replay, random, {}).error().code, ErrorCode::kUnknownValue);
    EXPECT_EQ(ask(replay, call_of("aten::no_such_operator", {}), {}).error().code,
              ErrorCode::kUnsupported);
    EXPECT_EQ(ask(replay, call_of("aten::mm", {tensor({2, 2}, kFp32, 0)}), {}).error().code,
              ErrorCode::kBadInput);
    Case wrong = matrix_product(2, 3, 4, kFp32);
    std::get<TensorSpec>(wrong.arguments[1]).shape = {5, 4};
    EXPECT_EQ(ask(replay, wrong, {}).error().code, ErrorCode::kDeviceUnavailable);
}

TEST(Replay, ACaseThatNeedsMoreMemoryThanThereIsIsRefusedBeforeItStarts) {
    const Result<Json> result = ask(replay, matrix_product(1 << 20, 1 << 18, 8, kFp32), {});
    ASSERT_FALSE(result.ok());
    EXPECT_EQ(result.error().code, ErrorCode::kEnvironment);
}

TEST(Repeat, TheSameBitsEveryTimeUntilTheyAreTamperedWith) {
    const Case operator_case = in_place_add();
    EXPECT_EQ(value(ask(repeat, operator_case, {{"repeats", 5}}), "distinct_outputs"), 1.0);
    const Result<Json> tampered =
        ask(repeat, operator_case, {{"repeats", 5}, {"tamper", {{"kind", "nondeterministic"}}}});
    EXPECT_GT(value(tampered, "distinct_outputs"), 1.0);
    EXPECT_EQ(value(tampered, "elements_differing_max"), 1.0);
}

TEST(Time, GivesEverySampleAndADelayIsSeen) {
    const Case operator_case = matrix_product(8, 8, 8, kFp32);
    const Result<Json> slow =
        ask(time, operator_case,
            {{"repeats", 4}, {"warm_up", 1}, {"tamper", {{"kind", "slow"}, {"seconds", 0.01}}}});
    EXPECT_EQ((*slow)["samples_s"].size(), 4u);
    EXPECT_GE(value(slow, "seconds_min"), 0.01);
}

TEST(Tampering, AnUnknownKindIsRefusedWithTheNearOne) {
    const Result<Json> result =
        ask(replay, matrix_product(2, 2, 2, kFp32), {{"tamper", {{"kind", "scael"}}}});
    ASSERT_FALSE(result.ok());
    EXPECT_NE(result.error().message.find("\"scale\""), std::string::npos);
}

}  // namespace
}  // namespace ascertain::operators
