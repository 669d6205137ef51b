#include <gmock/gmock.h>

#include <cmath>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;
using testing::error;
using testing::gave_up;
using ::testing::HasSubstr;
using testing::metric;
using testing::result;
using testing::value_of;

Json trial() {
    return {{"trial_architecture", {{"name", "tiny"}}},
            {"recipe", {{"batch_sequences", 16}}},
            {"dtype", "bf16"},
            {"free_run_dtype", "fp32"},
            {"trial_steps", 300},
            {"held_out_batches", 4}};
}

Json forced_answer() {
    return {{"observation",
             {metric("relative_loss_max", 1e-7), metric("tensor_relative_error_max", 2e-6),
              metric("optimizer_relative_error_max", 0.0), metric("router_bias_mismatches", 0)}},
            {"points", {{{"step", 0}, {"batch", 0}}}},
            {"tensors", {{{"name", "embedding"}, {"relative_error", 2e-6}}}}};
}

TEST(TrialForced, AsksInFp32FirstAndThenInTheCampaignsPrecision) {
    Driver fp32("trial.forced_fp32", trial());
    Driver working("trial.forced", trial());
    const auto answer = [](const Request&) { return result(forced_answer()); };
    const Step step = fp32.run(answer);
    EXPECT_EQ(value_of(step, "tensor_relative_error_max"), 2e-6);
    EXPECT_EQ(value_of(step, "points"), 1.0);
    static_cast<void>(working.run(answer));
    EXPECT_EQ(fp32.asked.at(0).params["dtype"], "fp32");
    EXPECT_EQ(working.asked.at(0).params["dtype"], "bf16");
}

TEST(TrialForced, WithoutTimeItComparesTheFirstStepAlone) {
    Driver brief("trial.forced_fp32", trial(), 0.0);
    static_cast<void>(brief.run([](const Request&) { return result(forced_answer()); }));
    EXPECT_EQ(brief.asked.at(0).params["steps"], Json::array({0}));
    EXPECT_EQ(brief.asked.at(0).params["batches"], 4);
}

TEST(TrialForced, NothingComparedIsAHarnessError) {
    Json empty = forced_answer();
    empty["points"] = Json::array();
    Json without = forced_answer();
    without["observation"].erase(1);
    for (const Json& body : {empty, without, Json::object()}) {
        EXPECT_TRUE(gave_up(
            Driver("trial.forced_fp32", trial()).run([&](const Request&) { return result(body); }),
            GiveUp::Reason::kHarnessError))
            << body;
    }
}

Json trained(double norm, double held_out) {
    Json losses = Json::array();
    Json norms = Json::array();
    for (int step = 0; step < 300; ++step) {
        losses.push_back(3.0);
        norms.push_back(norm);
    }
    return {{"observation",
             {metric("final_loss", held_out), metric("held_out_loss", held_out),
              metric("nonfinite_steps", 0), metric("unused_gradients", 0)}},
            {"losses", losses},
            {"grad_norms", norms}};
}
bool on_device(const Request& request) {
    return request.params["where"] == "device";
}

TEST(TrialFreeRun, TrainsBothAtOnceAndComparesThem) {
    Driver driver("trial.free_run", trial());
    const Step step = driver.run([](const Request& request) {
        return result(on_device(request) ? trained(1.01, 1.2) : trained(1.0, 1.0));
    });
    ASSERT_EQ(driver.asked.size(), 2u);
    EXPECT_EQ(driver.asked[1].members.at(0), 1u);  // one device, so the reference is member 1
    // Every early step has the ratio 1.01.
    EXPECT_NEAR(value_of(step, "early_grad_norm_log_ratio_mean"), std::log(1.01), 1e-12);
    EXPECT_NEAR(value_of(step, "held_out_loss_difference"), 0.2, 1e-12);
    EXPECT_NEAR(value_of(step, "remaining_loss"), 0.4, 1e-12);
    EXPECT_EQ(value_of(step, "steps"), 300.0);
    EXPECT_EQ(std::get<Done>(step).detail["reference"]["losses"].size(), 300u);
}

TEST(TrialFreeRun, WithoutTimeItRunsTheEarlyStepsAlone) {
    Driver brief("trial.free_run", trial(), 0.0);
    static_cast<void>(brief.run([](const Request&) { return result(trained(1.0, 1.0)); }));
    EXPECT_EQ(brief.asked.at(0).params["steps"], 20);
    EXPECT_EQ(brief.asked.at(1).params["steps"], 20);
}

TEST(TrialFreeRun, AGradientThatIsNotFiniteHasNoRatio) {
    Json broken = trained(1.0, 1.0);
    broken["grad_norms"][3] = nullptr;
    const Step step = Driver("trial.free_run", trial()).run([&](const Request& request) {
        return result(on_device(request) ? broken : trained(1.0, 1.0));
    });
    EXPECT_TRUE(std::isnan(value_of(step, "early_grad_norm_log_ratio_mean")));
}

TEST(TrialFreeRun, TooFewStepsHaveNoRatio) {
    Json brief = trained(1.0, 1.0);
    brief["grad_norms"] = Json{1.0, 1.0};
    const Step step =
        Driver("trial.free_run", trial()).run([&](const Request&) { return result(brief); });
    const Metric* ratio =
        find_metric(std::get<Done>(step).observation, "early_grad_norm_log_ratio_mean");
    EXPECT_FALSE(ratio->value.has_value());
    EXPECT_THAT(ratio->reason, HasSubstr("fewer than 20"));
}

TEST(TrialFreeRun, ABrokenReferenceIsNotTheDevicesFault) {
    const Step step = Driver("trial.free_run", trial()).run([](const Request& request) {
        return on_device(request) ? result(trained(1.0, 1.0)) : error("device_error", "boom");
    });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kHarnessError));
}

TEST(TrialFreeRun, ADeviceThatRaisesIs) {
    const Step step = Driver("trial.free_run", trial()).run([](const Request& request) {
        return on_device(request) ? error("device_error", "boom") : result(trained(1.0, 1.0));
    });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kDeviceError));
}

TEST(TrialFreeRun, ARunWithoutLossesIsAHarnessError) {
    Json empty = trained(1.0, 1.0);
    empty["losses"] = Json::array();
    EXPECT_TRUE(gave_up(
        Driver("trial.free_run", trial()).run([&](const Request&) { return result(empty); }),
        GiveUp::Reason::kHarnessError));
}

}  // namespace
}  // namespace ascertain::checks
