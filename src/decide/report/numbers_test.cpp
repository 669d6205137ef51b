#include "decide/report/numbers.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace ascertain::report {
namespace {

TEST(Readable, ChoosesTheUnitThatReadsBest) {
    EXPECT_EQ(readable(0.0034, "s"), "3.4 ms");
    EXPECT_EQ(readable(2e-6, "s"), "2 µs");
    EXPECT_EQ(readable(-2e-6, "s"), "-2 µs");
    EXPECT_EQ(readable(0.0, "s"), "0 s");
    EXPECT_EQ(readable(51e9, "B"), "51 GB");
    EXPECT_EQ(readable(1234567.0, "count"), "1,234,567");
    EXPECT_EQ(readable(-1234.0, "count"), "-1,234");
    EXPECT_EQ(readable(0.02, "ratio"), "0.02");
    EXPECT_EQ(readable(1.05e-7, "ratio"), "1.05e-7");
    EXPECT_EQ(readable(28.7, "ulp"), "28.7 ulp");
    EXPECT_EQ(readable(1.1e7, "kWh"), "11 GWh");
}

TEST(Readable, NeverShowsANumberThatIsNone) {
    EXPECT_EQ(readable(std::nan(""), "s"), "not finite");
    EXPECT_EQ(readable(Metric{"m", std::nullopt, "s", 1, {}, {}, "no clock"}), "unknown: no clock");
    EXPECT_EQ(readable(Metric{"m", std::nullopt, "s", 1, {}, {}, ""}), "unknown: no reason given");
}

TEST(Readable, ShowsTheInterval) {
    EXPECT_EQ(readable(Metric{"m", 3.0, "s", 9, 2.5, 3.5, ""}), "3 s (2.5 s to 3.5 s)");
}

TEST(Limits, ReadWhatIsWellFormedAndNothingElse) {
    const Json bound = Json::array({{{"metric", "a"}, {"at_most", 2}},
                                    "noise",
                                    nullptr,
                                    {{"at_most", 1}},
                                    {{"metric", "b"}, {"at_least", 1.5}, {"at_most", 3.0}}});
    const auto limits = limits_of(bound);
    ASSERT_EQ(limits.size(), 2u);
    EXPECT_EQ(readable(limits[0], ""), "≤ 2");
    EXPECT_EQ(readable(limits[1], "s"), "≤ 3 s and ≥ 1.5 s");
    EXPECT_TRUE(limits_of(Json("text")).empty());
}

TEST(ShareOfLimit, IsOneExactlyOnTheBound) {
    EXPECT_EQ(share_of_limit(3.0, {"m", 3.0, {}, {}}), 1.0);
    EXPECT_EQ(share_of_limit(6.0, {"m", 3.0, {}, {}}), 2.0);
    EXPECT_EQ(share_of_limit(5.0, {"m", {}, 10.0, {}}), 2.0);  // half of what is needed: twice over
    EXPECT_EQ(share_of_limit(5.0, {"m", {}, {}, 5.0}), std::nullopt);
    EXPECT_EQ(share_of_limit(5.0, {"m", 0.0, {}, {}}), std::nullopt);
}

TEST(Times, ReadAsPeopleWriteThem) {
    EXPECT_EQ(minute_of("2026-11-25T02:15:29.123Z"), "2026-11-25 02:15 UTC");
    EXPECT_EQ(minute_of("yesterday"), "yesterday");
    EXPECT_EQ(date_of("2026-11-25T02:15:29Z"), "2026-11-25");
}

}  // namespace
}  // namespace ascertain::report
