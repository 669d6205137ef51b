#include "predict/goodput/closed_forms.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace ascertain::goodput {
namespace {

constexpr double kHour = 3600.0;

TEST(ClosedForms, DalysIntervalIsTheBestOne) {
    for (const double stall_s : {5.0, 30.0, 120.0}) {
        for (const double mtbf_s : {0.5 * kHour, 3.0 * kHour, 50.0 * kHour}) {
            const double best = daly_interval_s(stall_s, mtbf_s);
            const double there = daly_goodput(best, stall_s, mtbf_s, 600.0);
            // The optimum is flat: 20 % to either side must be worse, 1 % may not be visible.
            EXPECT_GT(there, daly_goodput(0.8 * best, stall_s, mtbf_s, 600.0));
            EXPECT_GT(there, daly_goodput(1.2 * best, stall_s, mtbf_s, 600.0));
            EXPECT_NEAR(best + stall_s, young_interval_s(stall_s, mtbf_s), 0.2 * best);
        }
    }
    EXPECT_EQ(daly_interval_s(100.0, 40.0), 40.0);  // d >= 2 M
}

// The table of effective training time (Daly at Young's interval) for published failure rates:
// rates per device-hour, fleets, and four pairs of (stall, recovery).
TEST(ClosedForms, TableOfEffectiveTimeAtPublishedRates) {
    struct Row {
        double mtbf_device_h;
        double devices;
        double expected[4];
    };
    const Row rows[] = {
        {50'700, 1024, {0.992, 0.978, 0.954, 0.944}},
        {50'700, 4096, {0.981, 0.951, 0.892, 0.856}},
        {50'700, 16384, {0.955, 0.880, 0.732, 0.623}},
        {29'500, 1024, {0.989, 0.971, 0.936, 0.920}},
        {29'500, 4096, {0.974, 0.931, 0.846, 0.789}},
        {29'500, 16384, {0.935, 0.827, 0.621, 0.471}},
        {12'300, 1024, {0.981, 0.950, 0.889, 0.853}},
        {12'300, 4096, {0.954, 0.877, 0.726, 0.615}},
        {12'300, 16384, {0.880, 0.687, 0.375, 0.192}},
        {9'200, 1024, {0.977, 0.940, 0.867, 0.820}},
        {9'200, 4096, {0.944, 0.851, 0.671, 0.537}},
        {9'200, 16384, {0.852, 0.623, 0.285, 0.117}},
    };
    const double stall_s[] = {5.0, 30.0, 120.0, 120.0};
    const double recovery_s[] = {180.0, 600.0, 1800.0, 3600.0};
    for (const Row& row : rows) {
        const double mtbf_s = row.mtbf_device_h * kHour / row.devices;
        for (int i = 0; i < 4; ++i) {
            const double interval_s = young_interval_s(stall_s[i], mtbf_s);
            // Three printed digits, and device-hours printed to three as well.
            EXPECT_NEAR(daly_goodput(interval_s, stall_s[i], mtbf_s, recovery_s[i]),
                        row.expected[i], 0.0011)
                << row.mtbf_device_h << " h, " << row.devices << " devices, column " << i;
        }
    }
}

// 2,048 nodes at 6.5e-3 failures a day, restart 10 min, stall 30 s; intervals of 10, 30, 60 min.
TEST(ClosedForms, RscFormulaAsPublished) {
    const double rate = 2048.0 * 6.5e-3 / 86400.0;
    EXPECT_NEAR(rsc_ettr(rate, 600.0, 600.0, 30.0), 0.82, 0.005);
    EXPECT_NEAR(rsc_ettr(rate, 600.0, 1800.0, 30.0), 0.76, 0.005);
    EXPECT_NEAR(rsc_ettr(rate, 600.0, 3600.0, 30.0), 0.63, 0.005);
}

// Exact expectations of the largest of n standard normals: 0, 1/sqrt(pi), 3/(2 sqrt(pi)), and
// n = 10 and 100 from Harter's tables (Biometrika 48, 1961).
TEST(OrderStatistics, AgreeWithExactValues) {
    const double root_pi = std::sqrt(std::numbers::pi);
    EXPECT_NEAR(expected_max_of_normals(1), 0.0, 1e-9);
    EXPECT_NEAR(expected_max_of_normals(2), 1.0 / root_pi, 1e-7);
    EXPECT_NEAR(expected_max_of_normals(3), 1.5 / root_pi, 1e-7);
    EXPECT_NEAR(expected_max_of_normals(10), 1.53875, 1e-5);
    EXPECT_NEAR(expected_max_of_normals(100), 2.50759, 1e-5);
    EXPECT_EQ(straggler_ratio(1, 0.1), 0.0);
    EXPECT_NEAR(straggler_ratio(100, 0.01), 0.0250759, 1e-7);
}

// For large n the largest is near sqrt(2 ln n), from below.
TEST(OrderStatistics, GrowLikeTheSquareRootOfTheLogarithm) {
    for (const std::int64_t n : {1'000'000L, 100'000'000L}) {
        const double bound = std::sqrt(2.0 * std::log(static_cast<double>(n)));
        EXPECT_LT(expected_max_of_normals(n), bound);
        EXPECT_GT(expected_max_of_normals(n), 0.9 * bound);
    }
}

// P99 spares at 6.5e-3 failures per node-day: repair of 4 h, 1 d, 3 d. Reliability notes, E3.
TEST(Spares, BinomialTableAtThePublishedRate) {
    const double rate = 6.5e-3 / 86400.0;
    const std::int64_t nodes[] = {128, 512, 1024, 2048};
    const std::int64_t expected[][3] = {{1, 3, 7}, {3, 8, 18}, {4, 13, 31}, {6, 22, 55}};
    const double repair_s[] = {4 * kHour, 24 * kHour, 72 * kHour};
    for (int i = 0; i < 4; ++i) {
        for (int k = 0; k < 3; ++k) {
            EXPECT_NEAR(static_cast<double>(spares_needed(nodes[i], rate, repair_s[k], 0.99)),
                        static_cast<double>(expected[i][k]), 1.0)
                << nodes[i] << " nodes, repair " << repair_s[k];
        }
    }
}

TEST(Spares, EdgesOfTheQuestion) {
    EXPECT_EQ(spares_exhausted_probability(4, 4, 1.0, 1.0), 0.0);
    // One node, no spare, as long away as up: half of the time.
    EXPECT_NEAR(spares_exhausted_probability(1, 0, 1.0, 1.0), 0.5, 1e-12);
    EXPECT_EQ(spares_needed(100, 0.0, 86400.0, 0.99), 0);
}

}  // namespace
}  // namespace ascertain::goodput
