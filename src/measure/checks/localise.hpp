// Which rank, link or switch is slow, from timed pairs: a tournament with re-matches, and an
// additive model of what each pair's path is made of. Pure functions;
// docs/formulas.md#slow-element.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ascertain::checks {

// Two ranks that exchanged data with nobody else in their way, and how long it took.
struct TimedPair {
    int first = 0;
    int second = 0;
    double seconds = 0.0;
    int round = 0;
};

struct Topology {
    int ranks = 0;
    int ranks_per_switch = 0;  // of the first level of switches; 0: unknown, or one for all
};

enum class SlowPart { kNothing, kRank, kLink, kSwitch };

struct Slow {
    SlowPart part = SlowPart::kNothing;
    int first = -1;       // the rank, the switch, or one end of the link
    int second = -1;      // the other end
    double factor = 1.0;  // how many times as long as usual
};

// The pairs of the next round, each rank in one at most. Of up to 16 ranks everybody first meets
// everybody; beyond, and afterwards, partners are drawn from `seed`, but pairs that were slow meet
// again every second round: who is slow twice with the same partner and not with others has a slow
// link, who is slow with everybody is slow himself.
[[nodiscard]] std::vector<std::pair<int, int>> next_pairs(const Topology& topology,
                                                          std::span<const TimedPair> so_far,
                                                          std::uint64_t seed);

// What is slow, or nothing as long as that cannot be told from the noise of these pairs.
// Cost: pairs x log(pairs).
[[nodiscard]] Slow slow_part(const Topology& topology, std::span<const TimedPair> pairs);

// Whether another round would tell nothing more: everybody has met, and something is named or
// nobody is suspected.
[[nodiscard]] bool is_settled(const Topology& topology, std::span<const TimedPair> pairs);

// "the link between rank 2 and rank 5", "rank 3", "switch 1 (ranks 32 to 63)"; "" for nothing.
[[nodiscard]] std::string name_of(const Topology& topology, const Slow& slow);

}  // namespace ascertain::checks
