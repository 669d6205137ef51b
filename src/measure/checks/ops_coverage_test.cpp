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
    EXPECT_EQ(driver.asked.at(0).params["sequences"], 1);
    EXPECT_EQ(driver.asked.at(0).params["expected"].size(), 2u);  // mm and silu; no view
}

TEST(OpsCoverage, NamesAndPricesWhatIsMissing) {
    Json without = reference_operators();
    without.erase(1);  // mm in the backward pass
    const Step step = run_with(without);
    EXPECT_EQ(value_of(step, "operators_missing"), 1.0);
    EXPECT_EQ(value_of(step, "missing_share_of_step"), 0.25);
    const Json& missing = std::get<Done>(step).detail["missing"];
    EXPECT_EQ(missing[0]["name"], "aten::mm");
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

// The device's step in seconds, each operator a tenth of the reference's time.
Json timed(Json operators, double factor) {
    for (Json& entry : operators) {
        entry["seconds"] = factor * entry["share_of_step"].get<double>();
        entry["count"] = 10;
        entry["support"] = "native";
    }
    return operators;
}
Step on_npu(const Json& reference, const Json& answer) {
    Driver driver("ops.coverage", {{"capture", Json::object()}, {"operators", reference}});
    driver.device = "npu:0";
    return driver.run([&](const Request&) { return result(answer); });
}

TEST(OpsCoverage, AFallbackIsPricedByTheTimeItCosts) {
    const Json reference = timed(reference_operators(), 1.0);
    Json here = timed(reference_operators(), 0.1);
    here[2]["support"] = "fallback";  // silu, slower than the reference: 0.15 s instead of 0.0125 s
    here[2]["support_registered"] = "fallback";
    here[2]["host_copies"] = 4;
    here[2]["seconds"] = 0.15;
    const Step step = on_npu(reference, {{"operators", here}, {"step_s", 0.2}});
    EXPECT_EQ(value_of(step, "operators_fallback"), 1.0);
    EXPECT_EQ(value_of(step, "fallback_disagreements"), 0.0);
    const Json& silu = std::get<Done>(step).detail["operators"][2];
    // Without it the step would take 0.2 - 0.15 + 0.0125 s.
    EXPECT_NEAR(silu["slowdown_ratio"].get<double>(), 0.2 / 0.0625, 1e-9);
}

TEST(OpsCoverage, WhatOnlyTablesOrOnlyTheRecorderSayIsAFallbackAndADisagreement) {
    const Json reference = timed(reference_operators(), 1.0);
    for (const int copies : {0, 4}) {
        Json here = timed(reference_operators(), 0.1);
        here[2]["support"] = "fallback";
        here[2]["support_registered"] = copies == 0 ? "fallback" : "native";
        here[2]["host_copies"] = copies;
        const Step step = on_npu(reference, {{"operators", here}, {"step_s", 0.2}});
        EXPECT_EQ(value_of(step, "operators_fallback"), 1.0);
        EXPECT_EQ(value_of(step, "fallback_disagreements"), 1.0);
    }
}

TEST(OpsCoverage, AnOperatorFarSlowerThanTheOthersIsSuspectedByTimeAlone) {
    const Json reference = timed(reference_operators(), 1.0);
    Json here = timed(reference_operators(), 0.01);
    here[2]["seconds"] = 0.125;
    const Step step = on_npu(reference, {{"operators", here}, {"step_s", 0.2}});
    EXPECT_EQ(value_of(step, "operators_slow"), 1.0);
    EXPECT_EQ(value_of(step, "operators_fallback"), 0.0);
}

TEST(OpsCoverage, AFusedKernelInItsPlaceIsNotMissing) {
    Json here = reference_operators();
    here.erase(2);
    here.push_back(op("npu::fused_silu", "forward", 0.1));
    const Json tables = {{{"name", "aten::silu"}, {"overload", ""}, {"support", "native"}}};
    Step step = on_npu(reference_operators(), {{"operators", here}, {"expected", tables}});
    EXPECT_EQ(value_of(step, "operators_missing"), 0.0);
    EXPECT_EQ(value_of(step, "operators_not_seen"), 1.0);
    // The tables have no kernel: nothing can have run in its place under its name.
    const Json none = {{{"name", "aten::silu"}, {"overload", ""}, {"support", "missing"}}};
    step = on_npu(reference_operators(), {{"operators", here}, {"expected", none}});
    EXPECT_EQ(value_of(step, "operators_missing"), 1.0);
}

TEST(OpsCoverage, TheReferencesOwnKernelIsAskedOfNobodyElse) {
    Json reference = reference_operators();
    reference.push_back(
        op("aten::_scaled_dot_product_flash_attention_for_cpu_backward", "backward", 0.1));
    const Step step = on_npu(reference, {{"operators", reference_operators()}});
    EXPECT_EQ(value_of(step, "operators_missing"), 0.0);
}

TEST(OpsCoverage, AStepThatRaisesNamesWhatTheTablesLack) {
    Driver driver = coverage();
    driver.device = "npu:0";
    const Step step = driver.run([](const Request& request) {
        if (request.kind == "capture") return error("unsupported", "no kernel for silu");
        Json tables = Json::array();
        for (const Json& asked : request.params["expected"]) {
            const bool lacks = asked["name"] == "aten::silu";
            tables.push_back({{"name", asked["name"]},
                              {"overload", asked["overload"]},
                              {"support", lacks ? "missing" : "native"}});
        }
        return result({{"expected", tables}});
    });
    EXPECT_EQ(value_of(step, "operators_missing"), 1.0);
    EXPECT_EQ(std::get<Done>(step).detail["missing"][0]["name"], "aten::silu");
    EXPECT_EQ(std::get<Done>(step).detail["step_failed"], "no kernel for silu");
}

}  // namespace
}  // namespace ascertain::checks
