#include <gtest/gtest.h>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;
using testing::error;
using testing::gave_up;
using testing::metric;
using testing::mm_case;
using testing::result;
using testing::value_of;

Json repeated(double runs, double distinct, double differing) {
    return {{"observation",
             {metric("repeats", runs), metric("distinct_outputs", distinct),
              metric("elements_differing_max", differing)}}};
}
Driver repeat() {
    return Driver("ops.repeat", {{"cases", {mm_case("a", 2, 3, 4), mm_case("b", 5, 6, 7)}}});
}

TEST(OpsRepeat, OneOutputPerCaseIsRepeatable) {
    const Step step = repeat().run([](const Request&) { return result(repeated(3, 1, 0)); });
    EXPECT_EQ(value_of(step, "distinct_outputs"), 1.0);
    EXPECT_EQ(value_of(step, "elements_differing_max"), 0.0);
    EXPECT_EQ(value_of(step, "repeats"), 6.0);
}

TEST(OpsRepeat, OneBadCaseIsEnough) {
    const Step step = repeat().run([](const Request& request) {
        const bool bad = request.params["case"]["id"] == "b";
        return result(bad ? repeated(3, 2, 17) : repeated(3, 1, 0));
    });
    EXPECT_EQ(value_of(step, "distinct_outputs"), 2.0);
    EXPECT_EQ(value_of(step, "elements_differing_max"), 17.0);
}

TEST(OpsRepeat, ADeclaredOrderIsJudgedByHowFarRunsLieApart) {
    const Step step = repeat().run([](const Request& request) {
        Json answer = repeated(3, 3, 17);
        const bool worse = request.params["case"]["id"] == "b";
        answer["observation"].push_back(metric("order_ratio", worse ? 0.5 : 0.25));
        return result(answer);
    });
    EXPECT_EQ(value_of(step, "order_ratio_max"), 0.5);
    const Step undeclared = repeat().run([](const Request&) { return result(repeated(3, 1, 0)); });
    const auto& seen = std::get<Done>(undeclared).observation;
    EXPECT_EQ(find_metric(seen, "order_ratio_max"), nullptr);
}

TEST(OpsRepeat, ASingleRunProvesNothing) {
    EXPECT_TRUE(gave_up(repeat().run([](const Request&) { return result(repeated(1, 1, 0)); }),
                        GiveUp::Reason::kHarnessError));
    EXPECT_TRUE(gave_up(repeat().run([](const Request&) { return result(repeated(3, 0, 0)); }),
                        GiveUp::Reason::kHarnessError));
}

TEST(OpsRepeat, AMissingMetricIsAHarnessError) {
    EXPECT_TRUE(gave_up(repeat().run([](const Request&) {
        return result({{"observation", {metric("repeats", 3)}}});
    }),
                        GiveUp::Reason::kHarnessError));
}

TEST(OpsRepeat, RandomOperatorsHaveNothingToCompare) {
    EXPECT_TRUE(gave_up(
        repeat().run([](const Request&) { return error("no_reference", "random by design"); }),
        GiveUp::Reason::kNoReference));
}

}  // namespace
}  // namespace ascertain::checks
