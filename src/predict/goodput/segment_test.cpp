#include "predict/goodput/segment.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace ascertain::goodput {
namespace {

// 100 of training, 10 of stall, durable 25 later.
constexpr Pace kPace{.interval = 100, .stall = 10, .write = 25, .wall_per_work = 1.0};

TEST(Segment, CountsTrainingAndStalls) {
    // 250 = 100 + 10 + 100 + 10 + 30.
    const Progress progress = progress_after(kPace, 250);
    EXPECT_EQ(progress.training, 230);
    EXPECT_EQ(progress.stalled, 20);
    EXPECT_EQ(progress.work, 230);
    // The second checkpoint was begun at 210 + ... and is durable at 220 + 25 = 245.
    EXPECT_EQ(progress.durable, 200);
}

TEST(Segment, ACheckpointIsDurableOnlyWhenWritten) {
    EXPECT_FALSE(progress_after(kPace, 24).any_durable);  // whatever was there before this cycle
    EXPECT_EQ(progress_after(kPace, 134).durable, 0);     // 110 + 25 = 135
    EXPECT_EQ(progress_after(kPace, 135).durable, 100);
    EXPECT_EQ(progress_after(kPace, 105).training, 100);  // inside the stall nothing is trained
}

TEST(Segment, SlowStepsDoLessWork) {
    Pace slow = kPace;
    slow.wall_per_work = 2.0;
    EXPECT_EQ(progress_after(slow, 250).work, 115);
    EXPECT_EQ(progress_after(slow, 250).durable, 100);
}

// Cut anywhere, a stretch is what its two parts are together.
TEST(Segment, AStretchMayBeCutAnywhere) {
    for (Ticks cut = 1; cut < 400; ++cut) {
        const Progress whole = progress_after(kPace, 400);
        const Progress first = progress_after(kPace, cut);
        Pace later = kPace;
        later.begun = first.begun;
        const Progress second = progress_after(later, 400 - cut);
        EXPECT_EQ(first.work + second.work, whole.work) << cut;
        EXPECT_EQ(first.stalled + second.stalled, whole.stalled) << cut;
        Ticks durable = first.any_durable ? first.durable : 0;
        if (second.any_durable) durable = std::max(durable, first.work + second.durable);
        EXPECT_EQ(durable, whole.durable) << cut;
        if (cut < wall_for(kPace, 333)) {
            EXPECT_EQ(cut + wall_for(later, 333 - first.work), wall_for(kPace, 333)) << cut;
        }
    }
}

TEST(Segment, WallForIsTheInverseOfProgress) {
    for (const double wall_per_work : {1.0, 1.05, 3.0}) {
        Pace pace = kPace;
        pace.wall_per_work = wall_per_work;
        for (const Ticks work : {1, 99, 100, 101, 200, 777}) {
            EXPECT_NEAR(static_cast<double>(progress_after(pace, wall_for(pace, work)).work),
                        static_cast<double>(work), 1.0)
                << work << " at " << wall_per_work;
        }
    }
}

TEST(Segment, NoCheckpointAtTheVeryEnd) {
    EXPECT_EQ(wall_for(kPace, 100), 100);
    EXPECT_EQ(wall_for(kPace, 101), 111);
    EXPECT_EQ(wall_for(kPace, 200), 210);
}

TEST(Segment, HugeNumbersClampInsteadOfOverflowing) {
    const Pace stuck{.interval = 1, .stall = kLongest, .write = 0, .wall_per_work = 1.0};
    EXPECT_EQ(wall_for(stuck, kLongest), kLongest);
}

}  // namespace
}  // namespace ascertain::goodput
