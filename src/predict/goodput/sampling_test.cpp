#include "predict/goodput/sampling.hpp"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>

namespace ascertain::goodput {
namespace {

TEST(PortableMath, AgreesWithTheLibraryToTwoUlp) {
    Random random(1, 2);
    for (int i = 0; i < 100'000; ++i) {
        const double x = std::exp((random.uniform() - 0.5) * 200.0);
        EXPECT_NEAR(portable_log(x), std::log(x), std::abs(std::log(x)) * 5e-16 + 3e-16);
        const double y = (random.uniform() - 0.5) * 100.0;
        EXPECT_NEAR(portable_exp(y), std::exp(y), std::exp(y) * 5e-16);
    }
    EXPECT_EQ(portable_log(1.0), 0.0);
    EXPECT_EQ(portable_exp(0.0), 1.0);
    EXPECT_TRUE(std::isinf(portable_log(0.0)));
}

// Golden bits: recorded once; a machine on which they differ would draw other histories.
TEST(PortableMath, HasTheSameBitsEverywhere) {
    EXPECT_EQ(std::bit_cast<std::uint64_t>(portable_log(0.1)), 0xc0026bb1bbb55515u);
    EXPECT_EQ(std::bit_cast<std::uint64_t>(portable_exp(1.0)), 0x4005bf0a8b14576au);
}

struct Moments {
    double mean = 0.0;
    double variance = 0.0;
};

template <typename Draw>
Moments moments(int n, Draw draw) {
    double sum = 0.0;
    double squares = 0.0;
    for (int i = 0; i < n; ++i) {
        const double x = draw();
        sum += x;
        squares += x * x;
    }
    return {sum / n, squares / n - (sum / n) * (sum / n)};
}

constexpr int kDraws = 200'000;
// Five standard errors of a mean of kDraws values with standard deviation 1.
constexpr double kFiveErrors = 5.0 / 447.0;

TEST(Draws, HaveTheMomentsOfTheirDistributions) {
    Random random(7, 7);
    const Moments exponential = moments(kDraws, [&] { return draw_exponential(random); });
    EXPECT_NEAR(exponential.mean, 1.0, kFiveErrors);
    EXPECT_NEAR(exponential.variance, 1.0, kFiveErrors * 3.0);  // sd of (x-1)^2 is sqrt(8)
    const Moments normal = moments(kDraws, [&] { return draw_normal(random); });
    EXPECT_NEAR(normal.mean, 0.0, kFiveErrors);
    EXPECT_NEAR(normal.variance, 1.0, kFiveErrors * 1.5);  // sd of x^2 is sqrt(2)
    // Log-normal with mean 1: variance e^(0.25) - 1 for sigma 0.5.
    const Moments spread = moments(kDraws, [&] { return draw_spread(random, 0.5); });
    EXPECT_NEAR(spread.mean, 1.0, kFiveErrors * 0.54);
    EXPECT_NEAR(spread.variance, std::exp(0.25) - 1.0, kFiveErrors * 1.5);
}

TEST(Draws, CountsHaveTheRightMeanAndVariance) {
    Random random(7, 8);
    const auto poisson =
        moments(kDraws, [&] { return static_cast<double>(draw_poisson(random, 3.5)); });
    EXPECT_NEAR(poisson.mean, 3.5, kFiveErrors * std::sqrt(3.5));
    EXPECT_NEAR(poisson.variance, 3.5, kFiveErrors * 6.0);
    // Binomial(1000, 0.012): mean 12, variance 11.856.
    const auto binomial =
        moments(kDraws, [&] { return static_cast<double>(draw_binomial(random, 1000, 0.012)); });
    EXPECT_NEAR(binomial.mean, 12.0, kFiveErrors * std::sqrt(11.856));
    EXPECT_NEAR(binomial.variance, 11.856, kFiveErrors * 18.0);
}

TEST(Draws, DegenerateCasesAreExact) {
    Random random(7, 9);
    EXPECT_EQ(draw_poisson(random, 0.0), 0);
    EXPECT_EQ(draw_binomial(random, 0, 0.5), 0);
    EXPECT_EQ(draw_binomial(random, 100, 0.0), 0);
    EXPECT_EQ(draw_binomial(random, 100, 1.0), 100);
    EXPECT_EQ(draw_spread(random, 0.0), 1.0);
}

}  // namespace
}  // namespace ascertain::goodput
