#include "worker/operators/fill.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>

namespace ascertain::operators {
namespace {

// What is inferred from values that were made from `fill`.
Fill again(const Fill& fill, at::IntArrayRef shape, at::ScalarType dtype) {
    return infer_fill(make_values(fill, shape, dtype, 5, 1));
}

TEST(Fill, NormalValuesKeepMeanAndSpread) {
    const Fill seen =
        again({.mean = 2.0, .std = 0.5, .low = -9.0, .high = 9.0}, {512, 64}, at::kFloat);
    EXPECT_EQ(seen.family, FillFamily::kNormal);
    EXPECT_NEAR(seen.mean, 2.0, 0.02);  // 32,768 draws: standard error 0.003
    EXPECT_NEAR(seen.std, 0.5, 0.01);
}

TEST(Fill, ZerosAreKeptAsAShare) {
    const Fill made{.mean = 0.0, .std = 1.0, .low = -9.0, .high = 9.0, .share = 0.25};
    EXPECT_NEAR(again(made, {512, 64}, at::kFloat).share, 0.25, 0.02);
}

TEST(Fill, SecondMomentsStayPositive) {
    const Fill made{
        .family = FillFamily::kPositive, .mean = 1e-4, .std = 1e-4, .low = 1e-9, .high = 1e-3};
    const at::Tensor values = make_values(made, {4096}, at::kFloat, 5, 1);
    EXPECT_GT(values.min().item<double>(), 0.0);
    EXPECT_EQ(infer_fill(values).family, FillFamily::kPositive);
}

TEST(Fill, RowsOfProbabilitiesSumToOne) {
    const Fill made{.family = FillFamily::kProbability, .mean = 1.0 / 64, .std = 0.02};
    const at::Tensor values = make_values(made, {32, 64}, at::kFloat, 5, 1);
    EXPECT_LT(values.sum(-1).sub(1.0).abs().max().item<double>(), 1e-5);
    EXPECT_EQ(infer_fill(values).family, FillFamily::kProbability);
}

TEST(Fill, IndicesStayWithinWhatTheyPointInto) {
    const Fill made{.family = FillFamily::kIndex, .low = 3.0, .high = 9.0};
    const at::Tensor values = make_values(made, {1000}, at::kLong, 5, 1);
    EXPECT_EQ(values.min().item<std::int64_t>(), 3);
    EXPECT_EQ(values.max().item<std::int64_t>(), 9);
}

TEST(Fill, DistinctIndicesDoNotRepeatInARow) {
    const Fill made{.family = FillFamily::kIndex, .low = 0.0, .high = 255.0, .distinct = true};
    const Fill seen = again(made, {64, 8}, at::kLong);
    EXPECT_EQ(seen.family, FillFamily::kIndex);
    EXPECT_TRUE(seen.distinct);
}

TEST(Fill, TargetsKeepTheValueThatMeansNone) {
    const Fill made{
        .family = FillFamily::kIndex, .low = 0.0, .high = 31.0, .share = 0.75, .sentinel = -100};
    const Fill seen = again(made, {4096}, at::kLong);
    EXPECT_EQ(seen.sentinel, -100);
    EXPECT_NEAR(seen.share, 0.75, 0.03);
}

TEST(Fill, GroupEndsRiseToTheLastRow) {
    const Fill made{.family = FillFamily::kOffsets, .high = 96.0, .multiple = 8};
    const at::Tensor ends = make_values(made, {4}, at::kInt, 5, 1);
    EXPECT_EQ(ends[3].item<int>(), 96);
    EXPECT_EQ(ends.remainder(8).abs().sum().item<int>(), 0);
    EXPECT_TRUE(ends.narrow(0, 1, 3).ge(ends.narrow(0, 0, 3)).all().item<bool>());
}

TEST(Fill, PermutationsMasksAndConstantsAreSeenAsSuch) {
    EXPECT_EQ(again({.family = FillFamily::kPermutation}, {32}, at::kLong).family,
              FillFamily::kPermutation);
    EXPECT_NEAR(again({.family = FillFamily::kMask, .share = 0.3}, {4096}, at::kBool).share, 0.3,
                0.04);
    const Fill constant = infer_fill(at::full({8}, 3.5));
    EXPECT_EQ(constant.family, FillFamily::kConstant);
    EXPECT_EQ(constant.mean, 3.5);
}

TEST(Fill, MemoryThatWasNeverWrittenIsNoScale) {
    EXPECT_EQ(infer_fill(at::full({8}, 0x7fffffffffff0000, at::kLong)).family,
              FillFamily::kConstant);
    at::Tensor wild = at::zeros({8});
    wild.fill_(1.0);
    wild[3] = 1e36;
    EXPECT_EQ(infer_fill(wild).mean, 0.0);
}

TEST(Fill, SeedAndStreamDecideAlone) {
    const Fill fill{.low = -6.0, .high = 6.0};
    const auto make = [&](std::uint64_t seed, std::uint64_t stream) {
        return make_values(fill, {3000}, at::kBFloat16, seed, stream);
    };
    EXPECT_TRUE(make(1, 1).equal(make(1, 1)));
    EXPECT_FALSE(make(1, 1).equal(make(2, 1)));
    EXPECT_FALSE(make(1, 1).equal(make(1, 2)));
}

TEST(Fill, LargeTensorsRepeatWithAPrimePeriodSoThatRowsDiffer) {
    const at::Tensor values =
        make_values({.low = -6.0, .high = 6.0}, {2048, 1024}, at::kFloat, 1, 0);
    EXPECT_FALSE(values[0].equal(values[1024]));
    const at::Tensor flat = values.flatten();
    EXPECT_TRUE(flat.narrow(0, 0, 1000).equal(flat.narrow(0, 1048573, 1000)));
}

}  // namespace
}  // namespace ascertain::operators
