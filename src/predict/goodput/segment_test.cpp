#include "predict/goodput/segment.hpp"

#include <gtest/gtest.h>

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
    EXPECT_FALSE(progress_after(kPace, 134).any_durable);  // 110 + 25 = 135
    EXPECT_TRUE(progress_after(kPace, 135).any_durable);
    EXPECT_EQ(progress_after(kPace, 135).durable, 100);
    EXPECT_EQ(progress_after(kPace, 105).training, 100);  // inside the stall nothing is trained
}

TEST(Segment, SlowStepsDoLessWork) {
    Pace slow = kPace;
    slow.wall_per_work = 2.0;
    EXPECT_EQ(progress_after(slow, 250).work, 115);
    EXPECT_EQ(progress_after(slow, 250).durable, 100);
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
