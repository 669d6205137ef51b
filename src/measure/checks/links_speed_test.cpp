#include <gtest/gtest.h>

#include <vector>

#include "measure/checks/localise.hpp"
#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;
using testing::gave_up;
using testing::value_of;

const Json kPlanned = {{"links", Json::array()}};

Answer joined(const Request& request) {
    return testing::result(request.kind == "store" ? Json{{"port", 4711}}
                                                   : Json{{"backend", "gloo"}});
}

// A network with 1 ms of latency and 100 MB/s; rank 1 is the slower of the two.
Answer timed(const Request& request, std::size_t member) {
    if (request.kind != "collective") return joined(request);
    Json cases = Json::array();
    for (const Json& one : request.params["cases"]) {
        const double bytes = one["elements"].get<double>() * 2.0;
        const double slowest = 1e-3 + bytes / 1e8;
        const bool emulated = one["kind"] == "reduce_scatter";
        const std::vector<double> seconds(5, member == 1 ? slowest : 0.5 * slowest);
        cases.push_back({{"kind", one["kind"]},
                         {"bytes", bytes},
                         {"emulated", emulated},
                         {"seconds", emulated ? Json::array() : Json(seconds)}});
    }
    return testing::result({{"backend", "gloo"}, {"cases", cases}});
}

TEST(LinksSpeed, FitsTheSlowestRanksLatencyAndBandwidth) {
    Driver driver("links.speed", kPlanned);
    driver.ranks = 2;
    const Step step = driver.run_ranks(timed);
    EXPECT_NEAR(value_of(step, "broadcast_latency_s"), 1e-3, 1e-9);
    EXPECT_NEAR(value_of(step, "broadcast_bus_bytes_per_s"), 1e8, 1.0);
    // Of two ranks an all-reduce moves 2 (n - 1) / n = 1 times the message over each link.
    EXPECT_NEAR(value_of(step, "all_reduce_bus_bytes_per_s"), 1e8, 1.0);
    EXPECT_NEAR(value_of(step, "all_gather_bus_bytes_per_s"), 0.5e8, 1.0);
}

TEST(LinksSpeed, WhatIsEmulatedIsNotTimed) {
    Driver driver("links.speed", kPlanned);
    driver.ranks = 2;
    const Step step = driver.run_ranks(timed);
    EXPECT_TRUE(std::isnan(value_of(step, "reduce_scatter_bus_bytes_per_s")));
    // Five kinds of the six, five sizes, five iterations.
    EXPECT_EQ(value_of(step, "samples_timed"), 125.0);
}

TEST(LinksSpeed, NothingTimedIsNoAnswer) {
    Driver driver("links.speed", kPlanned);
    driver.ranks = 2;
    const Step step = driver.run([](const Request& request) {
        if (request.kind != "collective") return joined(request);
        return testing::result({{"cases", Json::array()}});
    });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kHarnessError));
}

TEST(LinksPairs, NamesTheRankThatIsSlowWithEverybody) {
    Driver driver("links.pairs", kPlanned);
    driver.ranks = 8;
    std::size_t pairs = 0;
    const Step step = driver.run_ranks([&](const Request& request, std::size_t) {
        if (request.kind != "collective") return joined(request);
        ++pairs;
        const bool slow = request.members[0] == 5 || request.members[1] == 5;
        const std::vector<double> seconds(7, slow ? 2e-3 : 1e-3);
        return testing::result({{"cases", Json::array({{{"seconds", seconds}}})}});
    });
    ASSERT_TRUE(std::holds_alternative<Done>(step));
    EXPECT_EQ(value_of(step, "slow_parts"), 1.0);
    EXPECT_EQ(std::get<Done>(step).detail["slow"], "rank 5");
    // Everybody met everybody once.
    EXPECT_EQ(value_of(step, "pairs_timed"), 28.0);
}

TEST(LinksPairs, IsSilentWhereAllAreAlike) {
    Driver driver("links.pairs", kPlanned);
    driver.ranks = 4;
    const Step step = driver.run([](const Request& request) {
        if (request.kind != "collective") return joined(request);
        return testing::result({{"cases", Json::array({{{"seconds", {1e-3, 1e-3}}}})}});
    });
    EXPECT_EQ(value_of(step, "slow_parts"), 0.0);
    EXPECT_EQ(value_of(step, "pairs_timed"), 6.0);
}

}  // namespace
}  // namespace ascertain::checks
