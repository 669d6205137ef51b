// Trials on a simulated fabric: every pair takes one unit times log-normal noise of 5 %, one in
// fifty takes three times as long for reasons of its own, and what is planted multiplies its pairs.
#include "measure/checks/localise.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

#include "base/random.hpp"

namespace ascertain::checks {
namespace {

constexpr double kNoise = 0.05;
constexpr double kStray = 0.02;

bool is_through(const Topology& topology, const Slow& planted, int first, int second) {
    switch (planted.part) {
        case SlowPart::kNothing: return false;
        case SlowPart::kRank: return planted.first == first || planted.first == second;
        case SlowPart::kLink: return planted.first == first && planted.second == second;
        case SlowPart::kSwitch: {
            const int left = first / topology.ranks_per_switch;
            const int right = second / topology.ranks_per_switch;
            return left != right && (left == planted.first || right == planted.first);
        }
    }
    return false;
}

struct Trial {
    Slow found;
    int rounds = 0;
};

Trial play(const Topology& topology, const Slow& planted, int rounds_max, std::uint64_t seed) {
    Random noise(seed, 77);
    std::vector<TimedPair> pairs;
    Trial trial;
    for (int round = 0; round < rounds_max; ++round) {
        for (const auto& [first, second] : next_pairs(topology, pairs, seed)) {
            double seconds = std::exp(kNoise * noise.normal());
            if (noise.uniform() < kStray) seconds *= 3.0;
            if (is_through(topology, planted, first, second)) seconds *= planted.factor;
            pairs.push_back({first, second, seconds, round});
        }
        trial.rounds = round + 1;
        trial.found = slow_part(topology, pairs);
        if (trial.found.part != SlowPart::kNothing) break;
    }
    return trial;
}

bool is_it(const Slow& found, const Slow& planted) {
    return found.part == planted.part && found.first == planted.first &&
           found.second == planted.second;
}

Slow drawn_link(int ranks, std::uint64_t seed) {
    Random random(seed, 5);
    const int first = static_cast<int>(random.below(static_cast<std::uint64_t>(ranks)));
    const auto step = 1 + random.below(static_cast<std::uint64_t>(ranks - 1));
    const int second = (first + static_cast<int>(step)) % ranks;
    return {SlowPart::kLink, std::min(first, second), std::max(first, second), 2.0};
}

TEST(NextPairs, EverybodyMeetsEverybodyOnce) {
    for (const int ranks : {2, 7, 8, 16}) {
        const Topology topology{ranks, 0};
        std::vector<TimedPair> pairs;
        std::set<std::pair<int, int>> met;
        const int rounds = ranks + ranks % 2 - 1;
        for (int round = 0; round < rounds; ++round) {
            std::set<int> busy;
            for (const auto& [first, second] : next_pairs(topology, pairs, 1)) {
                EXPECT_TRUE(busy.insert(first).second && busy.insert(second).second);
                EXPECT_TRUE(met.insert({first, second}).second);
                pairs.push_back({first, second, 1.0, round});
            }
        }
        EXPECT_EQ(met.size(), static_cast<std::size_t>(ranks * (ranks - 1) / 2)) << ranks;
    }
}

TEST(SlowPart, NamesAPlantedLinkAmongEightIn95Of100Trials) {
    const Topology topology{8, 0};
    int named = 0;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        const Slow planted = drawn_link(8, seed);
        if (is_it(play(topology, planted, 20, seed).found, planted)) ++named;
    }
    EXPECT_GE(named, 95);
}

TEST(SlowPart, NamesASlowRankAmongEight) {
    const Topology topology{8, 0};
    int named = 0;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        const Slow planted{SlowPart::kRank, static_cast<int>(seed % 8), -1, 1.6};
        if (is_it(play(topology, planted, 20, seed).found, planted)) ++named;
    }
    EXPECT_GE(named, 95);
}

TEST(SlowPart, IsSilentOnHealthyFabrics) {
    int alarms = 0;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        const Trial trial = play({8, 0}, {}, 20, seed);
        if (trial.found.part != SlowPart::kNothing) ++alarms;
    }
    EXPECT_LE(alarms, 1);
}

// At this size a pair is no cable: what can be slow is a node's own link, or a switch's.
TEST(SlowPart, NamesANodesLinkAmong1024Within20Rounds) {
    const Topology topology{1024, 32};
    int named = 0;
    for (std::uint64_t seed = 0; seed < 100; ++seed) {
        Random random(seed, 9);
        const Slow planted{SlowPart::kRank, static_cast<int>(random.below(1024)), -1, 2.0};
        const Trial trial = play(topology, planted, 20, seed);
        if (is_it(trial.found, planted)) ++named;
    }
    EXPECT_GE(named, 95);
}

TEST(SlowPart, NamesASwitchesUplinkAmong1024Within20Rounds) {
    const Topology topology{1024, 32};
    int named = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const Slow planted{SlowPart::kSwitch, static_cast<int>(seed), -1, 2.0};
        if (is_it(play(topology, planted, 20, seed).found, planted)) ++named;
    }
    EXPECT_GE(named, 19);
}

TEST(SlowPart, SaysNothingOfNothing) {
    EXPECT_EQ(slow_part({8, 0}, {}).part, SlowPart::kNothing);
    EXPECT_EQ(name_of({8, 0}, {}), "");
    EXPECT_EQ(name_of({64, 32}, {SlowPart::kSwitch, 1, -1, 2.0}), "switch 1 (ranks 32 to 63)");
}

}  // namespace
}  // namespace ascertain::checks
