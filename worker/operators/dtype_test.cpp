#include "worker/operators/dtype.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace ascertain::operators {
namespace {

const FloatFormat kBf16 = format_of(c10::ScalarType::BFloat16);
const FloatFormat kFp16 = format_of(c10::ScalarType::Half);

TEST(Rounding, TiesGoToTheEvenNeighbour) {
    // bf16 has 8 significant bits: between 1 and 2 the quantum is 2^-7.
    EXPECT_EQ(rounded_to(1.0 + 0x1p-8, kBf16), 1.0);
    EXPECT_EQ(rounded_to(1.0 + 3 * 0x1p-8, kBf16), 1.0 + 0x1p-6);
}

TEST(Rounding, ADoubleIsRoundedOnceNotTwice) {
    // Just above a tie of bf16, by less than fp32 resolves: through fp32 it would become the tie.
    EXPECT_EQ(rounded_to(1.0 + 0x1p-8 + 0x1p-40, kBf16), 1.0 + 0x1p-7);
}

TEST(Rounding, SubnormalsHaveAFixedQuantum) {
    EXPECT_EQ(rounded_to(0x1p-24 * 2.6, kFp16), 0x1p-24 * 3.0);
    EXPECT_EQ(rounded_to(0x1p-26, kFp16), 0.0);
}

TEST(Rounding, BeyondTheLargestLiesInfinity) {
    EXPECT_EQ(rounded_to(65519.0, kFp16), 65504.0);
    EXPECT_TRUE(std::isinf(rounded_to(65520.0, kFp16)));
    EXPECT_EQ(rounded_to(-std::numeric_limits<double>::infinity(), kBf16),
              -std::numeric_limits<double>::infinity());
    EXPECT_TRUE(std::isnan(rounded_to(std::nan(""), kBf16)));
}

TEST(Rounding, AnUlpIsTheDistanceToTheNextNumber) {
    EXPECT_EQ(ulp_at(1.0, kBf16), 0x1p-7);
    EXPECT_EQ(ulp_at(-1.99, kBf16), 0x1p-7);
    EXPECT_EQ(ulp_at(2.0, kBf16), 0x1p-6);
    EXPECT_EQ(ulp_at(0.0, kFp16), 0x1p-24);
}

TEST(Dtypes, NamesGoBothWaysAndUnknownOnesAreRefused) {
    EXPECT_EQ(name_of(*dtype_from("bf16")), "bf16");
    EXPECT_EQ(dtype_from("bf17").error().code, ErrorCode::kBadInput);
    EXPECT_EQ(name_of(c10::ScalarType::ComplexFloat), "");
}

}  // namespace
}  // namespace ascertain::operators
