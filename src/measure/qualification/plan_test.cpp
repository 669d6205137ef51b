#include "measure/qualification/plan.hpp"

#include <gmock/gmock.h>

#include <set>

#include "measure/qualification/testing.hpp"

namespace ascertain::qualification {
namespace {

using testing::captured;
using ::testing::Contains;
using ::testing::HasSubstr;
using testing::operator_case;

Survey survey() {
    return *read_survey({{"seed", 1}}, captured());
}
TrialQuestion trial() {
    return {.dtype = "bf16",
            .architecture = {{"name", "tiny"}},
            .serve = {.weights = {{"folder", "f"}}, .length_max = 64, .dtype = "bf16"}};
}
PlanQuestion quick() {
    return {.devices = {"cpu"}};
}

const Item* find_item(const Plan& plan, std::string_view id, std::string_view device = "cpu") {
    for (const Item& item : plan.items) {
        if (item.id == id && item.device == device) return &item;
    }
    return nullptr;
}

// However little a check costs, the least that can fail is for controls only.
TEST(Plan, GivesEveryCheckABudget) {
    const auto plan = make_plan(survey(), trial(), quick());
    ASSERT_TRUE(plan.ok());
    for (const Item& item : plan->items) {
        if (!item.skip_category.empty()) continue;
        EXPECT_GT(item.budget.count, 0.0) << item.id;
    }
}

TEST(Plan, AsksEveryCheckOfEveryDeviceInOrder) {
    PlanQuestion question = quick();
    question.devices = {"cpu", "npu:0"};
    const auto plan = make_plan(survey(), trial(), question);
    ASSERT_TRUE(plan.ok()) << plan.error().text();
    for (const std::string& device : question.devices) {
        for (const checks::Definition& definition : checks::all()) {
            const bool of_others = definition.together || definition.about_module ||
                                   definition.servers == checks::Servers::kAlone;
            if (of_others || definition.profile_min > question.profile) continue;
            const std::string id(definition.id);
            const bool operators = definition.subjects == checks::Subjects::kOperators;
            EXPECT_NE(find_item(*plan, operators ? id + ".mm" : id, device), nullptr) << id;
            const std::string other = operators ? id + ".add" : id;
            EXPECT_NE(find_item(*plan, other, device), nullptr) << other;
        }
    }
    EXPECT_TRUE(plan->left_out.empty());
    EXPECT_GT(plan->estimate.count, 0.0);
}

TEST(Plan, WhatIsAskedTogetherIsPlannedOnceForTheGroup) {
    PlanQuestion question = quick();
    question.devices = {"npu:0", "npu:1"};
    question.ranks = question.devices;
    TrialQuestion asked = trial();
    asked.together.soak_parts = 3;
    const auto plan = make_plan(survey(), asked, question);
    ASSERT_TRUE(plan.ok()) << plan.error().text();
    EXPECT_NE(find_item(*plan, "links.data", "npu:0,npu:1"), nullptr);
    EXPECT_EQ(find_item(*plan, "links.data", "npu:0"), nullptr);
    for (const char* part : {"soak.model.1", "soak.model.2", "soak.model.3"}) {
        const Item* item = find_item(*plan, part, "npu:0,npu:1");
        ASSERT_NE(item, nullptr) << part;
        EXPECT_EQ(item->estimate, asked.together.soak);
    }
}

TEST(Plan, ADeviceAloneIsSoakedButHasNoLinks) {
    PlanQuestion question = quick();
    question.ranks = {"cpu"};
    const auto plan = make_plan(survey(), trial(), question);
    EXPECT_NE(find_item(*plan, "soak.model.1", "cpu"), nullptr);
    EXPECT_EQ(find_item(*plan, "links.data", "cpu"), nullptr);
}

TEST(Plan, APartThatAsksRanksHoldsNothingElse) {
    PlanQuestion question = quick();
    question.ranks = {"cpu", "cpu"};
    question.part = "links";
    const auto plan = make_plan(survey(), trial(), question);
    ASSERT_TRUE(plan.ok()) << plan.error().text();
    for (const Item& item : plan->items) EXPECT_TRUE(item.id.starts_with("links.")) << item.id;
    EXPECT_NE(find_item(*plan, "links.data", "cpu,cpu"), nullptr);
}

TEST(Plan, AModuleIsAskedAboutOnlyWhereOneWasBrought) {
    EXPECT_EQ(find_item(*make_plan(survey(), trial(), quick()), "module.eager"), nullptr);
    PlanQuestion question = quick();
    question.given_cases = true;
    question.module = "block.py:build";
    const auto plan = make_plan(survey(), trial(), question);
    const Item* eager = find_item(*plan, "module.eager");
    ASSERT_NE(eager, nullptr);
    EXPECT_TRUE(eager->required);
    EXPECT_EQ(eager->subject->params, (Json{{"module", "block.py:build"}}));
    // A processor has no graphs of kernels: that is said, and asked of nobody.
    EXPECT_EQ(find_item(*plan, "module.graphed")->skip_category, "no_case");
    EXPECT_FALSE(find_item(*plan, "module.graphed")->required);
    EXPECT_NE(find_item(*plan, "ops.numerics.mm"), nullptr);
}

TEST(Plan, TheSameQuestionHasTheSamePlan) {
    const auto first = make_plan(survey(), trial(), quick());
    const auto second = make_plan(survey(), trial(), quick());
    ASSERT_EQ(first->items.size(), second->items.size());
    for (std::size_t i = 0; i < first->items.size(); ++i) {
        EXPECT_EQ(first->items[i].id, second->items[i].id);
        EXPECT_EQ(first->items[i].budget, second->items[i].budget);
    }
}

TEST(Plan, WhatIsFilteredStaysInThePlanAndIsListed) {
    PlanQuestion question = quick();
    question.only = {"@compute"};
    question.skip = {"ops.repeat"};
    const auto plan = make_plan(survey(), trial(), question);
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(find_item(*plan, "ops.numerics.mm")->skip_category, "");
    EXPECT_EQ(find_item(*plan, "ops.repeat.mm")->skip_category, "filtered");
    EXPECT_EQ(find_item(*plan, "trial.forced")->skip_category, "filtered");
    EXPECT_TRUE(find_item(*plan, "trial.forced")->required);
    EXPECT_THAT(plan->left_out, Contains("trial.forced on cpu: not selected with --only"));
    EXPECT_THAT(plan->left_out, Contains("ops.repeat.mm on cpu: left out with --skip"));
}

TEST(Plan, APartHoldsItsOwnQuestionAndNothingElse) {
    PlanQuestion question = quick();
    question.part = "@learn";
    question.skip = {"trial.free_run"};
    const auto plan = make_plan(survey(), trial(), question);
    ASSERT_TRUE(plan.ok());
    for (const Item& item : plan->items) {
        EXPECT_EQ(item.definition->question, checks::Question::kLearn) << item.id;
    }
    // What the user leaves out of the part stays required.
    EXPECT_TRUE(find_item(*plan, "trial.free_run")->required);
    EXPECT_EQ(plan->left_out.size(), 1u);
    question.skip.clear();
    question.only = {"ops.numerics"};
    EXPECT_EQ(make_plan(survey(), trial(), question).error().code, ErrorCode::kUsage);
    question.only.clear();
    question.part = "ops.repeat";
    EXPECT_EQ(make_plan(survey(), trial(), question)->items.front().id.rfind("ops.repeat", 0), 0u);
}

TEST(Plan, AServerIsAskedWhatItSaysOfTextAndNobodyElseIsAskedForOne) {
    TrialQuestion serving = trial();
    serving.serve.weights = {{"folder", "/somewhere"}};
    PlanQuestion question = quick();
    question.part = "@serve";
    question.devices = {"http://127.0.0.1:8000/v1"};
    std::vector<std::string> ids;
    const auto plan = make_plan(survey(), serving, question);
    ASSERT_TRUE(plan.ok()) << plan.error().text();
    for (const Item& item : plan->items) ids.push_back(item.id);
    EXPECT_EQ(ids, (std::vector<std::string>{"handoff.endpoint", "handoff.rollout"}));
    question.devices = {"npu:0"};
    EXPECT_EQ(find_item(*make_plan(survey(), serving, question), "handoff.endpoint"), nullptr);
}

TEST(Plan, AnUnknownNameIsAnError) {
    PlanQuestion question = quick();
    question.only = {"ops.numerics.nn"};
    const auto plan = make_plan(survey(), trial(), question);
    ASSERT_FALSE(plan.ok());
    EXPECT_EQ(plan.error().code, ErrorCode::kUsage);
    EXPECT_THAT(plan.error().message, HasSubstr("ops.numerics.mm"));
}

TEST(Plan, NothingLeftIsAnError) {
    PlanQuestion question = quick();
    question.only = {"ops.repeat"};
    question.skip = {"@compute"};
    const auto plan = make_plan(survey(), trial(), question);
    ASSERT_FALSE(plan.ok());
    EXPECT_THAT(plan.error().message, HasSubstr("nothing is left to ask"));
}

TEST(Plan, AnOperatorWithoutACaseIsPlannedAndSaysWhy) {
    Json answer = captured();
    answer["operators"].push_back({{"name", "aten::bernoulli_"},
                                   {"phase", "forward"},
                                   {"without_case_reason", "random by design"}});
    const auto plan = make_plan(*read_survey({}, answer), trial(), quick());
    const Item* item = find_item(*plan, "ops.numerics.bernoulli_");
    ASSERT_NE(item, nullptr);
    EXPECT_EQ(item->skip_category, "no_case");
    EXPECT_EQ(item->skip_reason, "random by design");
}

TEST(Plan, WithoutASurveyTheOperatorChecksStayInThePlan) {
    Survey empty;
    empty.operators = Json::array();
    const auto plan = make_plan(empty, trial(), quick());
    ASSERT_TRUE(plan.ok());
    for (const char* id : {"ops.numerics", "ops.repeat"}) {
        const Item* item = find_item(*plan, id);
        ASSERT_NE(item, nullptr) << id;
        EXPECT_EQ(item->skip_category, "no_case");
        EXPECT_TRUE(item->required);
    }
}

// Four hundred operators of ten GFLOPs or more each cannot fit into 50 s.
Survey too_much() {
    Json answer = captured();
    for (int i = 0; i < 400; ++i) {
        const std::string name =
            (i % 2 == 0 ? "vendor::bmm" : "vendor::attention") + std::to_string(i);
        const std::string id = "big" + std::to_string(i);
        answer["cases"].push_back(
            operator_case(id.c_str(), name.c_str(), {{4096, 4096}, {4096, 4096}}));
        answer["operators"].push_back({{"name", name},
                                       {"phase", "forward"},
                                       {"count", 1},
                                       {"share_of_step", 0.001},
                                       {"case_ids", {id}}});
    }
    return *read_survey({}, answer);
}

TEST(Plan, ABudgetThatIsTooSmallNeverCostsAFamilyOfOperators) {
    const Survey big = too_much();
    const auto plan = make_plan(big, trial(), quick());
    ASSERT_TRUE(plan.ok());
    std::set<std::string> asked;
    Seconds numerics;
    std::size_t sampled_out = 0;
    for (const Item& item : plan->items) {
        if (item.definition->id != "ops.numerics") continue;
        if (item.skip_category == "budget") ++sampled_out;
        if (!item.skip_category.empty()) continue;
        asked.insert(std::string(operator_family(item.subject->name)));
        numerics += item.estimate;
    }
    EXPECT_EQ(asked, (std::set<std::string>{"attention", "elementwise", "gemm"}));
    EXPECT_GT(sampled_out, 100u);
    EXPECT_LE(numerics.count,
              time_share(checks::Profile::kQuick, checks::Question::kCompute).count);
    // What was sampled out is named, and stays required.
    EXPECT_EQ(plan->left_out.size() >= sampled_out, true);
}

TEST(Plan, AnOperatorThatTakesMuchOfTheStepIsNeverSampledOut) {
    Survey big = too_much();
    // The last by importance of its family, yet 2 % of the step.
    big.subjects.back().share_of_step = 0.02;
    const std::string id = "ops.numerics." + big.subjects.back().name;
    const auto plan = make_plan(big, trial(), quick());
    ASSERT_TRUE(plan.ok());
    EXPECT_EQ(find_item(*plan, id)->skip_category, "");
    big.subjects.back().share_of_step = 0.0001;
    EXPECT_EQ(find_item(*make_plan(big, trial(), quick()), id)->skip_category, "budget");
}

TEST(Plan, TheFullProfileSamplesNothingOut) {
    PlanQuestion question = quick();
    question.profile = checks::Profile::kFull;
    const auto plan = make_plan(too_much(), trial(), question);
    ASSERT_TRUE(plan.ok());
    EXPECT_TRUE(plan->left_out.empty());
}

}  // namespace
}  // namespace ascertain::qualification
