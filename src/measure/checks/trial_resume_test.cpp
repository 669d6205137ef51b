#include <gmock/gmock.h>

#include <cmath>
#include <set>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;
using testing::gave_up;
using testing::metric;
using testing::result;
using testing::value_of;

Json trial() {
    return {{"trial_architecture", {{"name", "tiny"}}},
            {"recipe", Json::object()},
            {"free_run_dtype", "fp32"}};
}

// Losses 3, 2.9, ... from `first` on, shifted relatively.
Json run(int first, int steps, double shift = 0.0, const char* state = "same") {
    Json losses = Json::array();
    for (int step = first; step < steps; ++step)
        losses.push_back((3.0 - step / 10.0) * (1 + shift));
    return {{"observation",
             {metric("checkpoints", 3), metric("checkpoint_save", 0.5),
              metric("checkpoint_load", 0.25), metric("checkpoint_bytes", 1000)}},
            {"losses", losses},
            {"first_step", first},
            {"state_hash", state},
            {"skipped", Json::array()}};
}

bool is_to_die(const Request& request) {
    return request.params.contains("dies_at") || request.params.contains("dies_in_checkpoint") ||
           request.params.contains("hangs_at");
}
Answer died(const Request& request) {
    Answer answer;
    answer.kind =
        request.params.contains("hangs_at") ? AnswerKind::kTimedOut : AnswerKind::kCrashed;
    return answer;
}

// Every run dies as it was told; `resumed` is what one says that goes on.
Step with_resumed(const Json& resumed, std::vector<Request>* asked = nullptr, double budget = 100.0,
                  const char* again = "same") {
    Driver driver("trial.resume", trial(), budget);
    Step step = driver.run([&](const Request& request) {
        if (is_to_die(request)) return died(request);
        const int steps = request.params["steps"];
        if (request.params["resume"] == true) return result(resumed);
        return result(run(0, steps, 0.0, request.params["run"] == "again" ? again : "same"));
    });
    if (asked != nullptr) *asked = driver.asked;
    return step;
}

TEST(TrialResume, KillsOnceInAStepAndOnceInACheckpoint) {
    std::vector<Request> asked;
    const Step step = with_resumed(run(8, 12), &asked);
    ASSERT_EQ(asked.size(), 6u);
    EXPECT_GT(asked[2].params["dies_at"], 4);  // a checkpoint lies before it
    EXPECT_LT(asked[2].params["dies_at"], 12);
    EXPECT_EQ(asked[4].params["dies_in_checkpoint"], 8);
    for (const std::size_t i : {3u, 5u}) {
        EXPECT_EQ(asked[i].params["resume"], true);
        EXPECT_EQ(asked[i].params["run"], asked[i - 1].params["run"]);
        EXPECT_EQ(asked[i].params["seed"], asked[0].params["seed"]);
    }
    EXPECT_EQ(value_of(step, "resumed_loss_difference_max"), 0.0);
    EXPECT_EQ(value_of(step, "states_differing"), 0.0);
    EXPECT_EQ(value_of(step, "resumptions"), 2.0);
    EXPECT_EQ(value_of(step, "resumed_from_start"), 0.0);
    EXPECT_EQ(value_of(step, "checkpoint_save"), 0.5);
}

TEST(TrialResume, SeesWhatAResumedRunLost) {
    const Step shifted = with_resumed(run(8, 12, 1e-6, "other"));
    EXPECT_NEAR(value_of(shifted, "resumed_loss_difference_max"), 1e-6, 1e-12);
    EXPECT_EQ(value_of(shifted, "states_differing"), 2.0);
    EXPECT_EQ(value_of(with_resumed(run(0, 12)), "resumed_from_start"), 2.0);
    // Fewer losses than steps are no agreement.
    Json short_run = run(8, 13);
    EXPECT_EQ(value_of(with_resumed(short_run), "resumed_loss_difference_max"), 1.0);
}

TEST(TrialResume, OnADeviceThatIsNotRepeatableBitsProveNothing) {
    const Step step = with_resumed(run(8, 12), nullptr, 100.0, "other");
    EXPECT_TRUE(std::isnan(value_of(step, "states_differing")));
    EXPECT_EQ(value_of(step, "resumptions"), 2.0);
}

TEST(TrialResume, WithoutTimeOneResumptionIsAsked) {
    std::vector<Request> asked;
    const Step step = with_resumed(run(4, 8), &asked, 0.0);
    EXPECT_EQ(asked.size(), 4u);
    EXPECT_EQ(value_of(step, "resumptions"), 1.0);
}

TEST(TrialResume, ARunThatWouldNotDieTestsNothing) {
    const Step step = Driver("trial.resume", trial()).run([](const Request& request) {
        return result(run(0, request.params["steps"]));
    });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kHarnessError));
}

TEST(TrialResume, ARunThatDiesWhenItGoesOnIsTheDevicesFault) {
    const Step step = Driver("trial.resume", trial()).run([](const Request& request) {
        const bool resumes = request.params["resume"] == true;
        return is_to_die(request) || resumes ? died(request) : result(run(0, 12));
    });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kDeviceError));
}

}  // namespace
}  // namespace ascertain::checks
