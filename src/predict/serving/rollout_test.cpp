#include "predict/serving/rollout.hpp"

#include <cmath>
#include <limits>

#include "predict/serving/test_kit.hpp"

namespace ascertain::serving {
namespace {

TEST(Survival, IntegratesToTheMeanAndEndsAtTheLongest) {
    for (const double spread : {0.3, 0.7, 1.2}) {
        const auto survival = Survival::of({10000.0, spread, 3.0});
        ASSERT_TRUE(survival);
        double sum = 0.0;
        constexpr int kParts = 30000;
        for (int i = 0; i < kParts; ++i) sum += (*survival)(i + 0.5);
        EXPECT_NEAR(sum, 10000.0, 5.0) << spread;
        EXPECT_DOUBLE_EQ((*survival)(0.0), 1.0);
        EXPECT_DOUBLE_EQ((*survival)(30000.0), 0.0);
        EXPECT_GT((*survival)(29999.0), 0.0);
    }
}

TEST(Survival, RefusesWhatIsNoDistribution) {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    for (const double bad : {0.0, -1.0, kNan}) {
        EXPECT_FALSE(Survival::of({bad, 0.7, 3.0}));
        EXPECT_FALSE(Survival::of({1000, bad, 3.0}));
        EXPECT_FALSE(Survival::of({1000, 0.7, bad}));
    }
    EXPECT_FALSE(Survival::of({1000, 0.7, 1.0}));
}

RolloutQuestion question(double answers, double mean, std::int64_t chips) {
    RolloutQuestion asked;
    asked.answers = answers;
    asked.prompt_tokens = 512;
    asked.lengths.mean_tokens = mean;
    asked.chips = chips;
    return asked;
}

Result<Rollout> ask(const RolloutQuestion& asked, Precision precision = Precision::kFp8) {
    return rollout(cost::shipped_model("deepseek-r1"),
                   cost::fleet_of("h800-80gb-sxm", asked.chips, "ib-ndr"), in(precision), asked,
                   EngineLevel{}, cost::shipped_book());
}

TEST(Rollout, WaitingForTheLongestCostsMoreThanCarryingOn) {
    const auto found = ask(question(8192, 12000, 512));
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_GT(found->waiting_s, 1.2 * found->carrying_s);
    EXPECT_GT(found->tokens_per_s, 0.0);
}

TEST(Rollout, MoreChipsHelpUntilEveryAnswerIsWrittenAtItsOwnPace) {
    const auto few = ask(question(8192, 12000, 256));
    const auto some = ask(question(8192, 12000, 1024));
    const auto many = ask(question(8192, 12000, 65536));
    const auto flood = ask(question(8192, 12000, 524288));
    ASSERT_TRUE(few && some && many && flood);
    EXPECT_LT(some->carrying_s, 0.8 * few->carrying_s);
    // A token follows a token: 64 times the chips are far from 64 times as fast, and at some point
    // no faster at all.
    EXPECT_GT(many->waiting_s, some->waiting_s / 8.0);
    EXPECT_NEAR(flood->waiting_s, many->waiting_s, 0.05 * many->waiting_s);
}

// R1-Zero: 8,192 answers a rollout on 512 H800, cut off at 32,768 tokens; 10,400 steps of 16 a
// rollout took 198 hours, so a rollout and its 16 steps took 1,097 s (arXiv 2501.12948v2,
// supplement). The mean length over the run is read off its figure: about 6,000.
TEST(Rollout, IsNoSlowerThanAPublishedRunWithItsTraining) {
    RolloutQuestion asked = question(8192, 6000, 512);
    asked.lengths.longest_ratio = 32768.0 / 6000.0;
    const auto found =
        rollout(cost::shipped_model("deepseek-r1"), cost::fleet_of("h800-80gb-sxm", 512, "ib-ndr"),
                in(Precision::kFp8), asked, shipped_level(), cost::shipped_book());
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_LT(found->waiting_s * std::exp(-found->width), 1097.0);
    EXPECT_GT(found->waiting_s * std::exp(found->width), 0.3 * 1097.0);
}

TEST(Rollout, RefusesWhatCannotBeWritten) {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    for (const double bad : {0.0, -5.0, kNan}) {
        EXPECT_FALSE(ask(question(bad, 12000, 512)));
        EXPECT_FALSE(ask(question(8192, bad, 512)));
    }
    const auto small = ask(question(8192, 12000, 8));
    ASSERT_FALSE(small);
    EXPECT_EQ(small.error().where, "serving: memory");
    EXPECT_NE(small.error().text().find("8 x h800"), std::string::npos);
}

}  // namespace
}  // namespace ascertain::serving
