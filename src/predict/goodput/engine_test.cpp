#include "predict/goodput/engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace ascertain::goodput {
namespace {

TEST(Engine, GivesEventsInOrderOfTime) {
    Engine engine(3);
    for (const Ticks delay : {50, 10, 40, 20, 30}) {
        engine.schedule(delay, 3, static_cast<std::uint32_t>(delay));
    }
    std::vector<Ticks> times;
    for (Event event; engine.next(event, kLongest);) {
        EXPECT_EQ(event.time, engine.now());
        times.push_back(event.time);
    }
    EXPECT_EQ(times, (std::vector<Ticks>{10, 20, 30, 40, 50}));
}

TEST(Engine, KeepsTheOrderOfInsertionAmongEqualTimes) {
    Engine engine(3);
    for (std::uint32_t token = 0; token < 50; ++token) engine.schedule(7, 3, token);
    engine.set_timer(1, 7);
    for (std::uint32_t token = 50; token < 100; ++token) engine.schedule(7, 3, token);
    std::vector<std::uint32_t> order;
    for (Event event; engine.next(event, kLongest);)
        order.push_back(event.kind == 1 ? 1000 : event.token);
    ASSERT_EQ(order.size(), 101u);
    EXPECT_EQ(order[50], 1000u);  // the timer stands between its neighbours in time of insertion
    order.erase(order.begin() + 50);
    EXPECT_TRUE(std::is_sorted(order.begin(), order.end()));
}

TEST(Engine, TimersFireOnceAtTheLastTimeSet) {
    Engine engine(3);
    engine.set_timer(0, 10);
    engine.set_timer(0, 30);
    engine.set_timer(2, 20);
    engine.set_timer(1, 25);
    engine.clear_timer(1);
    Event event;
    ASSERT_TRUE(engine.next(event, kLongest));
    EXPECT_EQ(event.kind, 2u);
    ASSERT_TRUE(engine.next(event, kLongest));
    EXPECT_EQ(event.kind, 0u);
    EXPECT_EQ(event.time, 30);
    EXPECT_FALSE(engine.next(event, kLongest));
}

TEST(Engine, CountsDelaysFromTheEventInHand) {
    Engine engine(3);
    Event event;
    engine.schedule(100, 4, 0);
    ASSERT_TRUE(engine.next(event, kLongest));
    engine.schedule(25, 4, 9);
    ASSERT_TRUE(engine.next(event, kLongest));
    EXPECT_EQ(event.time, 125);
    EXPECT_EQ(event.token, 9u);
    EXPECT_FALSE(engine.next(event, kLongest));
}

TEST(Engine, LeavesWhatComesTooLate) {
    Engine engine(3);
    Event event;
    engine.schedule(100, 4, 0);
    EXPECT_FALSE(engine.next(event, 99));
    EXPECT_EQ(engine.now(), 0);
    EXPECT_TRUE(engine.next(event, 100));
}

TEST(Engine, StartsAgainAfterReset) {
    Engine engine(3);
    engine.schedule(5, 4, 0);
    engine.set_timer(2, 5);
    engine.reset();
    Event event;
    EXPECT_FALSE(engine.next(event, kLongest));
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
