#include "base/units.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ascertain {
namespace {

using testing::HasSubstr;

TEST(Units, CrossRulesAreThoseOfPhysics) {
    EXPECT_DOUBLE_EQ((Bytes{1e9} / BytesPerSecond{1e8}).count, 10.0);
    EXPECT_DOUBLE_EQ((Flops{3e12} / FlopsPerSecond{1e12}).count, 3.0);
    EXPECT_DOUBLE_EQ((Watts{400} * Seconds{3600}).count, 1'440'000.0);
}

TEST(Units, DurationsNeedAUnit) {
    EXPECT_DOUBLE_EQ(parse_duration("90 d")->count, 90 * 86400.0);
    EXPECT_DOUBLE_EQ(parse_duration("24h")->count, 86400.0);
    EXPECT_DOUBLE_EQ(parse_duration("10m")->count, 600.0);
    EXPECT_DOUBLE_EQ(parse_duration("250 ms")->count, 0.25);
    EXPECT_THAT(parse_duration("90").error().message, HasSubstr("the unit is missing"));
    EXPECT_THAT(parse_duration("90 fortnights").error().message,
                HasSubstr("unknown unit \"fortnights\""));
    EXPECT_THAT(parse_duration("-3 s").error().message, HasSubstr("negative"));
    EXPECT_THAT(parse_duration("nan s").error().message, HasSubstr("not finite"));
    EXPECT_THAT(parse_duration("").error().message, HasSubstr("does not start with a number"));
}

TEST(Units, BitsAndBytesAreKeptApart) {
    EXPECT_DOUBLE_EQ(parse_rate("200 Gbit/s")->count, 25e9);
    EXPECT_DOUBLE_EQ(parse_rate("25 GB/s")->count, 25e9);
    EXPECT_DOUBLE_EQ(parse_size("64 GiB")->count, 64.0 * 1073741824.0);
    EXPECT_DOUBLE_EQ(parse_size("64 GB")->count, 64e9);
}

TEST(Units, MoneyHasItsPrefix) {
    EXPECT_DOUBLE_EQ(parse_money("60 MUSD")->count, 60e6);
}

TEST(Units, PeopleReadThreeDigits) {
    EXPECT_EQ(format_duration({0.00321}), "3.21 ms");
    EXPECT_EQ(format_duration({250}), "4 min 10 s");
    EXPECT_EQ(format_duration({81 * 86400.0}), "81 d");
    EXPECT_EQ(format_size({64e9}), "64 GB");
}

}  // namespace
}  // namespace ascertain
