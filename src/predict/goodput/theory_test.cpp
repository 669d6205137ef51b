// The simulation against theory. Every tolerance is four standard errors of the Monte-Carlo mean,
// so a correct simulation fails a comparison once in 16,000, and with a fixed seed not at all.
#include <gtest/gtest.h>

#include <cmath>

#include "predict/goodput/closed_forms.hpp"
#include "predict/goodput/player.hpp"
#include "predict/goodput/test_runs.hpp"

namespace ascertain::goodput {
namespace {

// k intervals cost k - 1 times M e^(R/M) (e^((tau + d)/M) - 1) and once, for the last interval,
// which needs no checkpoint, the same with d = 0 (Daly 2006, equation 20, before it is divided).
TEST(PlayerAgainstTheory, DalyIsExactOverAGrid) {
    for (const double mtbf_s : {0.7 * kHour, 3.0 * kHour, 12.0 * kHour, 50.0 * kHour}) {
        for (const double recovery_s : {0.0, 180.0, 1800.0}) {
            for (const double stall_s : {0.0, 30.0, 120.0}) {
                const double interval_s = 1200.0;
                const int intervals = 600;
                const auto setup =
                    plain_run(intervals * interval_s, mtbf_s, stall_s, interval_s, recovery_s);
                const auto span = [&](double x) {
                    return mtbf_s * std::exp(recovery_s / mtbf_s) * std::expm1(x / mtbf_s);
                };
                const double expected =
                    (intervals - 1) * span(interval_s + stall_s) + span(interval_s);
                const Mean wall = mean_over(setup, 200, [](const History& h) { return h.wall_s; });
                EXPECT_NEAR(wall.value, expected, 4.0 * wall.error + 1e-6)
                    << "M " << mtbf_s << " R " << recovery_s << " d " << stall_s;
            }
        }
    }
}

// RSC's formula drops terms of second order in failures x time lost; they bound its own error.
TEST(PlayerAgainstTheory, RscEttrWithinItsSecondOrder) {
    for (const double mtbf_s : {6.0 * kHour, 12.0 * kHour, 48.0 * kHour}) {
        for (const double interval_s : {600.0, 1800.0, 3600.0}) {
            const double restart_s = 600.0;
            const double stall_s = 30.0;
            const auto setup =
                plain_run(300.0 * interval_s, mtbf_s, stall_s, interval_s, restart_s);
            const Mean ettr = mean_over(
                setup, 400, [&](const History& h) { return 300.0 * interval_s / h.wall_s; });
            const double lost = (restart_s + interval_s + stall_s) / mtbf_s;
            EXPECT_NEAR(ettr.value, rsc_ettr(1.0 / mtbf_s, restart_s, interval_s, stall_s),
                        4.0 * ettr.error + lost * lost)
                << "M " << mtbf_s << " dt " << interval_s;
        }
    }
}

// Failures, out at once, back after an exponential repair: M/G/infinity, so the number away is
// Poisson(rate x repair), and the run waits whenever more are away than there are spares. With the
// rate low against the repair the binomial of k of n says the same.
TEST(PlayerAgainstTheory, WaitingForSparesMatchesTheBinomial) {
    const std::int64_t nodes = 512;
    for (const std::int64_t spares : {0, 2, 4, 6}) {
        RunSetup setup = plain_run(2000.0 * kDay, kDay, 0.0, 60.0, 0.0);
        setup.devices = nodes;
        setup.failure.rate_per_device_s = 6.5e-3 / kDay;
        setup.failure.classes[0].replaced_ratio = 1.0;
        setup.failure.classes[0].repair_s = kDay;
        setup.spare_nodes = spares;
        setup.horizon_s = 400.0 * kDay;
        // P(waiting) is P(more than `spares` away); the nodes that run and wait fail alike.
        const Mean waiting = mean_over(
            setup, 60, [](const History& h) { return share_of(h, Share::kSpares) / h.wall_s; });
        const double expected = spares_exhausted_probability(nodes, spares, 6.5e-3 / kDay, kDay);
        EXPECT_NEAR(waiting.value, expected, 4.0 * waiting.error + 0.01 * expected) << spares;
    }
}

// Infant mortality: failures in time t are rate x (t + (m - 1) decay (1 - e^(-t/decay))).
TEST(PlayerAgainstTheory, InfantMortalityIntegratesToItsMean) {
    RunSetup setup = plain_run(60.0 * kDay, kHour, 0.0, 60.0, 0.0);
    setup.failure.infant_multiplier = 4.0;
    setup.failure.infant_decay_s = 20.0 * kDay;
    setup.horizon_s = 60.0 * kDay;
    const Mean failures =
        mean_over(setup, 200, [](const History& h) { return static_cast<double>(h.failures); });
    const double expected = 24.0 * (60.0 + 3.0 * 20.0 * (1.0 - std::exp(-3.0)));
    EXPECT_NEAR(failures.value, expected, 4.0 * failures.error);
}

// Frailty moves failures to the lemons without changing their number until lemons are evicted.
TEST(PlayerAgainstTheory, LemonsKeepTheMeanRateUntilEvicted) {
    RunSetup setup = plain_run(30.0 * kDay, kHour, 0.0, 60.0, 0.0);
    setup.devices = 1000;
    setup.failure.rate_per_device_s = 1e-3 / kHour;
    setup.failure.lemon_ratio = 0.01;
    setup.failure.lemon_multiplier = 50.0;
    setup.failure.lemon_strikes = 1'000'000;
    setup.horizon_s = 20.0 * kDay;
    const auto count = [](const History& h) { return static_cast<double>(h.failures); };
    const Mean kept = mean_over(setup, 400, count);
    EXPECT_NEAR(kept.value, 20.0 * 24.0, 4.0 * kept.error);
    setup.failure.lemon_strikes = 3;
    EXPECT_LT(mean_over(setup, 50, count).value, 0.8 * kept.value);
}

// Goel and Okumoto: N (1 - e^(-b t)) defects show themselves in t days of running.
TEST(PlayerAgainstTheory, DefectsFollowGoelAndOkumoto) {
    RunSetup setup = quiet_run(40.0 * kDay);
    setup.defect = {.outstanding = 9.0, .rate_per_s = 0.05 / kDay, .debug_s = 3.0 * kHour};
    const Mean found =
        mean_over(setup, 2000, [](const History& h) { return static_cast<double>(h.defects); });
    // 40 d of kept work, and the rework of at most half an hour each, which is left out.
    EXPECT_NEAR(found.value, 9.0 * (1.0 - std::exp(-2.0)), 4.0 * found.error + 0.01);
    const Mean debugging =
        mean_over(setup, 2000, [](const History& h) { return share_of(h, Share::kDebugging); });
    EXPECT_NEAR(debugging.value, found.value * 3.0 * kHour, 4.0 * debugging.error);
}

TEST(PlayerAgainstTheory, NoFailuresTakeExactlyTheWorkAndItsCheckpoints) {
    RunSetup setup = quiet_run(10.0 * kHour);
    setup.checkpoint.stall_s = 10.0;
    const History history = Player(setup).play(1, 1);
    EXPECT_TRUE(history.finished);
    EXPECT_DOUBLE_EQ(history.wall_s, 10.0 * kHour + 19 * 10.0);  // 20 intervals, none at the end
}

}  // namespace
}  // namespace ascertain::goodput
