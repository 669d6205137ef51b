#include <gtest/gtest.h>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;
using testing::error;
using testing::gave_up;
using testing::result;
using testing::value_of;

Json op(const char* name, const char* phase, double share, bool compute = true) {
    return {{"name", name}, {"phase", phase}, {"share_of_step", share}, {"compute", compute}};
}
Json reference_operators() {
    return {op("aten::mm", "forward", 0.5), op("aten::mm", "backward", 0.25),
            op("aten::silu", "forward", 0.125), op("aten::view", "forward", 0.0, false)};
}
Driver coverage() {
    return Driver("ops.coverage",
                  {{"capture", {{"sequences", 1}}}, {"operators", reference_operators()}});
}
Step run_with(const Json& operators) {
    return coverage().run([&](const Request&) { return result({{"operators", operators}}); });
}

TEST(OpsCoverage, ADeviceWithEveryOperatorMissesNone) {
    Driver driver = coverage();
    const Step step = driver.run([](const Request&) {
        return result({{"operators", reference_operators()}});
    });
    EXPECT_EQ(value_of(step, "operators_missing"), 0.0);
    EXPECT_EQ(value_of(step, "operators_expected"), 3.0);  // the view computes nothing
    EXPECT_EQ(driver.asked.at(0).params, (Json{{"sequences", 1}}));
}

TEST(OpsCoverage, NamesAndPricesWhatIsMissing) {
    Json without = reference_operators();
    without.erase(1);  // mm in the backward pass
    const Step step = run_with(without);
    EXPECT_EQ(value_of(step, "operators_missing"), 1.0);
    EXPECT_EQ(value_of(step, "missing_share_of_step"), 0.25);
    const Json& missing = std::get<Done>(step).detail["missing"];
    EXPECT_EQ(missing[0]["name"], "mm");
    EXPECT_EQ(missing[0]["phase"], "backward");
}

TEST(OpsCoverage, CountsFallbacksWhereTheWorkerTellsThem) {
    EXPECT_EQ(value_of(run_with(reference_operators()), "operators_fallback"), 0.0);  // the CPU
    Json told = reference_operators();
    for (Json& entry : told) entry["support"] = entry["name"] == "aten::mm" ? "fallback" : "native";
    const auto elsewhere = [](const Json& operators) {
        Driver driver = coverage();
        driver.device = "npu:0";
        return driver.run([&](const Request&) { return result({{"operators", operators}}); });
    };
    EXPECT_EQ(value_of(elsewhere(told), "operators_fallback"), 2.0);  // forward and backward
    // Not told is not none.
    EXPECT_TRUE(std::isnan(value_of(elsewhere(reference_operators()), "operators_fallback")));
}

TEST(OpsCoverage, AnOperatorOfItsOwnIsListedAndNoFault) {
    Json more = reference_operators();
    more.push_back(op("npu::fused", "forward", 0.1));
    const Step step = run_with(more);
    EXPECT_EQ(value_of(step, "operators_missing"), 0.0);
    EXPECT_EQ(value_of(step, "operators_extra"), 1.0);
}

TEST(OpsCoverage, AnEmptyOrBrokenCaptureIsAHarnessError) {
    EXPECT_TRUE(gave_up(run_with(Json::array()), GiveUp::Reason::kHarnessError));
    EXPECT_TRUE(gave_up(run_with(Json("all of them")), GiveUp::Reason::kHarnessError));
    EXPECT_TRUE(gave_up(run_with({{{"name", "aten::mm"}}}), GiveUp::Reason::kHarnessError));
}

TEST(OpsCoverage, AStepThatRaisesIsTheDevicesError) {
    const Step step =
        coverage().run([](const Request&) { return error("device_error", "no kernel for mm"); });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kDeviceError));
    EXPECT_EQ(std::get<GiveUp>(step).message, "no kernel for mm");
}

}  // namespace
}  // namespace ascertain::checks
