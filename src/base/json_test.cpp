#include "base/json.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

namespace ascertain {
namespace {

using testing::HasSubstr;

TEST(ParseJson, ReadsOneDocumentInItsOrder) {
    const auto document = parse_json(R"({"b": [1, 2.5, null], "a": "text"})", "x.json");
    ASSERT_TRUE(document.ok());
    EXPECT_EQ(document->begin().key(), "b");
    EXPECT_DOUBLE_EQ((*document)["b"][1].get<double>(), 2.5);
}

TEST(ParseJson, RefusesWhatALenientReaderLetsThrough) {
    EXPECT_THAT(parse_json(R"({"a": 1, "a": 2})", "x.json").error().message,
                HasSubstr("\"a\" appears twice"));
    EXPECT_THAT(parse_json(std::string(100, '[') + std::string(100, ']'), "x").error().message,
                HasSubstr("deeper than 64"));
    EXPECT_FALSE(parse_json("", "x").ok());
    EXPECT_FALSE(parse_json("{} {}", "x").ok());
    EXPECT_FALSE(parse_json("{\"a\": NaN}", "x").ok());
    EXPECT_FALSE(parse_json("{\"a\": 1e999}", "x").ok());
    EXPECT_FALSE(parse_json("\"\xff\"", "x").ok());
}

TEST(ParseJson, NamesTheLineAndColumnOfTheFault) {
    const auto bad = parse_json("{\n  \"a\": ,\n}", "config.json");
    ASSERT_FALSE(bad.ok());
    EXPECT_EQ(bad.error().where, "config.json:2:8");
}

TEST(ParseJson, RefusesTextsBeyondTheLimitBeforeReadingThem) {
    const auto bad = parse_json("[1,2,3]", "x", {.size_bytes_max = 4, .depth_max = 8});
    EXPECT_THAT(bad.error().message, HasSubstr("more than the 4 bytes allowed"));
}

TEST(Fields, AreReadWithTheirTypeOrNamed) {
    const Json object{{"hidden_size", 7168}, {"tokens", 14.8e12}, {"ratio", 0.5}};
    EXPECT_EQ(*integer_at(object, "hidden_size", "c"), 7168);
    EXPECT_EQ(*integer_at(object, "tokens", "c"), 14'800'000'000'000);
    EXPECT_THAT(integer_at(object, "ratio", "c").error().message, HasSubstr("must be an integer"));
    EXPECT_THAT(integer_at(object, "hidden_sise", "c").error().message,
                HasSubstr("did you mean \"hidden_size\""));
}

TEST(FiniteOrNull, NeverLetsNanIntoADocument) {
    EXPECT_TRUE(finite_or_null(std::numeric_limits<double>::quiet_NaN()).is_null());
    EXPECT_EQ(finite_or_null(2.0).get<double>(), 2.0);
}

}  // namespace
}  // namespace ascertain
