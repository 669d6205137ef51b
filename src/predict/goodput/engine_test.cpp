#include "predict/goodput/engine.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace ascertain::goodput {
namespace {

TEST(Engine, GivesEventsInOrderOfTime) {
    Engine engine;
    for (const Ticks delay : {50, 10, 40, 20, 30}) {
        engine.schedule(delay, static_cast<std::uint32_t>(delay), 0);
    }
    std::vector<Ticks> times;
    for (Event event; engine.next(event, kLongest);) {
        EXPECT_EQ(event.time, engine.now());
        times.push_back(event.time);
    }
    EXPECT_EQ(times, (std::vector<Ticks>{10, 20, 30, 40, 50}));
    EXPECT_EQ(engine.handled(), 5u);
}

TEST(Engine, KeepsTheOrderOfInsertionAmongEqualTimes) {
    Engine engine;
    for (std::uint32_t kind = 0; kind < 100; ++kind) engine.schedule(7, kind, 0);
    std::uint32_t expected = 0;
    for (Event event; engine.next(event, kLongest);) EXPECT_EQ(event.kind, expected++);
    EXPECT_EQ(expected, 100u);
}

TEST(Engine, CountsDelaysFromTheEventInHand) {
    Engine engine;
    Event event;
    engine.schedule(100, 1, 0);
    ASSERT_TRUE(engine.next(event, kLongest));
    engine.schedule(25, 2, 9);
    ASSERT_TRUE(engine.next(event, kLongest));
    EXPECT_EQ(event.time, 125);
    EXPECT_EQ(event.token, 9u);
    EXPECT_FALSE(engine.next(event, kLongest));
}

TEST(Engine, LeavesWhatComesTooLate) {
    Engine engine;
    Event event;
    engine.schedule(100, 1, 0);
    EXPECT_FALSE(engine.next(event, 99));
    EXPECT_EQ(engine.now(), 0);
    EXPECT_TRUE(engine.next(event, 100));
}

TEST(Engine, StartsAgainAfterReset) {
    Engine engine;
    engine.schedule(5, 1, 0);
    engine.reset();
    EXPECT_EQ(engine.pending(), 0u);
    EXPECT_EQ(engine.now(), 0);
}

TEST(Ticks, ClampWhatDoesNotFit) {
    EXPECT_EQ(ticks_from_seconds(1.5), 1'500'000'000);
    EXPECT_EQ(ticks_from_seconds(-3.0), 0);
    EXPECT_EQ(ticks_from_seconds(1e30), kLongest);
    EXPECT_EQ(ticks_from_seconds(std::numeric_limits<double>::infinity()), kLongest);
    EXPECT_EQ(ticks_from_seconds(std::numeric_limits<double>::quiet_NaN()), kLongest);
}

}  // namespace
}  // namespace ascertain::goodput
