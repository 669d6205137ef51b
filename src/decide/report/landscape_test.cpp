#include <gtest/gtest.h>

#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

Json document() {
    return {{"usable_bytes", 75e9},
            {"landscape",
             {{{"plan", "tp8 pp4"}, {"step_s", 10.0}, {"memory_bytes", 60e9}, {"fits", true}},
              {{"plan", "tp1 <b>"}, {"step_s", 8.0}, {"memory_bytes", 150e9}, {"fits", false}}}}};
}

// Filled where a plan fits, open where none does; the wall lies between their heights.
TEST(Landscape, DrawsPlansOnBothSidesOfTheWall) {
    const std::string html = landscape_picture(document());
    const auto height = [&](std::string_view after, std::string_view key) {
        const auto at = html.find(key, html.find(after));
        return std::stod(html.substr(at + key.size()));
    };
    const double fits = height("class=\"l-fits\"", "cy=\"");
    const double over = height("class=\"l-over\"", "cy=\"");
    const double wall = height("class=\"l-wall\"", "d=\"M70 ");
    EXPECT_GT(fits, wall);
    EXPECT_LT(over, wall);
    EXPECT_NE(html.find("tp8 pp4: 10 s"), std::string::npos);
    EXPECT_EQ(html.find("<b>"), std::string::npos);
}

TEST(Landscape, IsLeftOutWhenThereIsNothingToDraw) {
    EXPECT_EQ(landscape_picture(Json::object()), "");
    EXPECT_EQ(landscape_picture({{"landscape", Json::array()}, {"usable_bytes", 1.0}}), "");
    Json broken = document();
    broken["landscape"] = {{{"step_s", "fast"}}, 7, nullptr};
    EXPECT_EQ(landscape_picture(broken), "");
}

}  // namespace
}  // namespace ascertain::report
