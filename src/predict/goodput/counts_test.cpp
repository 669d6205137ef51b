#include "predict/goodput/counts.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace ascertain::goodput {
namespace {

// P(count <= n) of Gamma(1, b) over T hours is 1 - (T / (b + T))^(n + 1): geometric.
double at_most(double n, double b, double hours) {
    return 1.0 - std::pow(hours / (b + hours), n + 1.0);
}

TEST(Counts, OfAnExponentialBeliefAreGeometric) {
    for (const double hours : {10.0, 300.0, 30'000.0}) {
        const auto forecast = forecast_count({1.0, 1000.0}, hours);
        ASSERT_TRUE(forecast.ok());
        EXPECT_DOUBLE_EQ(forecast->mean, hours / 1000.0);
        EXPECT_GE(at_most(forecast->high, 1000.0, hours), 0.9) << hours;
        EXPECT_LE(at_most(forecast->low - 1.0, 1000.0, hours), 0.1) << hours;
        // And no wider than rounding outwards makes it.
        EXPECT_LT(at_most(forecast->high - 2.0, 1000.0, hours), 0.9) << hours;
    }
}

TEST(Counts, OfALooseBeliefSpreadWiderThanPoisson) {
    const auto loose = forecast_count({1.0, 100.0}, 1000.0);
    const auto firm = forecast_count({1e6, 1e8}, 1000.0);
    ASSERT_TRUE(loose.ok() && firm.ok());
    EXPECT_DOUBLE_EQ(loose->mean, firm->mean);
    // Poisson of mean 10: 80 % within 6 and 14 (NIST tables), one more by rounding.
    EXPECT_NEAR(firm->low, 6.0, 1.0);
    EXPECT_NEAR(firm->high, 14.0, 1.0);
    EXPECT_GT(loose->high, firm->high);
    EXPECT_LT(loose->low, firm->low);
}

TEST(Counts, OfNoHoursAreNone) {
    const auto forecast = forecast_count({1.0, 1000.0}, 0.0);
    ASSERT_TRUE(forecast.ok());
    EXPECT_EQ(forecast->high, 0.0);
    EXPECT_EQ(forecast_count({1.0, 1000.0}, -1.0).error().code, ErrorCode::kOutOfRange);
    EXPECT_FALSE(forecast_count({0.0, 1000.0}, 1.0).ok());
}

}  // namespace
}  // namespace ascertain::goodput
