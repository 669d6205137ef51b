// The batteries on this machine's CPU, which is healthy, and on a CPU that answers wrongly.
#include "worker/operators/battery/batteries.hpp"

#include <ATen/Parallel.h>
#include <gmock/gmock.h>

#include <string>

#include "base/observation.hpp"

namespace ascertain::operators {
namespace {

Result<Json> ask(std::string_view battery, Json more = Json::object()) {
    worker::Session session;
    Json params = {{"battery", battery}, {"seed", 5}, {"size", "quick"}, {"dtype", "bf16"}};
    params.update(more);
    return numerics(session, params);
}

double value(const Json& result, const char* name) {
    const Observation observation = *observation_from_json(result["observation"], "result");
    const Metric* metric = find_metric(observation, name);
    return metric != nullptr && metric->value ? *metric->value : 0.0;
}

// The bounds of data/criteria/batteries.toml.
bool passes(const Json& result) {
    return value(result, "mismatches") == 0.0 && value(result, "bound_ratio") <= 1.0 &&
           value(result, "z_max") <= 5.3 && value(result, "raised") == 0.0 &&
           value(result, "questions") >= 1.0;
}

// On one thread: threads that share their cores with another test wait for each other, and the
// battery of times would measure the machine.
class EveryBattery : public ::testing::TestWithParam<std::string_view> {
protected:
    void SetUp() override {
        if (GetParam() == "timing") at::set_num_threads(1);
    }
    void TearDown() override { at::set_num_threads(threads_); }

private:
    int threads_ = at::get_num_threads();
};

TEST_P(EveryBattery, FindsNothingOnAHealthyCpu) {
    const Result<Json> result = ask(GetParam());
    ASSERT_TRUE(result.ok()) << result.error().text();
    EXPECT_TRUE(passes(*result)) << (*result)["failures"].dump(1);
    // What this torch offers on the CPU is asked.
    EXPECT_THAT((*result)["not_offered"], ::testing::SizeIs(::testing::Le(4u)))
        << (*result)["not_offered"].dump(1);
}

// The hidden controls: each battery's smallest form sees the corruption that its check plants.
TEST_P(EveryBattery, SeesItsControl) {
    // As in src/measure/checks/all.cpp.
    Json tamper = {{"kind", "scale"}, {"amount", 0.01}};
    if (GetParam() == "attention" || GetParam() == "gradients") tamper["amount"] = 0.05;
    if (GetParam() == "accumulator") tamper["amount"] = -0.5;
    if (GetParam() == "timing") tamper = {{"kind", "slow"}, {"seconds", 1.0}};
    const Result<Json> result = ask(GetParam(), {{"size", "least"}, {"tamper", tamper}});
    ASSERT_TRUE(result.ok()) << result.error().text();
    EXPECT_FALSE(passes(*result));
    EXPECT_TRUE((*result)["tampered"]);
    const Result<Json> clean = ask(GetParam(), {{"size", "least"}});
    ASSERT_TRUE(clean.ok());
    EXPECT_TRUE(passes(*clean)) << (*clean)["failures"].dump(1);
}

// Two processes, or two devices, can compare what they computed by one number.
TEST_P(EveryBattery, GivesTheSameBitsAgain) {
    const Result<Json> first = ask(GetParam(), {{"size", "least"}});
    const Result<Json> second = ask(GetParam(), {{"size", "least"}});
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ((*first)["output_hash"], (*second)["output_hash"]);
}

std::vector<std::string_view> names() {
    std::vector<std::string_view> result;
    for (const battery::Battery& one : battery::batteries()) result.push_back(one.name);
    return result;
}

INSTANTIATE_TEST_SUITE_P(All, EveryBattery, ::testing::ValuesIn(names()),
                         [](const auto& one) { return std::string(one.param); });

TEST(Numerics, AsksOneQuestionByItsName) {
    const Result<Json> result = ask("shapes", {{"question", "softmax bf16 17x33x15"}});
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(value(*result, "questions"), 1.0);
    EXPECT_EQ(value(*result, "elements"), 17.0 * 33.0);
}

TEST(Numerics, AQuestionsInputsDoNotDependOnTheOthers) {
    const Json tamper = {{"kind", "element"}, {"amount", 0.5}};
    const auto failure_of = [&](Json more) {
        more["tamper"] = tamper;
        const Result<Json> result = ask("shapes", more);
        for (const Json& one : (*result)["failures"]) {
            if (one["question"] == "mm bf16 17x33x15") return one;
        }
        return Json();
    };
    const Json alone = failure_of({{"question", "mm bf16 17x33x15"}});
    EXPECT_FALSE(alone.is_null());
    EXPECT_EQ(alone, failure_of(Json::object()));
}

TEST(Numerics, RefusesWhatItDoesNotKnow) {
    const auto message = [](const Json& params) {
        worker::Session session;
        const Result<Json> result = numerics(session, params);
        return result ? std::string() : result.error().text();
    };
    EXPECT_THAT(message({{"battery", "shape"}, {"seed", 1}, {"size", "quick"}, {"dtype", "bf16"}}),
                ::testing::HasSubstr("shapes"));
    EXPECT_THAT(message({{"battery", "shapes"}, {"seed", 1}, {"size", "huge"}, {"dtype", "bf16"}}),
                ::testing::HasSubstr("size"));
    EXPECT_THAT(
        message({{"battery", "shapes"}, {"seed", 1}, {"size", "quick"}, {"dtype", "int64"}}),
        ::testing::HasSubstr("floating"));
    EXPECT_NE(message(Json::object()), "");
}

}  // namespace
}  // namespace ascertain::operators
