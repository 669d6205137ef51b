#include "decide/report/table.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>

#include "decide/report/testing/sample.hpp"

namespace ascertain::report {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> lines_of(const std::string& text) {
    std::vector<std::string> lines;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) lines.push_back(line);
    return lines;
}

TEST(DisplayWidth, CountsTerminalColumns) {
    EXPECT_EQ(display_width("abc"), 3u);
    EXPECT_EQ(display_width("µs ●"), 4u);
    EXPECT_EQ(display_width("昇腾"), 4u);
    EXPECT_EQ(display_width("🦊"), 2u);
    EXPECT_EQ(display_width("e\u0301"), 1u);             // e with a combining accent
    EXPECT_EQ(display_width("\033[31mred\033[0m"), 3u);  // colour takes no room
}

TEST(CutToWidth, NeverSplitsACharacter) {
    EXPECT_EQ(cut_to_width("abcdef", 4), "abc…");
    EXPECT_EQ(cut_to_width("昇腾昇腾", 6), "昇腾…");
    EXPECT_EQ(cut_to_width("abc", 3), "abc");
}

TEST(TextTable, AlignsColumnsByWhatTheEyeSees) {
    const std::string text =
        text_table({{"Name"}, {"Value", Align::kRight}}, {{"昇腾", "1"}, {"cpu", "1234"}}, {});
    EXPECT_EQ(text,
              "Name  Value\n"
              "-----------\n"
              "昇腾      1\n"
              "cpu    1234\n");
}

TEST(TextTable, KeepsEveryRowOnOneLineWithinTheWidth) {
    const std::string text =
        text_table({{"A"}, {"B"}}, {{"x", std::string(300, 'y') + "\nz\x1b[2J"}, {"only"}},
                   {.colour = false, .width = 60});
    const auto lines = lines_of(text);
    ASSERT_EQ(lines.size(), 4u);
    for (const auto& line : lines) EXPECT_LE(display_width(line), 60u);
    EXPECT_THAT(text, Not(HasSubstr("\x1b")));
}

TEST(VerdictSummary, FitsAScreen) {
    for (const auto& sample : {report::testing::failing_device(), report::testing::screened_cpu(),
                               report::testing::nothing(), report::testing::hostile()}) {
        const auto lines =
            lines_of(verdict_summary(sample.verdict, {.colour = false, .width = 100}));
        EXPECT_LE(lines.size(), 25u);
        for (const auto& line : lines) EXPECT_LE(display_width(line), 100u) << line;
    }
}

TEST(VerdictSummary, SaysVerdictScopeBlockersAndNextRung) {
    const std::string text = verdict_summary(report::testing::screened_cpu().verdict, {});
    EXPECT_TRUE(text.starts_with("▲ INCONCLUSIVE\n"));
    EXPECT_THAT(text, HasSubstr("the device rung, 1 device"));
    EXPECT_THAT(text, HasSubstr("links.allreduce: Skipped (resources)"));
    EXPECT_THAT(text, HasSubstr("Next rung: node, 4 device-hours"));
    EXPECT_THAT(text, Not(HasSubstr("\033")));
}

TEST(VerdictSummary, SpeaksOfAContradictionInsteadOfGreen) {
    judge::Verdict verdict;
    verdict.verdict = judge::VerdictWord::kQualified;
    const std::string text = verdict_summary(verdict, {});
    EXPECT_TRUE(text.starts_with("▲ QUALIFIED\n"));
    EXPECT_THAT(text, HasSubstr("no check was required"));
}

TEST(VerdictSummary, ColoursOnlyWhenAsked) {
    EXPECT_TRUE(
        verdict_summary(report::testing::failing_device().verdict, {.colour = true, .width = 100})
            .starts_with("\033[31m■ NOT QUALIFIED\033[0m\n"));
}

TEST(ChecksTable, PutsTheWorstFirst) {
    const auto lines = lines_of(checks_table(report::testing::failing_device().verdict, {}));
    ASSERT_GT(lines.size(), 10u);
    EXPECT_TRUE(lines[2].starts_with("■ FAILED")) << lines[2];
    EXPECT_TRUE(lines.back().starts_with("● PASSED")) << lines.back();
    EXPECT_EQ(checks_table({}, {}), "No check was run.\n");
}

TEST(ComparisonsTable, PutsWhatBlocksFirst) {
    const auto lines = lines_of(comparisons_table(report::testing::failing_device().verdict, {}));
    EXPECT_TRUE(lines[2].starts_with("■ outside, blocks")) << lines[2];
    EXPECT_THAT(lines[2], HasSubstr("9.2 ms"));
}

}  // namespace
}  // namespace ascertain::report
