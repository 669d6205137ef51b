// Plain runs for the tests of this room.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "predict/goodput/player.hpp"

namespace ascertain::goodput {

inline constexpr double kHour = 3600.0;
inline constexpr double kDay = 86400.0;

// A fleet of one device that fails loudly, is detected at once and restarts in constant time.
inline RunSetup plain_run(double work_s, double mtbf_s, double stall_s, double interval_s,
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

// The same, and nothing fails.
inline RunSetup quiet_run(double work_s) {
    RunSetup setup = plain_run(work_s, kHour, 0.0, 1800.0, 600.0);
    setup.failure = {};
    return setup;
}

struct Mean {
    double value = 0.0;
    double error = 0.0;  // standard
};

template <typename Measure>
Mean mean_over(const RunSetup& setup, int histories, Measure measure) {
    EXPECT_TRUE(validate(setup).ok());
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

inline double share_of(const History& history, Share share) {
    return history.share_s[static_cast<std::size_t>(share)];
}

}  // namespace ascertain::goodput
