#include "predict/cost/timeline.hpp"

#include <gtest/gtest.h>

#include <map>

#include "base/json.hpp"
#include "predict/cost/test_kit.hpp"

namespace ascertain::cost {
namespace {

std::string trace_of(const parallel::Plan& plan, const TimelineOptions& options) {
    std::string text;
    const auto done = write_timeline(shipped_model("gpt3-175b"), fleet_of("a100-80gb-sxm", 1024),
                                     gpt3_job(), plan, shipped_book(), options,
                                     [&](std::string_view piece) { text += piece; });
    EXPECT_TRUE(done) << (done ? "" : done.error().text());
    return text;
}

// What a trace reader relies on: JSON, known phases, and no two slices of a row at the same time.
TEST(Timeline, IsATraceWhoseSlicesNeverOverlap) {
    parallel::Plan dual = gpt3_plan();
    dual.vpp = 1;
    dual.schedule = parallel::ScheduleKind::kDualPipe;
    for (const parallel::Plan& plan : {gpt3_plan(), dual}) {
        JsonLimits limits;
        limits.size_bytes_max = 1u << 30;
        const auto trace = parse_json(trace_of(plan, {}), "trace", limits);
        ASSERT_TRUE(trace) << trace.error().text();
        std::map<int, double> busy_until;
        std::map<int, int> slices;
        for (const Json& event : (*trace)["traceEvents"]) {
            const std::string phase = event["ph"];
            EXPECT_TRUE(phase == "X" || phase == "M" || phase == "C");
            if (phase != "X") continue;
            const int row = event["tid"];
            EXPECT_GE(event["ts"].get<double>(), busy_until[row] - 0.01) << event.dump();
            busy_until[row] = event["ts"].get<double>() + event["dur"].get<double>();
            ++slices[row];
        }
        EXPECT_EQ(slices.size(), 8u);
        for (const auto& [row, count] : slices) EXPECT_GE(count, 2 * 96);
    }
}

TEST(Timeline, EndsWhenTheStepEnds) {
    const auto trace = parse_json(trace_of(gpt3_plan(), {}), "trace");
    ASSERT_TRUE(trace);
    double last_us = 0.0;
    for (const Json& event : (*trace)["traceEvents"])
        if (event["ph"] == "X")
            last_us = std::max(last_us, event["ts"].get<double>() + event["dur"].get<double>());
    const auto cost = step_cost(shipped_model("gpt3-175b"), fleet_of("a100-80gb-sxm", 1024),
                                gpt3_job(), gpt3_plan(), shipped_book());
    ASSERT_TRUE(cost);
    // Stragglers and the fitted level stretch the whole step and have no place of their own.
    const double stretched = cost->parts[static_cast<std::size_t>(Part::kStraggler)] +
                             cost->parts[static_cast<std::size_t>(Part::kLevel)];
    EXPECT_NEAR(last_us / 1e6, cost->step_s - stretched, 1e-3 * cost->step_s);
}

TEST(Timeline, RefusesMoreRowsThanAsked) {
    TimelineOptions options;
    options.all_ranks = true;
    options.ranks_max = 1000;
    const auto done =
        write_timeline(shipped_model("gpt3-175b"), fleet_of("a100-80gb-sxm", 1024), gpt3_job(),
                       gpt3_plan(), shipped_book(), options, [](std::string_view) {});
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::kOutOfRange);
}

}  // namespace
}  // namespace ascertain::cost
