// The simulation against theory. Every tolerance is four standard errors of the Monte-Carlo mean,
// so a correct simulation fails a comparison once in 16,000, and with a fixed seed not at all.
#include "predict/goodput/player.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/text.hpp"
#include "predict/goodput/closed_forms.hpp"

namespace ascertain::goodput {
namespace {

constexpr double kHour = 3600.0;
constexpr double kDay = 86400.0;

// A fleet of one device that fails loudly, is detected at once and restarts in constant time.
RunSetup plain_run(double work_s, double mtbf_s, double stall_s, double interval_s,
                   double recovery_s) {
    RunSetup setup;
    setup.stages = {{.kind = "pretrain", .work_s = work_s, .step_s = 1.0}};
    setup.devices = 1;
    setup.devices_per_node = 1;
    setup.failure.rate_per_device_s = 1.0 / mtbf_s;
    setup.failure.classes = {{.name = "any", .detection_s = 0.0}};
    setup.recovery.restart_s = recovery_s;
    setup.checkpoint.stall_s = stall_s;
    setup.checkpoint.interval_s = interval_s;
    setup.horizon_s = 40.0 * 365.0 * kDay;
    return setup;
}

struct Mean {
    double value = 0.0;
    double error = 0.0;  // standard
};

template <typename Measure>
Mean mean_over(const RunSetup& setup, int histories, Measure measure) {
    EXPECT_TRUE(validate(setup).ok()) << validate(setup).error().text();
    Player player(setup);
    double sum = 0.0;
    double squares = 0.0;
    for (int i = 0; i < histories; ++i) {
        const double x = measure(player.play(11, static_cast<std::uint64_t>(i)));
        sum += x;
        squares += x * x;
    }
    const double mean = sum / histories;
    return {mean, std::sqrt(std::max(0.0, squares / histories - mean * mean) / histories)};
}

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

TEST(PlayerAgainstTheory, NoFailuresTakeExactlyTheWorkAndItsCheckpoints) {
    auto setup = plain_run(10.0 * kHour, kHour, 10.0, 1800.0, 600.0);
    setup.failure = {};
    const History history = Player(setup).play(1, 1);
    EXPECT_TRUE(history.finished);
    EXPECT_DOUBLE_EQ(history.wall_s, 10.0 * kHour + 19 * 10.0);  // 20 intervals, none at the end
}

}  // namespace
}  // namespace ascertain::goodput
