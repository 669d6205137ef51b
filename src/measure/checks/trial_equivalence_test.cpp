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
    return {{"trial_architecture",
             {{"layers", {{{"kind", "dense"}, {"count", 1}}, {{"kind", "moe"}, {"count", 2}}}},
              {"moe", {{"experts", 4}, {"router", "sigmoid"}}},
              {"mlp", {{"intermediate_size", 0}}},
              {"mtp_layers", 1}}},
            {"recipe", Json::object()},
            {"free_run_dtype", "fp32"},
            {"trial_steps", 1000},
            {"held_out_batches", 32}};
}

Json trained(double loss) {
    return {
        {"observation",
         {metric("final_loss", loss), metric("held_out_loss", loss), metric("nonfinite_steps", 0)}},
        {"losses", {3.0, loss}}};
}

// The reference's replicas end at `base` give or take a thousandth.
Step compared(double device, double base, std::vector<Request>* asked = nullptr,
              double budget = 100.0) {
    Driver driver("trial.equivalence", trial(), budget);
    Step step = driver.run([&](const Request& request) {
        if (request.params["where"] == "device") return result(trained(device));
        const double sign = request.params["replica"].get<int>() % 2 == 0 ? 1.0 : -1.0;
        return result(trained(base * (1.0 + 1e-3 * sign)));
    });
    if (asked != nullptr) *asked = driver.asked;
    return step;
}

TEST(TrialEquivalence, ComparesWholeRunsWithReplicasOfTheReference) {
    std::vector<Request> asked;
    const Step same = compared(0.8, 0.8, &asked);
    ASSERT_EQ(asked.size(), 5u);
    EXPECT_EQ(asked[0].params["perturb"], 0.0);
    for (std::size_t i = 1; i < 5; ++i) {
        EXPECT_EQ(asked[i].params["perturb"], 1e-7);
        EXPECT_EQ(asked[i].params["replica"], i);
        EXPECT_EQ(asked[i].params["seed"], asked[0].params["seed"]);
        EXPECT_EQ(asked[i].params["architecture"]["layers"],
                  (Json{{{"kind", "dense"}, {"count", 3}}}));
        EXPECT_EQ(asked[i].params["architecture"]["moe"]["experts"], 0);
        EXPECT_EQ(asked[i].params["architecture"]["moe"]["router"], "softmax");
        EXPECT_EQ(asked[i].params["architecture"]["mtp_layers"], 0);
        EXPECT_GT(asked[i].params["architecture"]["mlp"]["intermediate_size"], 0);
    }
    // Four values a thousandth off their mean: standard deviation sqrt(4 / 3) thousandths.
    EXPECT_NEAR(value_of(same, "run_spread"), std::sqrt(4.0 / 3.0) * 1e-3, 1e-12);
    EXPECT_NEAR(value_of(same, "loss_difference"), 0.0, 1e-12);
    EXPECT_LT(value_of(same, "equivalence_reach"), 1.0);
    EXPECT_GT(value_of(same, "power"), 0.5);
    EXPECT_GT(value_of(compared(0.81, 0.78), "equivalence_reach"), 1.0);
}

TEST(TrialEquivalence, WhatHasNotConvergedIsUndecided) {
    const Step step = compared(0.9, 0.9);
    const Metric* reach = find_metric(std::get<Done>(step).observation, "equivalence_reach");
    EXPECT_FALSE(reach->value.has_value());
    EXPECT_THAT(reach->reason, HasSubstr("in transition"));
}

TEST(TrialEquivalence, AControlIsShortAndNeedNotConverge) {
    std::vector<Request> asked;
    const Step step = compared(9.0, 2.0, &asked, 0.0);
    EXPECT_LT(asked[0].params["steps"], 100);
    EXPECT_GT(value_of(step, "equivalence_reach"), 1.0);
}

TEST(TrialEquivalence, ALossThatIsNoNumberIsNeverAPass) {
    const Step step = Driver("trial.equivalence", trial()).run([](const Request& request) {
        Json answer = trained(0.8);
        if (request.params["where"] == "device") {
            answer["observation"][1]["value"] = nullptr;
            answer["observation"][1]["reason"] = "not finite";
        }
        return result(answer);
    });
    EXPECT_TRUE(std::isnan(value_of(step, "equivalence_reach")));
}

TEST(TrialEquivalence, ABrokenReferenceIsNotTheDevicesFault) {
    const Step step = Driver("trial.equivalence", trial()).run([](const Request& request) {
        return request.params["where"] == "device" ? result(trained(0.8))
                                                   : error("device_error", "boom");
    });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kHarnessError));
}

}  // namespace
}  // namespace ascertain::checks
