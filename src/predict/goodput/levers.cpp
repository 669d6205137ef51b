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
    {"exposed_communication", "ratio_of_step", false,
     [](const ProjectionInput& input, const Rows&) { return communication_share(input); },
     [](Screws& screws, double better) { screws.communication = 1.0 / better; }},
    {"rollout_time", "s_per_update", false,
     [](const ProjectionInput& input, const Rows& v) {
         double longest_s = 0.0;
         for (const StageInput& stage : input.stages)
             longest_s = std::max(longest_s, stage.rollout_s);
         return longest_s * v[kStep];
     },
     [](Screws& screws, double better) { screws.rollout = 1.0 / better; }},
    {"checkpoint_write_time", "s", false,
     [](const ProjectionInput&, const Rows& v) {
         return v[kCheckpointBytes] > 0.0 ? v[kCheckpointBytes] / v[kWriteBandwidth] : 0.0;
     },
     [](Screws& screws, double better) { screws.checkpoint = 1.0 / better; }},
    {"software_defects_outstanding", "count", false,
     [](const ProjectionInput&, const Rows& v) { return v[kDefects]; },
     [](Screws& screws, double better) { screws.defects = 1.0 / better; }},
};

MustBeTrue at_least(std::string name, std::string unit, double now) {
    return {std::move(name), std::move(unit), "at_least", now, {}, {}, {}};
}

MustBeTrue turn(const ProjectionInput& input, const Rows& values, const Lever& lever,
                int histories) {
    MustBeTrue result;
    result.name = lever.name;
    result.unit = lever.unit;
    result.direction = lever.more_is_better ? "at_least" : "at_most";
    result.now = lever.now(input, values);
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
    MustBeTrue result = at_least("devices", "count", static_cast<double>(input.devices));
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

// What a quiet soak would have to last until the posterior holds the threshold with the confidence.
void add_soak(const ProjectionInput& input, MustBeTrue& mtbf) {
    const double devices = static_cast<double>(input.devices);
    const double per_day = devices * 24.0 / *mtbf.needed;
    const auto claim =
        judge_soak(input.failure.rate, input.soak, devices, per_day, input.confidence);
    if (claim && claim->reason.empty()) mtbf.device_hours_to_prove = claim->device_hours_needed;
}

MustBeTrue find_spares(const ProjectionInput& input, const Rows& values, int histories) {
    MustBeTrue result = at_least("spare_nodes", "count", static_cast<double>(input.spare_nodes));
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

// The date itself: the day by which the wanted share of the histories has finished.
MustBeTrue find_date(const ProjectionInput& input, const Rows& values, double horizon_s,
                     int histories) {
    MustBeTrue result = at_least("finish_within", "d", *input.deadline_s / kSecondsPerDay);
    Player player(resolve(input, values, {}, horizon_s));
    std::vector<double> walls;
    for (int i = 0; i < histories; ++i) {
        const History history = player.play(input.seed, static_cast<std::uint64_t>(i));
        walls.push_back(history.finished ? history.wall_s
                                         : std::numeric_limits<double>::infinity());
    }
    std::sort(walls.begin(), walls.end());
    const double needed = quantile_of(walls, input.confidence);
    if (std::isfinite(needed)) {
        result.needed = needed / kSecondsPerDay;
    } else {
        result.reason = "no date: too many histories never finish";
    }
    return result;
}

}  // namespace

std::vector<MustBeTrue> find_must_be_true(const ProjectionInput& input, double horizon_s,
                                          int histories) {
    const Rows values = values_at(input, Rows{});
    constexpr int kCount = static_cast<int>(std::size(kLevers)) + 3;
    std::vector<MustBeTrue> found(kCount);
    in_parallel(input.threads, kCount, [&](int i) {
        const auto at = static_cast<std::size_t>(i);
        if (at < std::size(kLevers)) {
            found[at] = turn(input, values, kLevers[at], histories);
        } else if (at == std::size(kLevers)) {
            found[at] = find_spares(input, values, histories);
        } else if (at == std::size(kLevers) + 1) {
            found[at] = find_devices(input, values, histories);
        } else {
            found[at] = find_date(input, values, horizon_s, histories);
        }
    });
    for (MustBeTrue& must : found) {
        if (must.name == "mtbf_per_device" && must.needed) add_soak(input, must);
    }
    return found;
}

}  // namespace ascertain::goodput
