#include "base/observation.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace ascertain {
namespace {

TEST(Observation, SurvivesTheTripThroughJson) {
    const Observation before{
        {"error_ratio", 1.5, "ratio", 96, 1.2, 1.9, ""},
        {"peak_memory", std::nullopt, "B", 0, {}, {}, "the driver does not tell"}};
    const auto after = observation_from_json(to_json(before), "x");
    ASSERT_TRUE(after.ok());
    ASSERT_EQ(after->size(), 2u);
    EXPECT_EQ((*after)[0].value, 1.5);
    EXPECT_EQ((*after)[0].high, 1.9);
    EXPECT_FALSE((*after)[1].value.has_value());
    EXPECT_EQ((*after)[1].reason, "the driver does not tell");
}

TEST(Observation, NonFiniteValuesBecomeNullWithTheReason) {
    const Json document =
        to_json({{"loss", std::numeric_limits<double>::infinity(), "nat", 1, {}, {}, ""}});
    EXPECT_TRUE(document[0]["value"].is_null());
    EXPECT_EQ(document[0]["reason"], "not finite");
}

TEST(Observation, MissingValueWithoutReasonIsRefused) {
    EXPECT_FALSE(observation_from_json(
                     Json::array({Json{{"metric", "a"}, {"value", nullptr}, {"unit", "s"}}}), "x")
                     .ok());
}

}  // namespace
}  // namespace ascertain
