#include "predict/goodput/levers.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/units.hpp"
#include "predict/goodput/ensemble.hpp"
#include "predict/goodput/player.hpp"

namespace ascertain::goodput {
namespace {

// A lever is turned by at most this factor either way: beyond it the answer is another project.
constexpr double kFactorMax = 64.0;
constexpr int kBisections = 10;  // of log 64^2: to within 0.8 %

// A lever: its number now, and what a factor of g "better" means for the screws.
struct Lever {
    std::string_view name;
    std::string_view unit;
    bool more_is_better;
    double (*now)(const ProjectionInput&, const Rows&);
    void (*turn)(Screws&, double better);
};

double recovery_s(const ProjectionInput&, const Rows& values) {
    return values[kDetection] + values[kRestart];
}

constexpr Lever kLevers[] = {
    {"mtbf_per_device", "device_hour", true,
     [](const ProjectionInput&, const Rows& v) { return 1.0 / v[kFailureRate]; },
     [](Screws& screws, double better) { screws.failure_rate = 1.0 / better; }},
    {"recovery_time", "s", false, recovery_s,
     [](Screws& screws, double better) { screws.recovery = 1.0 / better; }},
    {"step_time", "s", false,
     [](const ProjectionInput& input, const Rows& v) {
         return input.stages.front().step_s.mid * v[kStep];
     },
     [](Screws& screws, double better) { screws.step = 1.0 / better; }},
    {"checkpoint_write_time", "s", false,
     [](const ProjectionInput&, const Rows& v) {
         return v[kCheckpointBytes] > 0.0 ? v[kCheckpointBytes] / v[kWriteBandwidth] : 0.0;
     },
     [](Screws& screws, double better) { screws.checkpoint = 1.0 / better; }},
    {"software_defects_outstanding", "count", false,
     [](const ProjectionInput&, const Rows& v) { return v[kDefects]; },
     [](Screws& screws, double better) { screws.defects = 1.0 / better; }},
};

MustBeTrue turn(const ProjectionInput& input, const Rows& values, const Lever& lever,
                int histories) {
    MustBeTrue result{std::string(lever.name),
                      std::string(lever.unit),
                      lever.more_is_better ? "at_least" : "at_most",
                      lever.now(input, values),
                      std::nullopt,
                      {}};
    if (result.now <= 0.0) {
        result.reason = "is nothing already";
        return result;
    }
    const auto reaches = [&](double log_better) {
        Screws screws;
        lever.turn(screws, std::exp(log_better));
        return probability_by(input, values, screws, *input.deadline_s, histories) >=
               input.confidence;
    };
    double bad = -std::log(kFactorMax);
    double good = std::log(kFactorMax);
    if (!reaches(good)) {
        result.reason = fmt::format("not by this alone: {} times better is not enough", kFactorMax);
        return result;
    }
    if (reaches(bad)) {
        result.reason = fmt::format("holds even {} times worse", kFactorMax);
        return result;
    }
    for (int i = 0; i < kBisections; ++i) {
        const double middle = 0.5 * (bad + good);
        (reaches(middle) ? good : bad) = middle;
    }
    result.needed =
        lever.more_is_better ? result.now * std::exp(good) : result.now / std::exp(good);
    return result;
}

// More devices also fail more often, so better is not always more: a scan from fewer to more.
MustBeTrue find_devices(const ProjectionInput& input, const Rows& values, int histories) {
    constexpr int kStepsPerDoubling = 4;
    constexpr int kDoublings = 3;  // down to an eighth, up to eight times
    MustBeTrue result{"devices",    "count", "at_least", static_cast<double>(input.devices),
                      std::nullopt, {}};
    const auto reaches = [&](double factor) {
        Screws screws;
        screws.devices = factor;
        return probability_by(input, values, screws, *input.deadline_s, histories) >=
               input.confidence;
    };
    double factor = std::exp2(-kDoublings);
    for (int i = -kDoublings * kStepsPerDoubling; i <= kDoublings * kStepsPerDoubling; ++i) {
        factor = std::exp2(static_cast<double>(i) / kStepsPerDoubling);
        if (!reaches(factor)) continue;
        double bad = factor / std::exp2(1.0 / kStepsPerDoubling);
        for (int k = 0; k < 4; ++k) {
            const double middle = std::sqrt(bad * factor);
            (reaches(middle) ? factor : bad) = middle;
        }
        result.needed = std::ceil(result.now * factor);
        return result;
    }
    result.reason =
        "not by this alone: no number of devices up to 8 times as many is enough, since "
        "more of them also fail more often";
    return result;
}

MustBeTrue find_spares(const ProjectionInput& input, const Rows& values, int histories) {
    MustBeTrue result{"spare_nodes", "count", "at_least", static_cast<double>(input.spare_nodes),
                      std::nullopt,  {}};
    const auto reaches = [&](std::int64_t spares) {
        Screws screws;
        screws.spare_nodes = spares;
        return probability_by(input, values, screws, *input.deadline_s, histories) >=
               input.confidence;
    };
    std::int64_t good = std::max<std::int64_t>(input.devices / input.devices_per_node, 1);
    if (!reaches(good)) {
        result.reason = "not by this alone: a spare for every node is not enough";
        return result;
    }
    std::int64_t bad = -1;
    while (good - bad > 1) {
        const std::int64_t middle = bad + (good - bad) / 2;
        (reaches(middle) ? good : bad) = middle;
    }
    result.needed = static_cast<double>(good);
    return result;
}

struct End {
    double probability = 0.0;
    std::optional<double> finish_days;  // median
};

End play_at(const ProjectionInput& input, Input row, double score, double horizon_s,
            int histories) {
    Rows scores{};
    scores[row] = score;
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

}  // namespace

std::vector<MustBeTrue> find_must_be_true(const ProjectionInput& input, int histories) {
    const Rows values = values_at(input, Rows{});
    constexpr int kCount = static_cast<int>(std::size(kLevers)) + 2;
    std::vector<MustBeTrue> found(kCount);
    in_parallel(input.threads, kCount, [&](int i) {
        const auto at = static_cast<std::size_t>(i);
        if (at < std::size(kLevers)) {
            found[at] = turn(input, values, kLevers[at], histories);
        } else {
            found[at] = at == std::size(kLevers) ? find_spares(input, values, histories)
                                                 : find_devices(input, values, histories);
        }
    });
    return found;
}

std::vector<TornadoBar> find_tornado(const ProjectionInput& input, double horizon_s,
                                     int histories) {
    std::vector<Input> rows;
    for (std::size_t i = 0; i < kRent; ++i) {  // money moves no date
        const auto belief = belief_of(input, static_cast<Input>(i));
        if (belief && belief->high > belief->low) rows.push_back(static_cast<Input>(i));
    }
    std::vector<TornadoBar> bars(rows.size());
    in_parallel(input.threads, static_cast<int>(rows.size()), [&](int i) {
        const Input row = rows[static_cast<std::size_t>(i)];
        const Uncertain belief = *belief_of(input, row);
        const End low = play_at(input, row, -kScore90, horizon_s, histories);
        const End high = play_at(input, row, kScore90, horizon_s, histories);
        bars[static_cast<std::size_t>(i)] = {std::string(row_of(row).name),
                                             belief.kind,
                                             belief.low,
                                             belief.high,
                                             low.finish_days,
                                             high.finish_days,
                                             low.probability,
                                             high.probability,
                                             std::string(row_of(row).settled_by)};
    });
    std::stable_sort(bars.begin(), bars.end(), [](const TornadoBar& a, const TornadoBar& b) {
        const double by_a = std::abs(a.probability_at_high - a.probability_at_low);
        const double by_b = std::abs(b.probability_at_high - b.probability_at_low);
        return by_a != by_b ? by_a > by_b : swing_days(a) > swing_days(b);
    });
    return bars;
}

}  // namespace ascertain::goodput
