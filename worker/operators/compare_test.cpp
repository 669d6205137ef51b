#include "worker/operators/compare.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/full.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "worker/operators/dtype.hpp"
#include "worker/operators/fill.hpp"

namespace ascertain::operators {
namespace {

at::Tensor reference_values() {
    return make_values({.low = -6.0, .high = 6.0}, {300, 257}, at::kDouble, 3, 0);
}

at::Tensor ideal_of(const at::Tensor& reference, at::ScalarType dtype) {
    at::Tensor result = reference.clone();
    auto* values = result.mutable_data_ptr<double>();
    for (std::int64_t i = 0; i < result.numel(); ++i) {
        values[i] = rounded_to(values[i], format_of(dtype));
    }
    return result.to(dtype);
}

TEST(Compare, TheIdealAnswerIsCorrectlyRoundedEverywhere) {
    for (const at::ScalarType dtype : {at::kBFloat16, at::kHalf, at::kFloat}) {
        const at::Tensor reference = reference_values();
        const Distance distance = compare(ideal_of(reference, dtype), reference, {});
        EXPECT_EQ(distance.elements, 300 * 257);
        EXPECT_EQ(distance.not_ideal, 0) << dtype;
        EXPECT_LE(distance.ulp_max, 0.5);
        EXPECT_EQ(distance.error_square_sum, distance.ideal_square_sum);
        EXPECT_EQ(distance.bias(), 0.0);
    }
}

TEST(Compare, OneWrongElementIsFoundWithItsPlace) {
    const at::Tensor reference = reference_values();
    at::Tensor got = ideal_of(reference, at::kFloat);
    got[123][45] = 1000.0;
    const Distance distance = compare(got, reference, {});
    EXPECT_EQ(distance.not_ideal, 1);
    ASSERT_TRUE(distance.worst.has_value());
    EXPECT_EQ(distance.worst->index, (std::vector<std::int64_t>{123, 45}));
    EXPECT_EQ(distance.worst->got, 1000.0);
}

// Whether a scalar was rounded to fp32 or fp64 decides to which side of a tie a result falls. A
// tenth of a step beside it one neighbour is wrong.
TEST(Compare, EitherNeighbourOfATieIsRight) {
    const double step = 0x1p-3;  // between bf16 numbers in [16, 32)
    const at::Tensor tie = at::full({1}, 22.5 - step / 2, at::kDouble);
    for (const double neighbour : {22.5, 22.5 - step}) {
        const at::Tensor got = at::full({1}, neighbour, at::kBFloat16);
        EXPECT_EQ(compare(got, tie, {}).not_ideal, 0) << neighbour;
    }
    const at::Tensor beside = tie.sub(step / 10);
    EXPECT_EQ(compare(at::full({1}, 22.5, at::kBFloat16), beside, {}).not_ideal, 1);
    EXPECT_EQ(compare(at::full({1}, 22.5 - step, at::kBFloat16), beside, {}).not_ideal, 0);
}

TEST(Compare, AScaleErrorShowsAsBias) {
    const at::Tensor reference = reference_values();
    const Distance distance = compare(reference.mul(1.001).to(at::kBFloat16), reference, {});
    EXPECT_NEAR(distance.bias(), 0.001, 1e-4);
    EXPECT_GT(distance.bias_z(), 5.3);
}

TEST(Compare, UlpsAreThoseOfTheLargestElementOfTheRow) {
    // Rows [8, 0]: an ulp of bf16 at 8 is 2^-4, so an error of 2^-4 next to it is one.
    const at::Tensor reference = at::zeros({1, 2}, at::kDouble);
    reference[0][0] = 8.0;
    const at::Tensor got = reference.to(at::kBFloat16);
    got[0][1] = 0.0625;
    EXPECT_EQ(compare(got, reference, {}).ulp_max, 1.0);
}

TEST(Compare, InfinitiesMustBeWhereTheyBelong) {
    const double infinite = std::numeric_limits<double>::infinity();
    at::Tensor reference = at::zeros({4}, at::kDouble);
    reference[0] = infinite;
    reference[1] = std::nan("");
    reference[2] = 1e39;  // beyond fp32: infinite is right
    at::Tensor got = at::zeros({4});
    got[0] = infinite;
    got[1] = std::nan("");
    got[2] = infinite;
    EXPECT_EQ(compare(got, reference, {}).nonfinite_mismatches, 0);
    got[0] = -infinite;
    got[3] = std::nan("");
    EXPECT_EQ(compare(got, reference, {}).nonfinite_mismatches, 2);
}

TEST(Compare, ErrorsAreHeldAgainstTheBound) {
    const at::Tensor reference = at::zeros({8}, at::kDouble);
    const at::Tensor got = at::full({8}, 0.25F);
    EXPECT_EQ(compare(got, reference, at::full({8}, 0.5, at::kDouble)).bound_max, 0.5);
}

TEST(Compare, NothingAndScalarsAreCompared) {
    EXPECT_EQ(compare(at::zeros({0, 4}), at::zeros({0, 4}, at::kDouble), {}).elements, 0);
    EXPECT_EQ(compare(at::zeros({}), at::zeros({}, at::kDouble), {}).not_ideal, 0);
}

}  // namespace
}  // namespace ascertain::operators
