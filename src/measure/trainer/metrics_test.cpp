#include "measure/trainer/metrics.hpp"

#include <gmock/gmock.h>

#include <cmath>

namespace ascertain::trainer {
namespace {

using ::testing::HasSubstr;

MetricReader json_reader() {
    return MetricReader({}, std::nullopt);
}

TEST(MetricReader, ReadsJsonLinesHoweverTheyAreCut) {
    const std::string text =
        "{\"step\": 1, \"loss\": 2.5, \"grad_norm\": 0.5}\n"
        "{\"step\": 2, \"loss\": 2.25}\n{\"step\": 2, \"eval_loss\": 2.0}\n";
    for (std::size_t cut = 0; cut <= text.size(); ++cut) {
        MetricReader reader = json_reader();
        reader.feed(std::string_view(text).substr(0, cut));
        reader.feed(std::string_view(text).substr(cut));
        ASSERT_EQ(reader.points().size(), 3u) << cut;
        EXPECT_EQ(reader.points()[0].grad_norm, 0.5);
        EXPECT_EQ(reader.points()[1].step, 2);
        EXPECT_EQ(reader.points()[2].held_out, 2.0);
        EXPECT_FALSE(reader.points()[2].loss.has_value());
        EXPECT_EQ(reader.malformed(), 0u);
    }
}

TEST(MetricReader, TakesNothingForANumberThatIsNone) {
    MetricReader reader = json_reader();
    reader.feed("Traceback (most recent call last):\n[1, 2]\n{\"note\": \"loss\"}\n\n");
    EXPECT_TRUE(reader.points().empty());
    EXPECT_EQ(reader.malformed(), 2u);
    EXPECT_EQ(reader.lines(), 3u);
}

TEST(MetricReader, SeesALossThatIsNotFiniteInEverySpelling) {
    MetricReader reader = json_reader();
    reader.feed(
        "{\"loss\": NaN}\n{\"loss\": null}\n{\"loss\": \"nan\"}\n{\"loss\": -Infinity}\n"
        "{\"note\": \"NaN\", \"loss\": 1.0}\n");
    ASSERT_EQ(reader.points().size(), 5u);
    for (int i = 0; i < 4; ++i) {
        EXPECT_FALSE(std::isfinite(*reader.points()[static_cast<std::size_t>(i)].loss)) << i;
    }
    EXPECT_EQ(reader.points()[4].loss, 1.0);
    // Steps are counted where none is written.
    EXPECT_EQ(reader.points()[4].step, 5);
}

TEST(MetricReader, StaysSmallWhateverComes) {
    MetricReader reader({}, std::nullopt, {.line_bytes = 100, .pattern_bytes = 50, .points = 3});
    for (int i = 0; i < 100; ++i) reader.feed(std::string(1000, 'x'));
    reader.feed("\n");
    for (int i = 0; i < 10; ++i) reader.feed("{\"loss\": 1}\n");
    EXPECT_EQ(reader.points().size(), 3u);
    EXPECT_TRUE(reader.full());
    EXPECT_EQ(reader.malformed(), 1u);
}

TEST(LogPattern, FindsNamedGroups) {
    const auto pattern = LogPattern::parse(
        R"(step (?P<step>\d+) .*'loss': (?<loss>[-+.\w]+)(?:, 'grad_norm': (?P<grad_norm>\S+))?)");
    ASSERT_TRUE(pattern.ok()) << pattern.error().text();
    const auto point = pattern->match("INFO step 12 (3 s) {'loss': 1.5e-1, 'grad_norm': 2.5}");
    ASSERT_TRUE(point.has_value());
    EXPECT_EQ(point->step, 12);
    EXPECT_EQ(point->loss, 0.15);
    EXPECT_FALSE(point->grad_norm.has_value());  // "2.5}" is no number
    EXPECT_FALSE(std::isfinite(*pattern->match("step 1 'loss': nan")->loss));
    EXPECT_FALSE(pattern->match("step 1 'loss': none").has_value());
}

TEST(LogPattern, WithoutNamesTheFirstGroupIsTheLoss) {
    const auto pattern = LogPattern::parse(R"(loss=(\d+\.\d+))");
    ASSERT_TRUE(pattern.ok());
    EXPECT_EQ(pattern->match("epoch 1 loss=2.50 lr=1")->loss, 2.5);
}

TEST(LogPattern, SaysWhatIsWrongWithIt) {
    EXPECT_THAT(LogPattern::parse("loss ([0-9").error().message,
                HasSubstr("no regular expression"));
    EXPECT_THAT(LogPattern::parse("(?P<lss>x)").error().message, HasSubstr("lss"));
    EXPECT_THAT(LogPattern::parse("loss").error().message, HasSubstr("no group"));
    EXPECT_THAT(LogPattern::parse("(?P<step>x)").error().message,
                HasSubstr("no group for the loss"));
}

TEST(MetricReader, ProgressBarsEndTheirLinesToo) {
    MetricReader reader({}, *LogPattern::parse("loss ([.0-9]+)"));
    reader.feed("10 % loss 2.0\r20 % loss 1.0\r");
    EXPECT_EQ(reader.points().size(), 2u);
}

}  // namespace
}  // namespace ascertain::trainer
