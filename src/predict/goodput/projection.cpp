#include "predict/goodput/projection.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/units.hpp"
#include "predict/goodput/ensemble.hpp"
#include "predict/goodput/levers.hpp"
#include "predict/goodput/player.hpp"

namespace ascertain::goodput {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kHorizonFactor = 4.0;  // of the deadline or of the ideal time: given up beyond
constexpr double kHorizonMax_s = 40.0 * 365.25 * kSecondsPerDay;
constexpr double kEventBudget =
    1e7;  // of each third of a projection: about half a second on two cores
// The answer gets draws x histories_per_draw; each end of a bar and each trial of a lever so much
// less.
constexpr int kTornadoDivisor = 48;
constexpr int kLeverDivisor = 24;
constexpr double kTornadoSets = 2.0 * static_cast<double>(kRent);  // two ends of each bar
constexpr double kLeverSets = 96.0;  // eight levers, a dozen trials each
constexpr int kHistogramBins = 40;
constexpr std::size_t kTraceMax = 2000;
constexpr std::uint64_t kTypicalFrom = 33;  // odd: one of them is the middle
constexpr std::size_t kTimelineSlices = 96;

// Everything the draws brought, one entry per history; a draw's histories lie together.
struct Outcomes {
    std::vector<double> finish_s;  // kNever when given up
    std::vector<double> cost_usd;
    std::vector<double> energy_kwh;
    std::vector<double> interruptions_per_day;
    std::vector<double> probability;      // of the deadline, one per draw
    std::array<double, kShares> share{};  // mean of the wall time
    std::vector<double> lost;             // the same, by cause
    double corrupted = 0.0;
    double finished = 0.0;
};

// Histories per set of inputs.
struct Effort {
    int draw;
    int tornado;
    int lever;
};

// Fewer histories where each of them is a long story: a few are played first to find out.
Effort effort_for(const ProjectionInput& input, const std::vector<Rows>& scores, double horizon_s) {
    constexpr std::size_t kPilots = 8;
    double events = 0.0;
    for (std::size_t i = 0; i < std::min(kPilots, scores.size()); ++i) {
        Player player(resolve(input, values_at(input, scores[i]), {}, horizon_s));
        events += static_cast<double>(player.play(input.seed, i).events) + 10.0;
    }
    const double affordable = kEventBudget * kPilots / events;  // histories
    const auto each = [affordable](double sets, int wanted) {
        return std::clamp(static_cast<int>(affordable / sets), std::min(8, wanted), wanted);
    };
    const int all = input.belief_draws * input.histories_per_draw;
    return {each(input.belief_draws, input.histories_per_draw),
            each(kTornadoSets, std::max(8, all / kTornadoDivisor)),
            each(kLeverSets, std::max(8, all / kLeverDivisor))};
}

// Sums over the histories of one draw.
struct DrawSums {
    std::array<double, kShares> share{};
    std::vector<double> lost;
    double finished = 0.0;
    double corrupted = 0.0;
};

void play_draw(const ProjectionInput& input, const Rows& scores, int draw, int histories,
               double horizon_s, Outcomes& outcomes, DrawSums& sums) {
    const Rows values = values_at(input, scores);
    Player player(resolve(input, values, {}, horizon_s));
    int in_time = 0;
    sums.lost.assign(input.failures.size() + kCauses, 0.0);
    for (int i = 0; i < histories; ++i) {
        const auto at = static_cast<std::size_t>(draw) * static_cast<std::size_t>(histories) +
                        static_cast<std::size_t>(i);
        const History history = player.play(input.seed, at);
        const Bill cost = bill(input, values, history);
        const double wall_days = history.wall_s / kSecondsPerDay;
        outcomes.finish_s[at] = history.finished ? history.wall_s : kNever;
        outcomes.cost_usd[at] = history.finished && cost.cost_usd ? *cost.cost_usd : kNever;
        outcomes.energy_kwh[at] = history.finished && cost.energy_kwh ? *cost.energy_kwh : kNever;
        outcomes.interruptions_per_day[at] =
            wall_days > 0.0 ? static_cast<double>(history.interruptions) / wall_days : 0.0;
        in_time += input.deadline_s && outcomes.finish_s[at] <= *input.deadline_s ? 1 : 0;
        for (std::size_t s = 0; s < kShares; ++s)
            sums.share[s] += history.share_s[s] / history.wall_s;
        for (std::size_t c = 0; c < sums.lost.size(); ++c)
            sums.lost[c] += history.lost_s[c] / history.wall_s;
        sums.finished += history.finished ? 1.0 : 0.0;
        sums.corrupted += history.corrupted_at_end ? 1.0 : 0.0;
    }
    outcomes.probability[static_cast<std::size_t>(draw)] = static_cast<double>(in_time) / histories;
}

Outcomes play_all(const ProjectionInput& input, const std::vector<Rows>& scores, int histories,
                  double horizon_s) {
    const std::size_t draws = scores.size();
    const std::size_t count = draws * static_cast<std::size_t>(histories);
    Outcomes outcomes;
    outcomes.finish_s.resize(count);
    outcomes.cost_usd.resize(count);
    outcomes.energy_kwh.resize(count);
    outcomes.interruptions_per_day.resize(count);
    outcomes.probability.resize(draws);
    std::vector<DrawSums> sums(draws);
    in_parallel(input.threads, static_cast<int>(draws), [&](int draw) {
        play_draw(input, scores[static_cast<std::size_t>(draw)], draw, histories, horizon_s,
                  outcomes, sums[static_cast<std::size_t>(draw)]);
    });
    outcomes.lost.assign(input.failures.size() + kCauses, 0.0);
    const auto all = static_cast<double>(count);
    for (const DrawSums& draw : sums) {  // in order: sums do not depend on threads
        for (std::size_t s = 0; s < kShares; ++s) outcomes.share[s] += draw.share[s] / all;
        for (std::size_t c = 0; c < draw.lost.size(); ++c) outcomes.lost[c] += draw.lost[c] / all;
        outcomes.finished += draw.finished / all;
        outcomes.corrupted += draw.corrupted / all;
    }
    return outcomes;
}

Quantiles quantiles(std::vector<double> values, double scale, const std::string& reason) {
    std::sort(values.begin(), values.end());
    const auto at = [&](double p) -> std::optional<double> {
        const double value = quantile_of(values, p);
        return std::isfinite(value) ? std::optional<double>(value / scale) : std::nullopt;
    };
    Quantiles result{at(0.1), at(0.5), at(0.9), {}};
    if (!result.p90) result.reason = reason;
    return result;
}

std::vector<WaterfallPart> waterfall(const ProjectionInput& input, const Outcomes& outcomes) {
    std::vector<WaterfallPart> parts;
    const double useful = outcomes.share[static_cast<std::size_t>(Share::kUseful)];
    const double answers = useful * rollout_share(input);
    const double training = useful - answers;
    double inside_step = 0.0;
    for (const StepShare& share : input.step_shares) {
        parts.push_back({share.name, training * share.ratio});
        inside_step += share.ratio;
    }
    parts.insert(parts.begin(), {"useful", training * (1.0 - inside_step)});
    if (answers > 0.0) parts.insert(parts.begin() + 1, {"rollout", answers});
    for (std::size_t s = 1; s < kShares; ++s) {
        parts.push_back({std::string(name_of(static_cast<Share>(s))), outcomes.share[s]});
    }
    return parts;
}

std::vector<WaterfallPart> lost_to(const ProjectionInput& input, const Outcomes& outcomes) {
    std::vector<WaterfallPart> parts;
    for (const FailureShape& shape : input.failures)
        parts.push_back({shape.name, outcomes.lost[parts.size()]});
    for (std::size_t c = 0; c < kCauses; ++c)
        parts.push_back({std::string(name_of(static_cast<Cause>(c))), outcomes.lost[parts.size()]});
    return parts;
}

void fill_histogram(Projection& projection, const Outcomes& outcomes) {
    std::vector<double> days;
    for (const double finish_s : outcomes.finish_s) {
        if (std::isfinite(finish_s)) days.push_back(finish_s / kSecondsPerDay);
    }
    if (days.empty()) return;
    std::sort(days.begin(), days.end());
    const double first = days.front();
    const double width = std::max((quantile_of(days, 0.995) - first) / kHistogramBins, 1e-9);
    projection.finish_days_histogram.assign(kHistogramBins, 0);
    for (int bin = 0; bin <= kHistogramBins; ++bin) {
        projection.finish_days_histogram_edges.push_back(first + width * bin);
    }
    for (const double day : days) {
        const auto bin = std::min(kHistogramBins - 1, static_cast<int>((day - first) / width));
        ++projection.finish_days_histogram[static_cast<std::size_t>(bin)];
    }
}

std::vector<Provenance> provenance_of(const ProjectionInput& input) {
    std::vector<Provenance> list;
    for (const StageInput& stage : input.stages) {
        const Uncertain step = widened(stage.step_s);
        list.push_back(
            {"step_s." + stage.kind, "s", step.mid, step.low, step.high, step.kind, step.source});
    }
    for (std::size_t i = kFailureRate; i < kInputs; ++i) {
        const auto row = static_cast<Input>(i);
        if (const auto belief = belief_of(input, row)) {
            const Uncertain wide = widened(*belief);
            list.push_back({std::string(row_of(row).name), std::string(row_of(row).unit), wide.mid,
                            wide.low, wide.high, wide.kind, wide.source});
        }
    }
    return list;
}

std::string not_reached(const Projection& projection) {
    return fmt::format(
        "{:.1f} % of the histories did not finish within {:.0f} days or made no headway",
        100.0 * (1.0 - projection.finished_ratio), projection.horizon_days);
}

// Yes, no, or unknown, and why.
void decide(const ProjectionInput& input, const std::vector<double>& probability,
            Projection& projection) {
    DeadlineProbability& deadline = projection.deadline;
    if (!projection.tornado.empty()) {
        const TornadoBar& first = projection.tornado.front();
        deadline.decided_by = first.name;
        deadline.decided_by_kind = first.kind;
        deadline.settled_by = first.settled_by;
    }
    if (!input.blockers.empty()) {
        deadline.reason = fmt::format("unknown while a blocker is open: {}: {}",
                                      input.blockers.front().check, input.blockers.front().reason);
        return;
    }
    if (!input.deadline_s) {
        deadline.reason = "the campaign names no date to finish by";
        return;
    }
    std::vector<double> sorted = probability;
    std::sort(sorted.begin(), sorted.end());
    deadline.low = quantile_of(sorted, 0.1);
    deadline.mid = quantile_of(sorted, 0.5);
    deadline.high = quantile_of(sorted, 0.9);
    if (*deadline.low >= input.confidence) {
        projection.answer = Answer::kLikely;
        deadline.reason = "reaches the wanted confidence even where the inputs are unkind";
    } else if (*deadline.high < input.confidence) {
        projection.answer = Answer::kUnlikely;
        deadline.reason = "misses the wanted confidence even where the inputs are kind";
    } else {
        deadline.reason = fmt::format("{} decides it ({}); {} would settle it", deadline.decided_by,
                                      name_of(deadline.decided_by_kind), deadline.settled_by);
    }
}

// The history of median length among a few, with its trace and timeline.
History play_typical(Player& player, std::uint64_t seed, Projection& projection) {
    std::vector<std::pair<double, std::uint64_t>> lengths;
    for (std::uint64_t index = 0; index < kTypicalFrom; ++index)
        lengths.emplace_back(player.play(seed, index).wall_s, index);
    std::ranges::sort(lengths);
    const std::uint64_t typical = lengths[lengths.size() / 2].second;
    std::vector<Snapshot> snapshots;
    History history = player.play(seed, typical, &projection.trace, &snapshots);
    if (projection.trace.size() > kTraceMax) projection.trace.resize(kTraceMax);
    projection.timeline = timeline_of(snapshots, kTimelineSlices);
    projection.timeline.history = typical;
    projection.timeline.chosen_from = static_cast<std::int64_t>(kTypicalFrom);
    return history;
}

}  // namespace

std::string_view name_of(Answer answer) {
    switch (answer) {
        case Answer::kLikely: return "LIKELY";
        case Answer::kUnlikely: return "UNLIKELY";
        case Answer::kUnknown: return "UNKNOWN";
    }
    return "UNKNOWN";
}

Result<Projection> project(const ProjectionInput& input) {
    if (auto checked = validate(input); !checked) return checked.error();
    const Rows middle = values_at(input, Rows{});
    const double ideal_s = total_work_s(resolve(input, middle, {}, 1.0));
    const double horizon_s =
        std::min(kHorizonFactor * std::max(input.deadline_s.value_or(0.0), ideal_s), kHorizonMax_s);
    const RunSetup at_middle = resolve(input, middle, {}, horizon_s);
    if (auto checked = validate(at_middle); !checked) return checked.error();

    Projection projection;
    Player player(at_middle);
    const History first = play_typical(player, input.seed, projection);
    const std::vector<Rows> scores =
        latin_scores(input.seed, input.belief_draws, input.operations_correlation);
    const Effort effort = effort_for(input, scores, horizon_s);
    const Outcomes outcomes = play_all(input, scores, effort.draw, horizon_s);

    projection.confidence = input.confidence;
    projection.seed = input.seed;
    projection.blockers = input.blockers;
    projection.histories = static_cast<std::int64_t>(outcomes.finish_s.size());
    if (input.deadline_s) projection.deadline_days = *input.deadline_s / kSecondsPerDay;
    projection.ideal_days = ideal_s / kSecondsPerDay;
    projection.horizon_days = horizon_s / kSecondsPerDay;
    projection.finished_ratio = outcomes.finished;
    projection.corrupted_at_end_ratio = outcomes.corrupted;
    projection.finish_days = quantiles(outcomes.finish_s, kSecondsPerDay, not_reached(projection));
    const bool priced = bill(input, middle, first).cost_usd.has_value();
    const bool powered = input.beliefs.power_w_per_device.has_value();
    projection.cost_usd =
        quantiles(outcomes.cost_usd, 1.0, priced ? not_reached(projection) : "nobody gave a price");
    projection.energy_kwh = quantiles(outcomes.energy_kwh, 1.0,
                                      powered ? not_reached(projection) : "nobody gave a power");
    projection.budget_usd = input.budget_usd;
    if (input.budget_usd && priced) {
        const auto within = std::count_if(outcomes.cost_usd.begin(), outcomes.cost_usd.end(),
                                          [&](double cost) { return cost <= *input.budget_usd; });
        projection.probability_within_budget =
            static_cast<double>(within) / static_cast<double>(outcomes.cost_usd.size());
    }
    projection.interruptions_per_day = quantiles(outcomes.interruptions_per_day, 1.0, {});
    projection.waterfall = waterfall(input, outcomes);
    projection.lost_to = lost_to(input, outcomes);
    projection.goodput_ratio = outcomes.share[static_cast<std::size_t>(Share::kUseful)];
    projection.failure_prior_share = prior_share(input.failure.rate, input.soak);
    projection.checkpoint_interval_s = checkpoint_interval_s(at_middle);
    fill_histogram(projection, outcomes);
    projection.tornado = find_tornado(input, horizon_s, effort.tornado);
    if (input.deadline_s)
        projection.must_be_true = find_must_be_true(input, horizon_s, effort.lever);
    projection.provenance = provenance_of(input);
    decide(input, outcomes.probability, projection);
    return projection;
}

}  // namespace ascertain::goodput
