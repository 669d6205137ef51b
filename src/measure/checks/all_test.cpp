#include <gmock/gmock.h>

#include <set>
#include <string>

#include "measure/checks/answers.hpp"
#include "measure/checks/check.hpp"

namespace ascertain::checks {
namespace {

using ::testing::HasSubstr;

TEST(Table, EveryRowIsWhole) {
    std::set<std::string_view> ids;
    for (const Definition& definition : all()) {
        EXPECT_TRUE(ids.insert(definition.id).second) << definition.id << " appears twice";
        EXPECT_THAT(std::string(definition.asks), ::testing::EndsWith("?")) << definition.id;
        EXPECT_FALSE(definition.family.empty()) << definition.id;
        EXPECT_GT(definition.cost.count, 0.0) << definition.id;
        EXPECT_NE(definition.step, nullptr) << definition.id;
        if (definition.tamper.empty()) continue;
        const auto tamper = parse_json(definition.tamper, definition.id);
        ASSERT_TRUE(tamper.ok()) << definition.id << ": " << tamper.error().text();
        EXPECT_TRUE(tamper->contains("kind")) << definition.id;
    }
}

TEST(Table, EveryRequiredCheckHasAControl) {
    // A required check that nothing ever made fail proves nothing (design, section 10).
    for (const Definition& definition : all()) {
        EXPECT_TRUE(!definition.required || !definition.tamper.empty()) << definition.id;
    }
}

TEST(Find, TakesAnIdWithItsSubject) {
    ASSERT_NE(find("ops.numerics.mm"), nullptr);
    EXPECT_EQ(find("ops.numerics.mm")->id, "ops.numerics");
    EXPECT_EQ(find("ops.numerics")->id, "ops.numerics");
    // "trial.forced" is a prefix of "trial.forced_fp32", but not up to a dot.
    EXPECT_EQ(find("trial.forced_fp32")->id, "trial.forced_fp32");
    EXPECT_EQ(find("ops.numericsmm"), nullptr);
    EXPECT_EQ(find("ops"), nullptr);
    EXPECT_EQ(find(""), nullptr);
}

TEST(GiveUpOf, BlamesTheDeviceOnlyForWhatTheDeviceSaid) {
    const auto reason = [](const char* kind) {
        Answer answer;
        answer.kind = AnswerKind::kError;
        answer.error_kind = kind;
        return give_up(answer).reason;
    };
    EXPECT_EQ(reason("unsupported"), GiveUp::Reason::kUnsupported);
    EXPECT_EQ(reason("out_of_memory"), GiveUp::Reason::kOutOfMemory);
    EXPECT_EQ(reason("device_error"), GiveUp::Reason::kDeviceError);
    EXPECT_EQ(reason("no_reference"), GiveUp::Reason::kNoReference);
    EXPECT_EQ(reason("invalid_request"), GiveUp::Reason::kHarnessError);
    EXPECT_EQ(reason("internal"), GiveUp::Reason::kHarnessError);
    EXPECT_EQ(reason("something_new"), GiveUp::Reason::kHarnessError);
}

// No check may take nothing, or nonsense, for an answer.
TEST(EveryCheck, CallsABrokenAnswerAHarnessError) {
    for (const Definition& definition : all()) {
        for (const Json& params : {Json(), Json::array(), Json::object()}) {
            const Subject subject{.name = "mm", .params = params};
            const std::vector<DeviceInfo> devices{{"cpu", Json::object()}};
            const Context context{
                .subject = subject, .devices = devices, .seed = 1, .budget = {1.0}};
            const Step step = definition.step(context, Json(), {});
            const auto* reason = std::get_if<GiveUp>(&step);
            ASSERT_NE(reason, nullptr) << definition.id << " with " << params;
            EXPECT_EQ(reason->reason, GiveUp::Reason::kHarnessError) << definition.id;
            EXPECT_THAT(reason->message, ::testing::Not(::testing::IsEmpty()));
        }
    }
}

TEST(ObservationOf, RefusesWhatHasNoValueAndNoReason) {
    Answer answer;
    const std::vector<std::string_view> needed{"x"};
    answer.result = {{"observation", Json::array()}};
    EXPECT_THAT(std::get<GiveUp>(observation_of(answer, needed)).message, HasSubstr("metric x"));
    answer.result = Json::object();
    EXPECT_THAT(std::get<GiveUp>(observation_of(answer, needed)).message,
                HasSubstr("no observation"));
    answer.result = {{"observation", "good"}};
    EXPECT_TRUE(std::holds_alternative<GiveUp>(observation_of(answer, {})));
}

}  // namespace
}  // namespace ascertain::checks
