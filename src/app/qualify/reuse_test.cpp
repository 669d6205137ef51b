#include "app/qualify/reuse.hpp"

#include <gmock/gmock.h>

namespace ascertain::app {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::IsEmpty;

Json described(const std::string& device, const std::string& driver) {
    return {{"device", device}, {"name", "Ascend910B2"}, {"driver", driver}};
}

evidence::Record record(std::uint64_t sequence, const std::string& kind, Json body) {
    evidence::Record made;
    made.sequence = sequence;
    made.kind = kind;
    made.body = std::move(body);
    return made;
}

Json attempt(const std::string& check, const std::string& device, evidence::Outcome outcome,
             evidence::Role role = evidence::Role::kMeasure) {
    evidence::Attempt made;
    made.check = check;
    made.device = device;
    made.role = role;
    made.outcome = outcome;
    made.started_utc = "2026-11-24T00:00:00Z";
    return evidence::to_json(made);
}

LowerRung lower_rung() {
    LowerRung lower;
    lower.directory = "device";
    lower.head = std::string(64, 'a');
    lower.rung = "device";
    lower.profile = "standard";
    lower.context.host = "gpu7";
    lower.context.campaign = {{"precision", "bf16"}};
    lower.context.software = {{"torch", "2.13.0"}, {"criteria", "old"}};
    lower.context.devices = Json::array({described("npu:0", "24.1")});
    lower.config_text = "{}";
    evidence::Prediction foretold;
    foretold.id = "speed.gemm.npu:0.x";
    foretold.check = "speed.gemm";
    foretold.device = "npu:0";
    foretold.metric = "seconds";
    foretold.value = foretold.low = foretold.high = 1.0;
    foretold.unit = "s";
    lower.records = {
        record(1, "prediction", evidence::to_json(foretold)),
        record(2, "attempt", attempt("speed.gemm", "npu:0", evidence::Outcome::kCompleted)),
        record(3, "attempt", attempt("ops.numerics.mm", "npu:0", evidence::Outcome::kCompleted)),
        record(4, "attempt",
               attempt("ops.numerics.mm", "npu:0", evidence::Outcome::kCompleted,
                       evidence::Role::kControl)),
        record(5, "attempt", attempt("ops.repeat.mm", "npu:0", evidence::Outcome::kTimedOut)),
        record(6, "attempt", attempt("trial.forced", "npu:0", evidence::Outcome::kSkipped))};
    return lower;
}

// The same device, which the new run reaches through an agent.
RunIdentity same_run() {
    RunIdentity now;
    now.profile = "standard";
    now.campaign = {{"precision", "bf16"}};
    now.config_text = "{}";
    now.software = {{"torch", "2.13.0"}, {"criteria", "new"}};
    now.host = "head";
    Json device = described("node1/npu:0", "24.1");
    device["node"] = "node1";
    device["host"] = "gpu7";
    now.devices = Json::array({device});
    return now;
}

qualification::Plan plan_for(const std::string& device) {
    qualification::Plan plan;
    for (const char* id : {"speed.gemm", "ops.numerics.mm", "ops.repeat.mm", "trial.forced"}) {
        qualification::Item item;
        item.id = id;
        item.device = device;
        plan.items.push_back(item);
    }
    return plan;
}

TEST(Reuse, AnswersOfTheSameDeviceAreTakenOverUnderItsNewNameAndCited) {
    const auto taken = reuse(lower_rung(), same_run(), plan_for("node1/npu:0"));
    EXPECT_THAT(taken.repeated, IsEmpty());
    EXPECT_EQ(taken.checks, 2u);
    // The prediction stays before what it foretold.
    ASSERT_EQ(taken.records.size(), 4u);
    EXPECT_EQ(taken.records[0].first, "prediction");
    EXPECT_EQ(taken.records[0].second["device"], "node1/npu:0");
    EXPECT_EQ(taken.records[1].second["check"], "speed.gemm");
    EXPECT_EQ(taken.records[2].second["device"], "node1/npu:0");
    EXPECT_EQ(taken.records[2].second["detail"]["reused"]["record"], "r000003");
    EXPECT_EQ(taken.records[2].second["detail"]["reused"]["evidence_head"], std::string(64, 'a'));
    EXPECT_EQ(taken.attempts.size(), 3u) << "with the control";
}

TEST(Reuse, WhatWasSkippedOrBrokeIsAskedAgain) {
    for (const auto& one : reuse(lower_rung(), same_run(), plan_for("node1/npu:0")).attempts) {
        EXPECT_NE(one.check, "ops.repeat.mm");
        EXPECT_NE(one.check, "trial.forced");
    }
}

TEST(Reuse, WhatIsNotPlannedIsNotTakenOver) {
    auto plan = plan_for("node1/npu:0");
    plan.items.resize(1);
    EXPECT_EQ(reuse(lower_rung(), same_run(), plan).checks, 1u);
}

TEST(Reuse, OtherSoftwareMeansRepeatingEverything) {
    auto now = same_run();
    now.software["torch"] = "2.14.0";
    const auto taken = reuse(lower_rung(), now, plan_for("node1/npu:0"));
    EXPECT_THAT(taken.records, IsEmpty());
    EXPECT_THAT(taken.repeated, Contains(HasSubstr("torch was \"2.13.0\" and is \"2.14.0\"")));
    now = same_run();
    now.software["hccl"] = "8.0";
    EXPECT_THAT(reuse(lower_rung(), now, plan_for("node1/npu:0")).repeated,
                Contains(HasSubstr("hccl")));
}

TEST(Reuse, AnotherQuestionMeansRepeatingEverything) {
    const auto why = [](const RunIdentity& now) {
        const auto taken = reuse(lower_rung(), now, plan_for("node1/npu:0"));
        EXPECT_EQ(taken.checks, 0u);
        return taken.repeated.empty() ? std::string() : taken.repeated.front();
    };
    auto now = same_run();
    now.profile = "full";
    EXPECT_THAT(why(now), HasSubstr("profile was standard and is full"));
    now = same_run();
    now.config_text = "{ }";
    EXPECT_THAT(why(now), HasSubstr("model's config"));
    now = same_run();
    now.campaign["precision"] = "fp16";
    EXPECT_THAT(why(now), HasSubstr("precision"));
}

TEST(Reuse, AnotherDeviceIsMeasured) {
    const auto why = [](const RunIdentity& now) {
        const auto taken = reuse(lower_rung(), now, plan_for("node1/npu:0"));
        EXPECT_EQ(taken.checks, 0u);
        return taken.repeated.empty() ? std::string() : taken.repeated.front();
    };
    auto now = same_run();
    now.devices[0]["host"] = "gpu8";  // the same name on another machine
    EXPECT_THAT(why(now), HasSubstr("not under test then"));
    now = same_run();
    now.devices[0]["driver"] = "25.0";
    EXPECT_THAT(why(now), HasSubstr("driver was \"24.1\" and is \"25.0\""));
}

TEST(Reuse, WhatWasItselfReusedIsCitedWhereItWasMeasured) {
    auto lower = lower_rung();
    lower.records[2].body["detail"]["reused"] = {{"evidence_head", std::string(64, 'b')},
                                                 {"record", "r000099"}};
    const auto taken = reuse(lower, same_run(), plan_for("node1/npu:0"));
    EXPECT_EQ(taken.records[2].second["detail"]["reused"]["record"], "r000099");
}

}  // namespace
}  // namespace ascertain::app
