#include <gmock/gmock.h>

#include <cmath>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;
using testing::error;
using testing::gave_up;
using ::testing::HasSubstr;
using testing::result;
using testing::value_of;

// A run of `steps` steps whose loss falls from 3 to `last`, linearly.
Json run(double last, int steps = 100, double norm = 1.0) {
    Json losses = Json::array();
    Json norms = Json::array();
    for (int step = 1; step <= steps; ++step) {
        losses.push_back({step, 3.0 + (last - 3.0) * step / steps});
        norms.push_back({step, norm});
    }
    return {{"losses", losses},    {"grad_norms", norms},  {"held_out_losses", Json::array()},
            {"steps_named", true}, {"killed_at", nullptr}, {"resumed_from", nullptr},
            {"seconds", 1.0},      {"malformed_lines", 0}, {"left_behind", 0}};
}

TEST(TrainerCompletes, CountsWhatIsNoNumber) {
    Json broken = run(1.0);
    broken["losses"][7][1] = nullptr;
    const Step step = Driver("trainer.completes", Json::object()).run([&](const Request&) {
        return result(broken);
    });
    EXPECT_EQ(value_of(step, "nonfinite_steps"), 1.0);
    EXPECT_EQ(value_of(step, "steps"), 100.0);
}

TEST(TrainerCompletes, ATrainerThatFailsIsTheDevicesBusiness) {
    Driver driver("trainer.completes", Json::object());
    EXPECT_TRUE(gave_up(driver.run([](const Request&) { return error("device_error", "hung"); }),
                        GiveUp::Reason::kDeviceError));
    EXPECT_TRUE(
        gave_up(driver.run([](const Request&) { return error("no_reference", "no metric"); }),
                GiveUp::Reason::kNoReference));
}

Json killed(double shift, int from) {
    Json answer = run(1.0);
    answer["killed_at"] = 70;
    answer["resumed_from"] = from;
    for (Json& point : answer["losses"]) {
        if (point[0].get<int>() >= from) point[1] = point[1].get<double>() * (1.0 + shift);
    }
    return answer;
}

Step resumed(const Json& answer, std::vector<Request>* asked = nullptr) {
    Driver driver("trainer.resumes", Json::object());
    Step step = driver.run([&](const Request& request) {
        return result(request.params.contains("kill_at") ? answer : run(1.0));
    });
    if (asked != nullptr) *asked = driver.asked;
    return step;
}

TEST(TrainerResumes, KillsInTheSecondHalfAndComparesWithTheRunThatWasNot) {
    std::vector<Request> asked;
    const Step step = resumed(killed(0.02, 61), &asked);
    ASSERT_EQ(asked.size(), 2u);
    EXPECT_GE(asked[1].params["kill_at"], 50);
    EXPECT_LE(asked[1].params["kill_at"], 90);
    EXPECT_EQ(asked[1].params["seed"], asked[0].params["seed"]);
    EXPECT_NEAR(value_of(step, "loss_difference_after_resume"), 0.02, 1e-12);
    EXPECT_NEAR(value_of(step, "steps_lost_share"), 10.0 / 70.0, 1e-12);
    EXPECT_EQ(value_of(step, "steps_missing"), 0.0);
}

TEST(TrainerResumes, BeginningAgainHasLostAllSteps) {
    EXPECT_EQ(value_of(resumed(killed(0.0, 1)), "steps_lost_share"), 1.0);
}

TEST(TrainerResumes, WithoutStepsNothingIsShown) {
    Json unnamed = killed(0.0, 61);
    unnamed["steps_named"] = false;
    EXPECT_TRUE(gave_up(resumed(unnamed), GiveUp::Reason::kNoReference));
}

Json paired(int replicas) {
    return {{"tests", replicas}, {"replicas", replicas}, {"paired", true}, {"margin", 0.005}};
}

// Seed s ends at 1 + s / 100; the device `shift` above.
Step compared(const Json& params, double shift, double norm = 1.0, bool copies = false) {
    return Driver("trainer.equivalence", params).run([&](const Request& request) {
        const double base = copies ? 1.0 : 1.0 + request.params["replica"].get<double>() / 100.0;
        const bool on_device = request.members[0] == 0;
        return result(on_device ? run(base * (1.0 + shift), 100, norm) : run(base));
    });
}

TEST(TrainerEquivalence, PairsRunsOfOneSeed) {
    const Step same = compared(paired(4), 0.0);
    EXPECT_EQ(value_of(same, "loss_difference"), 0.0);
    EXPECT_LT(value_of(same, "equivalence_reach"), 1.0);
    EXPECT_GT(value_of(same, "power"), 0.9);
    EXPECT_LT(value_of(same, "false_alarm_rate"), 0.01);
    EXPECT_EQ(value_of(same, "early_grad_norm_log_ratio_mean"), 0.0);
    EXPECT_GT(value_of(compared(paired(4), 0.2), "equivalence_reach"), 1.0);
    EXPECT_NEAR(value_of(compared(paired(4), 0.0, 1.03), "early_grad_norm_log_ratio_mean"),
                std::log(1.03), 1e-12);
}

TEST(TrainerEquivalence, TooFewOrCopiedReplicasAreNeverAPass) {
    const auto reason = [](const Step& step) {
        const auto& observation = std::get<Done>(step).observation;
        const Metric* reach = find_metric(observation, "equivalence_reach");
        EXPECT_FALSE(reach->value.has_value());
        return reach->reason;
    };
    EXPECT_THAT(reason(compared(paired(3), 0.0)), HasSubstr("too few"));
    EXPECT_THAT(reason(compared(paired(4), 0.0, 1.0, true)), HasSubstr("copies of each other"));
}

TEST(TrainerEquivalence, ABrokenReferenceIsNotTheDevicesFault) {
    const Step step = Driver("trainer.equivalence", paired(4)).run([](const Request& request) {
        return request.members[0] == 0 ? result(run(1.0)) : error("device_error", "exit code 1");
    });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kNoReference));
}

TEST(TrainerEquivalence, ControlsTakeWhatWasRunBefore) {
    Driver control("trainer.equivalence", paired(4), 0.0);
    static_cast<void>(control.run([](const Request&) { return result(run(1.0)); }));
    for (const Request& request : control.asked) EXPECT_EQ(request.params["recorded"], true);
    EXPECT_EQ(control.asked.size(), 8u);
}

}  // namespace
}  // namespace ascertain::checks
