#include "measure/qualification/survey.hpp"

#include <gmock/gmock.h>

#include "measure/qualification/testing.hpp"

namespace ascertain::qualification {
namespace {

using testing::captured;
using ::testing::HasSubstr;
using testing::operator_case;

TEST(Survey, OperatorsBecomeSubjectsBiggestShareFirst) {
    const auto survey = read_survey({{"seed", 1}}, captured());
    ASSERT_TRUE(survey.ok()) << survey.error().text();
    ASSERT_EQ(survey->subjects.size(), 2u);  // the view computes nothing
    EXPECT_EQ(survey->subjects[0].name, "mm");
    EXPECT_EQ(survey->subjects[0].family, "gemm");
    EXPECT_EQ(survey->subjects[0].cases[0]["id"], "a");  // more elements than b
    EXPECT_EQ(survey->subjects[1].name, "add");
    EXPECT_EQ(survey->step.count, 0.5);
    EXPECT_EQ(survey->operators.size(), 3u);
}

TEST(Survey, EveryKindOfCaseComesBeforeASecondOfAny) {
    Json answer = captured();
    Json backward = operator_case("d", "aten::mm", {{2, 2}, {2, 2}});
    backward["phase"] = "backward";
    answer["cases"].push_back(backward);
    answer["operators"][0]["case_ids"].push_back("d");
    const auto survey = read_survey({}, answer);
    ASSERT_TRUE(survey.ok());
    std::vector<std::string> order;
    for (const Json& one : survey->subjects[0].cases) order.push_back(one["id"]);
    // d is the smallest, but the only backward one.
    EXPECT_EQ(order, (std::vector<std::string>{"a", "d", "b"}));
}

TEST(Survey, AnOperatorWithoutACaseKeepsItsReason) {
    Json answer = captured();
    answer["operators"].push_back({{"name", "aten::bernoulli_"},
                                   {"phase", "forward"},
                                   {"count", 1},
                                   {"without_case_reason", "random by design"}});
    const auto survey = read_survey({}, answer);
    ASSERT_TRUE(survey.ok());
    EXPECT_EQ(survey->subjects.back().name, "bernoulli_");
    EXPECT_EQ(survey->subjects.back().without_case, "random by design");
}

TEST(Survey, RefusesAnAnswerThatHidesSomething) {
    const auto message = [](const Json& answer) {
        const auto survey = read_survey({}, answer);
        return survey.ok() ? std::string("read") : survey.error().message;
    };
    Json nothing = captured();
    nothing["operators"] = Json::array();
    EXPECT_THAT(message(nothing), HasSubstr("no operator that computes"));
    Json dropped = captured();
    dropped["operators"][1]["case_ids"] = Json::array();
    EXPECT_THAT(message(dropped), HasSubstr("add has neither a case nor a reason"));
    Json lost = captured();
    lost["operators"][1]["case_ids"] = {"z"};
    EXPECT_THAT(message(lost), HasSubstr("add has no case z"));
    Json nameless = captured();
    nameless["operators"][0].erase("name");
    EXPECT_THAT(message(nameless), HasSubstr("name"));
    EXPECT_THAT(message(Json::object()), HasSubstr("no cases"));
}

TEST(OperatorFamily, SortsByWhatAnOperatorDoes) {
    EXPECT_EQ(operator_family("mm"), "gemm");
    EXPECT_EQ(operator_family("_grouped_mm"), "gemm");
    EXPECT_EQ(operator_family("_scaled_dot_product_flash_attention_for_cpu_backward"), "attention");
    EXPECT_EQ(operator_family("_fused_adamw_"), "optimizer");
    EXPECT_EQ(operator_family("_fused_rms_norm"), "norm");
    EXPECT_EQ(operator_family("embedding_dense_backward"), "index");
    EXPECT_EQ(operator_family("_log_softmax"), "loss");
    EXPECT_EQ(operator_family("silu"), "elementwise");
    EXPECT_EQ(operator_family("native_dropout"), "random");
}

}  // namespace
}  // namespace ascertain::qualification
