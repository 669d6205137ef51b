#include <algorithm>
#include <cmath>
#include <limits>

#include "base/units.hpp"
#include "predict/goodput/ensemble.hpp"
#include "predict/goodput/levers.hpp"
#include "predict/goodput/player.hpp"

namespace ascertain::goodput {
namespace {

struct End {
    double probability = 0.0;
    std::optional<double> finish_days;  // median
};

End play_at(const ProjectionInput& input, const Rows& scores, double horizon_s, int histories) {
    Player player(resolve(input, values_at(input, scores), {}, horizon_s));
    std::vector<double> walls;
    int in_time = 0;
    for (int i = 0; i < histories; ++i) {
        const History history = player.play(input.seed, static_cast<std::uint64_t>(i));
        walls.push_back(history.finished ? history.wall_s
                                         : std::numeric_limits<double>::infinity());
        in_time += input.deadline_s && walls.back() <= *input.deadline_s ? 1 : 0;
    }
    std::sort(walls.begin(), walls.end());
    End end{static_cast<double>(in_time) / histories, std::nullopt};
    const double median = quantile_of(walls, 0.5);
    if (std::isfinite(median)) end.finish_days = median / kSecondsPerDay;
    return end;
}

double swing_days(const TornadoBar& bar) {
    if (!bar.finish_days_at_low || !bar.finish_days_at_high) {
        return bar.finish_days_at_low || bar.finish_days_at_high
                   ? std::numeric_limits<double>::max()
                   : 0.0;
    }
    return std::abs(*bar.finish_days_at_high - *bar.finish_days_at_low);
}

// A bar to be played, and the direction in the space of scores along which it lies.
struct Lying {
    TornadoBar bar;
    Rows direction{};
};

Rows scaled(const Rows& direction, double score) {
    Rows scores{};
    for (std::size_t i = 0; i < kInputs; ++i) scores[i] = score * direction[i];
    return scores;
}

// One bar per uncertain input, and one for the factor that a site's operations have in common.
std::vector<Lying> lay_out(const ProjectionInput& input) {
    std::vector<Lying> list;
    Lying operations;
    operations.bar.name = "operations";
    operations.bar.kind = Kind::kGiven;
    operations.bar.low = 0.1;  // of all sites: a tenth are better, a tenth worse
    operations.bar.high = 0.9;
    operations.bar.settled_by = "trial (kill and resume, checkpoint timing) and soak";
    for (std::size_t i = 0; i < kInputs; ++i) {
        const auto row = static_cast<Input>(i);
        if (!moves_dates(row)) continue;
        const auto belief = belief_of(input, row);
        if (!belief || !(belief->high > belief->low)) continue;
        Lying one;
        one.bar.name = row_of(row).name;
        one.bar.kind = belief->kind;
        one.bar.low = belief->low;
        one.bar.high = belief->high;
        one.bar.settled_by = row_of(row).settled_by;
        one.direction[i] = 1.0;
        list.push_back(one);
        const double sign = row_of(row).operations;
        operations.direction[i] = sign * std::sqrt(input.operations_correlation);
        if (sign != 0.0) operations.bar.kind = std::max(operations.bar.kind, belief->kind);
    }
    const bool any = std::any_of(operations.direction.begin(), operations.direction.end(),
                                 [](double part) { return part != 0.0; });
    if (any) list.push_back(operations);
    return list;
}

}  // namespace

std::vector<TornadoBar> find_tornado(const ProjectionInput& input, double horizon_s,
                                     int histories) {
    std::vector<Lying> list = lay_out(input);
    in_parallel(input.threads, static_cast<int>(list.size()), [&](int i) {
        Lying& one = list[static_cast<std::size_t>(i)];
        const End low = play_at(input, scaled(one.direction, -kScore90), horizon_s, histories);
        const End high = play_at(input, scaled(one.direction, kScore90), horizon_s, histories);
        one.bar.finish_days_at_low = low.finish_days;
        one.bar.finish_days_at_high = high.finish_days;
        one.bar.probability_at_low = low.probability;
        one.bar.probability_at_high = high.probability;
    });
    std::vector<TornadoBar> bars;
    for (const Lying& one : list) bars.push_back(one.bar);
    std::stable_sort(bars.begin(), bars.end(), [](const TornadoBar& a, const TornadoBar& b) {
        const double by_a = std::abs(a.probability_at_high - a.probability_at_low);
        const double by_b = std::abs(b.probability_at_high - b.probability_at_low);
        return by_a != by_b ? by_a > by_b : swing_days(a) > swing_days(b);
    });
    return bars;
}

}  // namespace ascertain::goodput
