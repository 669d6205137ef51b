#include <gtest/gtest.h>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;
using testing::error;
using testing::gave_up;
using testing::metric;
using testing::result;
using testing::value_of;

Json answer(int questions, int mismatches) {
    return {{"observation",
             {metric("mismatches", mismatches), metric("bound_ratio", 0.5), metric("z_max", 1.0),
              metric("raised", 0), metric("questions", questions), metric("elements", 100)}},
            {"failures", Json::array()},
            {"output_hash", "00"}};
}

Driver shapes(double budget_s = 100.0) {
    return Driver("ops.battery.shapes", {{"dtype", "bf16"}}, budget_s);
}

TEST(OpsBattery, AsksItsBatteryInTheCampaignsPrecision) {
    Driver driver = shapes();
    const Step step = driver.run([](const Request&) { return result(answer(10, 3)); });
    EXPECT_EQ(value_of(step, "mismatches"), 3.0);
    ASSERT_EQ(driver.asked.size(), 1u);
    EXPECT_EQ(driver.asked[0].kind, "numerics");
    EXPECT_EQ(driver.asked[0].params,
              (Json{{"battery", "shapes"}, {"seed", 7}, {"size", "quick"}, {"dtype", "bf16"}}));
    EXPECT_EQ(std::get<Done>(step).detail["battery"], "shapes");
}

TEST(OpsBattery, AControlIsAskedTheLeast) {
    Driver driver = shapes(0.0);
    static_cast<void>(driver.run([](const Request&) { return result(answer(1, 0)); }));
    EXPECT_EQ(driver.asked.at(0).params["size"], "least");
}

TEST(OpsBattery, NothingComparedIsNoPass) {
    const Step step = shapes().run([](const Request&) { return result(answer(0, 0)); });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kUnsupported));
}

TEST(OpsBattery, AnAnswerWithoutItsMetricsIsAHarnessError) {
    const Step step = shapes().run([](const Request&) {
        return result({{"observation", Json::array()}});
    });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kHarnessError));
}

TEST(OpsBattery, WhatTheWorkerCannotIsSaid) {
    const Step step =
        shapes().run([](const Request&) { return error("out_of_memory", "no memory"); });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kOutOfMemory));
}

}  // namespace
}  // namespace ascertain::checks
