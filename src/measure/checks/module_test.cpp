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

Json answer(double ratio) {
    return {{"observation",
             {metric("error_ratio", ratio), metric("error_max_ratio", 1.0),
              metric("nonfinite_mismatches", 0), metric("mismatched_tensors", 0),
              metric("tensors", 5)}},
            {"bypassed", Json::array()}};
}

Driver eager(const char* id = "module.eager") {
    return Driver(id, {{"module", "block.py:build"}});
}

TEST(Module, EachCheckAsksItsWayOfRunning) {
    for (const auto& [id, mode] : {std::pair{"module.eager", "eager"},
                                   {"module.compiled", "compiled"},
                                   {"module.graphed", "graphed"}}) {
        Driver driver = eager(id);
        const Step step = driver.run([](const Request&) { return result(answer(1.25)); });
        EXPECT_EQ(value_of(step, "error_ratio"), 1.25);
        EXPECT_EQ(driver.asked.at(0).params, (Json{{"mode", mode}, {"seed", 7}}));
        EXPECT_TRUE(std::get<Done>(step).detail.contains("bypassed"));
    }
}

TEST(Module, WhatTheUsersFileRaisesOnTheDeviceIsTheDevices) {
    const Step step =
        eager().run([](const Request&) { return error("invalid_request", "f.py:3: KeyError"); });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kDeviceError));
}

TEST(Module, WithoutReferenceNothingIsJudged) {
    const Step step = eager().run([](const Request&) { return error("no_reference", "dropout"); });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kNoReference));
}

TEST(Module, AnAnswerWithoutItsMetricsIsAHarnessError) {
    const Step step = eager().run([](const Request&) {
        return result({{"observation", Json::array()}});
    });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kHarnessError));
}

}  // namespace
}  // namespace ascertain::checks
