#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

using testing::HasSubstr;
using testing::Not;

Json projection() {
    return {{"timeline",
             {{"slice_days", 2.0},
              {"chosen_from", 33},
              {"states", Json::array({{{"name", "useful"}, {"ratio", {1.0, 0.5}}},
                                      {{"name", "restart"}, {"ratio", {0.0, 0.5}}}})}}},
            {"one_history", Json::array({{{"time_s", 172800.0}, {"moment", "failed"}},
                                         {{"time_s", 259200.0}, {"moment", "defect"}}})}};
}

TEST(Timeline, StacksTheStatesOfEachSliceAndSumsThemUp) {
    const std::string html = timeline_picture(projection());
    // 960 x 96: the first slice is all running, the second half running below half restarting.
    EXPECT_THAT(html, HasSubstr(R"(<path class="s-running" d="M0.0 0.00h480.00v96.00h-480.00z)"
                                R"(M480.0 48.00h480.00v48.00h-480.00z"/>)"));
    EXPECT_THAT(html,
                HasSubstr(R"(<path class="s-restart" d="M480.0 0.00h480.00v48.00h-480.00z"/>)"));
    EXPECT_THAT(html, HasSubstr("running <span class=\"interval\">75.00 %"));
    EXPECT_THAT(html, HasSubstr("restarting <span class=\"interval\">25.00 %"));
    EXPECT_THAT(html, HasSubstr("M480.0 99"));  // the failure after two of four days
    EXPECT_THAT(html, HasSubstr("m-grave\" d=\"M720.0"));
    EXPECT_THAT(html, HasSubstr(">4 d</text>"));
    EXPECT_THAT(html, HasSubstr("no marks after day 3"));  // the trace ends with no finish
    EXPECT_THAT(html, Not(HasSubstr("debugging")));
}

TEST(Timeline, WhatIsMissingOrAbsurdDrawsNothingWrong) {
    EXPECT_EQ(timeline_picture(Json::object()), "");
    EXPECT_EQ(timeline_picture(Json("text")), "");
    Json wrong = projection();
    wrong["timeline"]["slice_days"] = nullptr;
    EXPECT_EQ(timeline_picture(wrong), "");
    wrong = projection();
    wrong["timeline"]["states"][0]["ratio"] = {Json(), 7.0};
    wrong["timeline"]["states"][1]["name"] = "<script>";
    const std::string html = timeline_picture(wrong);
    EXPECT_THAT(html, Not(HasSubstr("script")));
    EXPECT_THAT(html, HasSubstr("M480.0 0.00h480.00v96.00"));
}

}  // namespace
}  // namespace ascertain::report
