#include "worker/module/errors.hpp"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <limits>

namespace ascertain::module {
namespace {

Values values(at::Tensor tensor, double longest_sum = 1.0) {
    return {{"output[0]"}, {std::move(tensor)}, {{"longest_sum", longest_sum}}};
}

at::Tensor ones(at::ScalarType dtype = at::kDouble) {
    return at::ones({4, 8}, at::TensorOptions().dtype(dtype));
}

// fp64 says 1; the twin errs by `twin` everywhere, the device by `device`.
TensorError error_of(double twin, double device, at::ScalarType dtype, double longest_sum = 1.0) {
    const Yardstick yardstick{values(ones()), {values(ones(dtype).add(twin), longest_sum)}};
    return errors_of(yardstick, values(ones(dtype).add(device))).at(0);
}

TEST(ModuleErrors, AreTheDevicesErrorOverTheTwins) {
    // Both are representable near one: ulp of bf16 there is 2^-7.
    const TensorError error = error_of(0x1p-7, 0x1p-5, at::kBFloat16);
    EXPECT_DOUBLE_EQ(error.ratio, 4.0);
    EXPECT_DOUBLE_EQ(error.max_ratio, 4.0);
    EXPECT_DOUBLE_EQ(error.relative, 0x1p-5);
    EXPECT_DOUBLE_EQ(error.relative_twin, 0x1p-7);
}

TEST(ModuleErrors, ATwinThatIsExactLeavesOneRounding) {
    // Half of 2^-8 is what one rounding of values of size one errs by, as a root mean square.
    EXPECT_DOUBLE_EQ(error_of(0.0, 0x1p-7, at::kBFloat16).ratio, 4.0);
    EXPECT_DOUBLE_EQ(error_of(0.0, 0x1p-7, at::kBFloat16).max_ratio, 2.0);
}

TEST(ModuleErrors, LongSumsInFp32AreAllowedTheirRoundings) {
    // 64 terms: 8 roundings of fp32, which bf16 does not notice.
    EXPECT_DOUBLE_EQ(error_of(0x1p-20, 0x1p-17, at::kFloat, 64.0).ratio, 1.0);
    EXPECT_DOUBLE_EQ(error_of(0x1p-7, 0x1p-7, at::kBFloat16, 64.0).ratio, 1.0);
}

TEST(ModuleErrors, OneWrongElementShowsInTheLargestError) {
    at::Tensor device = ones(at::kBFloat16);
    device.select(0, 1).select(0, 2).fill_(2.0);
    const Yardstick yardstick{values(ones()), {values(ones(at::kBFloat16))}};
    EXPECT_DOUBLE_EQ(errors_of(yardstick, values(device)).at(0).max_ratio, 0x1p8);
}

TEST(ModuleErrors, NotANumberIsCountedAndComparedNoFurther) {
    at::Tensor device = ones(at::kFloat);
    device.select(0, 0).select(0, 0).fill_(std::numeric_limits<double>::quiet_NaN());
    const Yardstick yardstick{values(ones()), {values(ones(at::kFloat))}};
    const TensorError error = errors_of(yardstick, values(device)).at(0);
    EXPECT_EQ(error.nonfinite, 1.0);
    EXPECT_EQ(error.ratio, 0.0);
}

TEST(ModuleErrors, AnOverflowOfHealthyArithmeticIsNoMismatch) {
    const double infinity = std::numeric_limits<double>::infinity();
    const at::Tensor overflown = at::full({4, 8}, infinity, at::TensorOptions().dtype(at::kHalf));
    const Yardstick yardstick{values(ones().mul(1e6)), {values(overflown)}};
    EXPECT_EQ(errors_of(yardstick, values(overflown)).at(0).nonfinite, 0.0);
}

TEST(ModuleErrors, WhatCannotBeComparedIsSaid) {
    const Yardstick yardstick{values(ones()), {values(ones(at::kBFloat16))}};
    EXPECT_EQ(errors_of(yardstick, values({})).at(0).mismatch, "absent");
    EXPECT_EQ(errors_of(yardstick, values(at::ones({3}, at::kBFloat16))).at(0).mismatch,
              "another shape");
    EXPECT_EQ(errors_of(yardstick, values(ones(at::kFloat))).at(0).mismatch,
              "fp32 in place of bf16");
}

}  // namespace
}  // namespace ascertain::module
