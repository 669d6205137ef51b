#include "predict/goodput/soak.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace ascertain::goodput {
namespace {

// Quiet hours T prove MTBF >= T / -ln(1 - c): T / 2.996 at 95 %, T / 2.303 at 90 %, T / 1.609 at 80
// %.
TEST(Soak, RuleOfThree) {
    EXPECT_NEAR(mtbf_lower_bound_hours({0.0, 1000.0}, 0.95), 1000.0 / 2.99573, 0.01);
    EXPECT_NEAR(mtbf_lower_bound_hours({0.0, 1000.0}, 0.90), 1000.0 / 2.30259, 0.01);
    EXPECT_NEAR(mtbf_lower_bound_hours({0.0, 1000.0}, 0.80), 1000.0 / 1.60944, 0.01);
}

TEST(Soak, SixtyFourQuietDevicesForADayProveOnly513Hours) {
    EXPECT_NEAR(mtbf_lower_bound_hours({0.0, 64.0 * 24.0}, 0.95), 513.0, 0.5);
}

// Half of chi-square(95 %; 2 n + 2) for n = 1..5, from tables.
TEST(Soak, ChiSquareDivisors) {
    const double divisors[] = {4.744, 6.296, 7.754, 9.154, 10.513};
    for (int n = 1; n <= 5; ++n) {
        EXPECT_NEAR(1e6 / mtbf_lower_bound_hours({static_cast<double>(n), 1e6}, 0.95),
                    divisors[n - 1], 1e-3);
    }
}

// MTBF of at least 50,000 h at 95 % takes 150,000 quiet device-hours: 1,024 devices for 6.1 days.
TEST(Soak, HoursStillNeeded) {
    const double needed = device_hours_still_needed({0.0, 0.0}, 50'000.0, 0.95);
    EXPECT_NEAR(needed, 149'787.0, 1.0);
    EXPECT_NEAR(needed / 1024.0 / 24.0, 6.1, 0.01);
    EXPECT_NEAR(device_hours_still_needed({0.0, 100'000.0}, 50'000.0, 0.95), needed - 100'000.0,
                1e-6);
    EXPECT_EQ(device_hours_still_needed({0.0, 1e6}, 50'000.0, 0.95), 0.0);
}

TEST(Soak, BoundsFromBothSidesHoldTheTruth) {
    const SoakEvidence evidence{20.0, 1e6};
    EXPECT_LT(mtbf_lower_bound_hours(evidence, 0.95), 50'000.0);
    EXPECT_GT(mtbf_upper_bound_hours(evidence, 0.95), 50'000.0);
    EXPECT_TRUE(std::isinf(mtbf_upper_bound_hours({0.0, 1e6}, 0.95)));
}

TEST(GammaPoisson, AddsFailuresToTheShapeAndHoursToTheRest) {
    const GammaRate posterior = updated({1.0, 30'000.0}, {3.0, 90'000.0});
    EXPECT_DOUBLE_EQ(posterior.a, 4.0);
    EXPECT_DOUBLE_EQ(posterior.b_device_hours, 120'000.0);
    EXPECT_DOUBLE_EQ(prior_share({1.0, 30'000.0}, {3.0, 90'000.0}), 0.25);
    EXPECT_NEAR(posterior.probability_at_most(posterior.quantile(0.3)), 0.3, 1e-9);
}

// Gamma(1, b) is exponential: P(rate <= limit) = 1 - e^(-b limit), so a limit of 12 interruptions a
// day on 8,192 devices (6.1e-5 per device-hour) has 1 - e^(-30,000 x 6.1e-5) = 84 % before any
// soak.
TEST(JudgeSoak, PriorAloneMatchesTheExponential) {
    const auto claim = judge_soak({1.0, 30'000.0}, {}, 8192.0, 12.0, 0.9);
    ASSERT_TRUE(claim.ok());
    EXPECT_NEAR(claim->probability, 1.0 - std::exp(-30'000.0 * 12.0 / (8192.0 * 24.0)), 1e-12);
    EXPECT_EQ(claim->prior_share, 1.0);
    EXPECT_FALSE(claim->holds);
    // Quiet hours until 90 %: b + T = ln(10) / limit.
    EXPECT_NEAR(claim->device_hours_needed, std::log(10.0) * 8192.0 * 24.0 / 12.0 - 30'000.0, 1.0);
}

TEST(JudgeSoak, QuietHoursMakeItHoldAndFailuresUndoIt) {
    const GammaRate prior{1.0, 30'000.0};
    const auto quiet = judge_soak(prior, {0.0, 10'000.0}, 8192.0, 12.0, 0.9);
    const auto noisy = judge_soak(prior, {5.0, 10'000.0}, 8192.0, 12.0, 0.9);
    ASSERT_TRUE(quiet.ok() && noisy.ok());
    EXPECT_TRUE(quiet->holds);
    EXPECT_EQ(quiet->device_hours_needed, 0.0);
    EXPECT_FALSE(noisy->holds);
    EXPECT_GT(noisy->device_hours_needed, 0.0);
    EXPECT_NEAR(noisy->prior_share, 0.75, 1e-12);
}

TEST(JudgeSoak, NamesTheAbsurdArgument) {
    const GammaRate prior{1.0, 30'000.0};
    EXPECT_EQ(judge_soak({0.0, 1.0}, {}, 8.0, 1.0, 0.9).error().where, "failure_prior");
    EXPECT_EQ(judge_soak(prior, {-1.0, 1.0}, 8.0, 1.0, 0.9).error().where, "soak");
    EXPECT_EQ(judge_soak(prior, {1.0, 0.0}, 8.0, 1.0, 0.9).error().where, "soak");
    EXPECT_EQ(judge_soak(prior, {}, 0.0, 1.0, 0.9).error().where, "fleet.count");
    EXPECT_EQ(judge_soak(prior, {}, 8.0, 0.0, 0.9).error().where,
              "decision.interruptions_per_day_at_most");
    EXPECT_EQ(judge_soak(prior, {}, 8.0, 1.0, 1.0).error().where, "decision.confidence");
    EXPECT_EQ(judge_soak(prior, {}, 8.0, 1.0, std::nan("")).error().where, "decision.confidence");
}

}  // namespace
}  // namespace ascertain::goodput
