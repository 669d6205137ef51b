#include "decide/evidence/records.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ascertain::evidence {
namespace {

using testing::HasSubstr;

Attempt sample_attempt() {
    Attempt attempt;
    attempt.check = "ops.numerics.mm";
    attempt.device = "npu:0";
    attempt.role = Role::kControlClean;
    attempt.number = 2;
    attempt.seed = (1ULL << 53) - 1;
    attempt.outcome = Outcome::kDeviceError;
    attempt.message = "aclnnMatmul: 561103";
    attempt.observation = {{"error_ratio", 1.25, "ratio", 3, 1.0, 1.5, ""},
                           {"elements", std::nullopt, "count", 1, {}, {}, "nothing was compared"}};
    attempt.detail = Json{{"points", {1, 2, 3}}};
    attempt.reproduce = "ascertain ops --case abc --seed 7";
    attempt.started_utc = "2026-11-25T02:15:29.000Z";
    attempt.duration_s = 0.1;
    attempt.blobs = {"ab"};
    return attempt;
}

TEST(Records, AnAttemptComesBackAsItWas) {
    const Attempt attempt = sample_attempt();
    const auto back = attempt_from_json(to_json(attempt), "r000001");
    ASSERT_TRUE(back.ok()) << back.error().text();
    EXPECT_EQ(to_json(*back).dump(), to_json(attempt).dump());
    EXPECT_EQ(back->seed, attempt.seed);
    EXPECT_EQ(back->role, Role::kControlClean);
}

TEST(Records, EveryRoleAndOutcomeHasANameThatReadsBack) {
    Attempt attempt = sample_attempt();
    for (const auto role : {Role::kMeasure, Role::kConfirm, Role::kControl, Role::kControlClean}) {
        attempt.role = role;
        EXPECT_EQ(attempt_from_json(to_json(attempt), "r")->role, role) << name_of(role);
    }
    for (const auto outcome : {Outcome::kCompleted, Outcome::kUnsupported, Outcome::kNoReference,
                               Outcome::kDeviceError, Outcome::kTimedOut, Outcome::kCrashed,
                               Outcome::kDeviceLost, Outcome::kSkipped, Outcome::kHarnessError}) {
        attempt.outcome = outcome;
        EXPECT_EQ(attempt_from_json(to_json(attempt), "r")->outcome, outcome) << name_of(outcome);
    }
}

TEST(Records, TheOtherBodiesComeBackAsTheyWere) {
    const SessionContext context{"0.1.0",
                                 "abc",
                                 {"ascertain", "qualify"},
                                 "node1",
                                 "Linux",
                                 "2026",
                                 Json{{"text_hash", "x"}},
                                 Json::array({Json{{"device", "cpu"}}}),
                                 Json{{"torch", "2.13"}}};
    EXPECT_EQ(to_json(*context_from_json(to_json(context), "r")), to_json(context));
    const RequiredSet required{
        "quick",         "device", 7, {{"a", "cpu", "compute", "f", true, false, true, 2.5}},
        {"b: filtered"}, "serve"};
    EXPECT_EQ(to_json(*required_from_json(to_json(required), "r")), to_json(required));
    const Prediction prediction{"p",   "speed.mm",
                                "cpu", "seconds_median",
                                1,     0.5,
                                2,     "s",
                                true,  Json::array({Json{{"name", "peak"}}})};
    EXPECT_EQ(to_json(*prediction_from_json(to_json(prediction), "r")), to_json(prediction));
    const SessionEnd end{true, "done", 12.5};
    EXPECT_EQ(to_json(*session_end_from_json(to_json(end), "r")), to_json(end));
}

TEST(Records, AnyMissingFieldIsNamedWithItsRecord) {
    const Json whole = to_json(sample_attempt());
    for (const auto& field : whole.items()) {
        Json part = whole;
        part.erase(field.key());
        const auto read = attempt_from_json(part, "r000009");
        ASSERT_FALSE(read.ok()) << field.key();
        EXPECT_EQ(read.error().code, ErrorCode::kEvidence);
        EXPECT_EQ(read.error().where, "r000009");
        EXPECT_THAT(read.error().message, HasSubstr(field.key()));
    }
}

TEST(Records, AnyMistypedFieldIsNamed) {
    const Json whole = to_json(sample_attempt());
    for (const auto& field : whole.items()) {
        Json wrong = whole;
        wrong[field.key()] = nullptr;
        EXPECT_FALSE(attempt_from_json(wrong, "r").ok()) << field.key();
    }
    Json unknown = whole;
    unknown["outcome"] = "passed";
    EXPECT_THAT(attempt_from_json(unknown, "r").error().message, HasSubstr("none of its values"));
    Json negative = whole;
    negative["seed"] = -1;
    EXPECT_FALSE(attempt_from_json(negative, "r").ok());
}

}  // namespace
}  // namespace ascertain::evidence
