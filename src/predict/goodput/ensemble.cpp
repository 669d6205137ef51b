#include "predict/goodput/ensemble.hpp"

#include <algorithm>
#include <atomic>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <numbers>
#include <numeric>
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

std::vector<Rows> latin_scores(std::uint64_t seed, int draws) {
    std::vector<Rows> scores(static_cast<std::size_t>(draws));
    std::vector<int> stratum(static_cast<std::size_t>(draws));
    for (std::size_t row = 0; row < kInputs; ++row) {
        // Far from the streams of the histories, which count up from 0.
        Random random(seed, (std::uint64_t{1} << 63u) + row);
        std::iota(stratum.begin(), stratum.end(), 0);
        for (std::size_t i = stratum.size(); i > 1; --i) {
            std::swap(stratum[i - 1], stratum[random.below(i)]);
        }
        for (std::size_t i = 0; i < scores.size(); ++i) {
            const double p = (stratum[i] + 0.5) / draws;
            scores[i][row] = std::numbers::sqrt2 * boost::math::erf_inv(2.0 * p - 1.0);
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
