#include "measure/checks/localise.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>

#include "base/random.hpp"

namespace ascertain::checks {
namespace {

constexpr int kMeetAll = 16;          // so many ranks all meet one another
constexpr double kDeviations = 4.0;   // of the observed noise, by three samples at least
constexpr double kLeastShare = 0.15;  // slower by less is nothing anybody would act on
constexpr std::size_t kLinkSamples = 3;
constexpr std::size_t kRankSamples = 4;
constexpr std::size_t kSwitchSamples = 16;

using Pair = std::pair<int, int>;

Pair ordered(int first, int second) {
    return {std::min(first, second), std::max(first, second)};
}

double median_of(std::vector<double> values) {
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::ranges::nth_element(values, middle);
    return *middle;
}

// Logarithms over their median, and where they cease to be noise.
struct Residuals {
    std::vector<double> values;
    double limit = 0.0;
};

Residuals residuals_of(std::span<const TimedPair> pairs) {
    Residuals residuals;
    for (const TimedPair& pair : pairs) {
        residuals.values.push_back(std::log(std::max(pair.seconds, 1e-12)));
    }
    const double centre = median_of(residuals.values);
    std::vector<double> sizes;
    for (double& value : residuals.values) {
        value -= centre;
        sizes.push_back(std::abs(value));
    }
    constexpr double kDeviationOfMad = 1.4826;  // of a normal distribution
    residuals.limit =
        std::max(kDeviations * kDeviationOfMad * median_of(sizes), std::log1p(kLeastShare));
    return residuals;
}

int switch_of(const Topology& topology, int rank) {
    return rank / topology.ranks_per_switch;
}

bool crosses(const Topology& topology, const TimedPair& pair) {
    return topology.ranks_per_switch > 0 &&
           switch_of(topology, pair.first) != switch_of(topology, pair.second);
}

// One part of the fabric and what the pairs through it took.
struct Candidate {
    Slow slow;
    std::vector<double> residuals;
    std::size_t needed = 0;
};

std::vector<Candidate> candidates_of(const Topology& topology, std::span<const TimedPair> pairs,
                                     const std::vector<double>& residuals) {
    std::map<int, Candidate> ranks;
    std::map<Pair, Candidate> links;
    std::map<int, Candidate> switches;
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        const TimedPair& pair = pairs[i];
        for (const int rank : {pair.first, pair.second}) {
            Candidate& one = ranks[rank];
            one.slow = {SlowPart::kRank, rank, -1, 1.0};
            one.needed = kRankSamples;
            one.residuals.push_back(residuals[i]);
            if (!crosses(topology, pair)) continue;
            const int above = switch_of(topology, rank);
            Candidate& uplink = switches[above];
            uplink.slow = {SlowPart::kSwitch, above, -1, 1.0};
            uplink.needed = kSwitchSamples;
            uplink.residuals.push_back(residuals[i]);
        }
        const Pair ends = ordered(pair.first, pair.second);
        Candidate& link = links[ends];
        link.slow = {SlowPart::kLink, ends.first, ends.second, 1.0};
        link.needed = kLinkSamples;
        link.residuals.push_back(residuals[i]);
    }
    std::vector<Candidate> all;
    for (auto& [switch_number, one] : switches) all.push_back(std::move(one));
    for (auto& [rank, one] : ranks) all.push_back(std::move(one));
    for (auto& [ends, one] : links) all.push_back(std::move(one));
    return all;
}

// Three in four pairs through a slow part are slow: single samples may be lucky, or wrong.
double lower_quartile(std::vector<double> values) {
    const auto place = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 4);
    std::ranges::nth_element(values, place);
    return *place;
}

// Pairs that were slow and have not met often enough to be told from chance, slowest first.
std::vector<Pair> rematches(std::span<const TimedPair> pairs, const Residuals& residuals) {
    std::map<Pair, std::pair<double, std::size_t>> worst;  // residual, times met
    for (std::size_t i = 0; i < pairs.size(); ++i) {
        auto& [residual, met] = worst[ordered(pairs[i].first, pairs[i].second)];
        residual = met == 0 ? residuals.values[i] : std::min(residual, residuals.values[i]);
        ++met;
    }
    std::vector<std::pair<double, Pair>> found;
    for (const auto& [ends, seen] : worst) {
        if (seen.first > residuals.limit && seen.second < kLinkSamples) {
            found.emplace_back(-seen.first, ends);
        }
    }
    std::ranges::sort(found);
    std::vector<Pair> result;
    for (const auto& [residual, ends] : found) result.push_back(ends);
    return result;
}

// Round `round` of the tournament in which everybody meets everybody (the circle method); with an
// odd number one rank rests.
std::vector<Pair> tournament_round(int ranks, int round) {
    const int seats = ranks + ranks % 2;
    const auto seat = [&](int place) {
        return place == 0 ? 0 : 1 + (place - 1 + round) % (seats - 1);
    };
    std::vector<Pair> pairs;
    for (int place = 0; place < seats / 2; ++place) {
        const Pair ends = ordered(seat(place), seat(seats - 1 - place));
        if (ends.second < ranks) pairs.push_back(ends);
    }
    return pairs;
}

int rounds_of_tournament(int ranks) {
    return ranks <= kMeetAll ? ranks + ranks % 2 - 1 : 0;
}

}  // namespace

std::vector<std::pair<int, int>> next_pairs(const Topology& topology,
                                            std::span<const TimedPair> so_far, std::uint64_t seed) {
    const int round = so_far.empty() ? 0 : so_far.back().round + 1;
    if (round < rounds_of_tournament(topology.ranks))
        return tournament_round(topology.ranks, round);
    std::vector<Pair> pairs;
    std::set<int> busy;
    if (!so_far.empty() && round % 2 == 1) {
        for (const Pair& ends : rematches(so_far, residuals_of(so_far))) {
            if (busy.contains(ends.first) || busy.contains(ends.second)) continue;
            busy.insert({ends.first, ends.second});
            pairs.push_back(ends);
        }
    }
    std::vector<int> free;
    for (int rank = 0; rank < topology.ranks; ++rank) {
        if (!busy.contains(rank)) free.push_back(rank);
    }
    Random random(seed, static_cast<std::uint64_t>(round));
    for (std::size_t i = free.size(); i > 1; --i) std::swap(free[i - 1], free[random.below(i)]);
    for (std::size_t i = 0; i + 1 < free.size(); i += 2) {
        pairs.push_back(ordered(free[i], free[i + 1]));
    }
    return pairs;
}

Slow slow_part(const Topology& topology, std::span<const TimedPair> pairs) {
    if (pairs.empty()) return {};
    const Residuals residuals = residuals_of(pairs);
    Slow best;
    double explained = 0.0;
    for (Candidate& one : candidates_of(topology, pairs, residuals.values)) {
        if (one.residuals.size() < one.needed) continue;
        if (lower_quartile(one.residuals) <= residuals.limit) continue;
        // The part through which most of the lost time went explains the others.
        const double sum = std::accumulate(one.residuals.begin(), one.residuals.end(), 0.0);
        if (sum <= explained) continue;
        explained = sum;
        best = one.slow;
        best.factor = std::exp(median_of(one.residuals));
    }
    if (best.part != SlowPart::kLink) return best;
    // A rank that has met few others may be what is slow about its links.
    for (const int rank : {best.first, best.second}) {
        const auto others = std::ranges::count_if(pairs, [&](const TimedPair& pair) {
            const bool mine = pair.first == rank || pair.second == rank;
            return mine && ordered(pair.first, pair.second) != Pair{best.first, best.second};
        });
        if (others < 2) return {};
    }
    return best;
}

bool is_settled(const Topology& topology, std::span<const TimedPair> pairs) {
    if (pairs.empty()) return false;
    if (pairs.back().round + 1 < rounds_of_tournament(topology.ranks)) return false;
    if (slow_part(topology, pairs).part != SlowPart::kNothing) return true;
    return rematches(pairs, residuals_of(pairs)).empty();
}

std::string name_of(const Topology& topology, const Slow& slow) {
    switch (slow.part) {
        case SlowPart::kNothing: return "";
        case SlowPart::kRank: return fmt::format("rank {}", slow.first);
        case SlowPart::kLink:
            return fmt::format("the link between rank {} and rank {}", slow.first, slow.second);
        case SlowPart::kSwitch:
            return fmt::format("switch {} (ranks {} to {})", slow.first,
                               slow.first * topology.ranks_per_switch,
                               (slow.first + 1) * topology.ranks_per_switch - 1);
    }
    return "";
}

}  // namespace ascertain::checks
