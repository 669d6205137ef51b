#include "decide/report/fleets.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ascertain::report {
namespace {

using testing::HasSubstr;
using testing::Not;

Json row(const std::string& name, const Json& p90) {
    return {
        {"chips", name},
        {"delivered_ratio", 0.5},
        {"projection",
         {{"answer", "UNLIKELY"},
          {"finish_days", {{"p10", 50.0}, {"p50", 100.0}, {"p90", p90}}},
          {"cost_usd", {{"p10", 1e6}, {"p50", 2e6}, {"p90", nullptr}}},
          {"probability_of_deadline",
           {{"low", 0.0}, {"mid", 0.25}, {"high", 0.5}, {"decided_by", "step"}}}}},
        {"serving",
         {{"chip", "h20"},
          {"output_tokens_per_s", {{"low", 300.0}, {"mid", 600.0}, {"high", 900.0}}},
          {"devices_needed", nullptr}}},
        {"known", Json::array({{{"what", "bf16"}, {"kind", "datasheet"}, {"source", "sheet"}}})},
        {"guessed", Json::array()},
        {"unknown", Json::array({{{"what", "power"}, {"reason", "nobody prints it"}}})}};
}

Json comparison(const Json& rows) {
    return {{"campaign", "c.toml"}, {"deadline_days", 80.0}, {"rows", rows}};
}

TEST(FleetsPage, PutsAllFleetsOnOneScaleWithTheDeadline) {
    const std::string html =
        fleets_page(comparison(Json::array({row("first", 200.0), row("second", nullptr)})));
    // The scale ends 8 % past the latest p90: 216 days.
    EXPECT_THAT(html, HasSubstr("left:23.15%;width:69.44%"));  // 50 to 200 of 216
    EXPECT_THAT(html, HasSubstr("band endless\" style=\"left:23.15%;width:76.85%"));  // never ends
    EXPECT_THAT(html, HasSubstr("median bad\" style=\"left:46.30%"));  // 100 days are late
    EXPECT_THAT(html, HasSubstr("deadline\" style=\"left:37.04%"));    // 80 of 216
    EXPECT_THAT(html, HasSubstr("never"));
    EXPECT_THAT(html, HasSubstr("50 % delivered"));
    EXPECT_THAT(html, HasSubstr("UNLIKELY"));
    EXPECT_THAT(html, HasSubstr("25 %"));
    EXPECT_THAT(html, HasSubstr("1 known, 0 guessed, 1 unknown"));
    EXPECT_THAT(html, HasSubstr("nobody prints it"));
    EXPECT_THAT(html, HasSubstr("tokens/s a device"));
    EXPECT_THAT(html, Not(HasSubstr("http://")));
    EXPECT_THAT(html, HasSubstr("default-src 'none'"));
}

TEST(FleetsPage, ARefusedFleetSaysWhyAndWhatIsHostileStaysText) {
    Json refused{{"chips", "<img src=x>"},
                 {"projection", nullptr},
                 {"refused_because", "does <b>not</b> fit"}};
    const std::string html = fleets_page(comparison(Json::array({refused})));
    EXPECT_THAT(html, HasSubstr("REFUSED"));
    EXPECT_THAT(html, HasSubstr("does &lt;b&gt;not&lt;/b&gt; fit"));
    EXPECT_THAT(html, Not(HasSubstr("<img")));
}

TEST(FleetsPage, NothingKnownIsShownAsUnknown) {
    for (const Json& document : {Json::object(), Json("x"), Json{{"rows", 5}}}) {
        const std::string html = fleets_page(document);
        EXPECT_THAT(html, HasSubstr("0 fleets"));
        EXPECT_THAT(html, HasSubstr("unknown"));
    }
}

}  // namespace
}  // namespace ascertain::report
