#include "predict/goodput/ensemble.hpp"

#include <algorithm>
#include <atomic>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <numbers>
#include <thread>

#include "base/assert.hpp"
#include "predict/goodput/player.hpp"

namespace ascertain::goodput {

void in_parallel(int threads, int count, const std::function<void(int)>& work) {
    std::atomic<int> next{0};
    const auto serve = [&] {
        for (int i = next++; i < count; i = next++) work(i);
    };
    std::vector<std::jthread> helpers;
    for (int i = 1; i < std::min(threads, count); ++i) helpers.emplace_back(serve);
    serve();
}

namespace {

// One normal score for each of `draws` equally likely strata, in random order.
std::vector<double> shuffled_scores(Random random, int draws) {
    std::vector<double> scores(static_cast<std::size_t>(draws));
    for (std::size_t i = 0; i < scores.size(); ++i) {
        const double p = (static_cast<double>(i) + 0.5) / draws;
        scores[i] = std::numbers::sqrt2 * boost::math::erf_inv(2.0 * p - 1.0);
    }
    for (std::size_t i = scores.size(); i > 1; --i)
        std::swap(scores[i - 1], scores[random.below(i)]);
    return scores;
}

}  // namespace

std::vector<Rows> latin_scores(std::uint64_t seed, int draws, double operations_correlation) {
    // Far from the streams of the histories, which count up from 0.
    constexpr std::uint64_t kFirstStream = std::uint64_t{1} << 63u;
    constexpr std::uint64_t kCommonStream = kFirstStream + 29;  // never a row's: they go on at 30
    std::vector<Rows> scores(static_cast<std::size_t>(draws));
    const std::vector<double> common = shuffled_scores(Random(seed, kCommonStream), draws);
    for (std::size_t row = 0; row < kInputs; ++row) {
        const std::vector<double> own =
            shuffled_scores(Random(seed, kFirstStream + row + (row < 29 ? 0 : 1)), draws);
        const double sign = row_of(static_cast<Input>(row)).operations;
        const double shared = sign == 0.0 ? 0.0 : operations_correlation;
        for (std::size_t i = 0; i < scores.size(); ++i) {
            scores[i][row] =
                sign * std::sqrt(shared) * common[i] + std::sqrt(1.0 - shared) * own[i];
        }
    }
    return scores;
}

double probability_by(const ProjectionInput& input, const Rows& values, const Screws& screws,
                      double deadline_s, int histories) {
    Player player(resolve(input, values, screws, deadline_s));
    int finished = 0;
    for (int i = 0; i < histories; ++i) {
        finished += player.play(input.seed, static_cast<std::uint64_t>(i)).finished ? 1 : 0;
    }
    return static_cast<double>(finished) / histories;
}

double quantile_of(const std::vector<double>& sorted, double p) {
    ASCERTAIN_ASSERT(!sorted.empty());
    const double place = p * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(place);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    const double share = place - static_cast<double>(below);
    if (share == 0.0 || sorted[above] == sorted[below]) return sorted[below];
    return sorted[below] + share * (sorted[above] - sorted[below]);
}

}  // namespace ascertain::goodput
