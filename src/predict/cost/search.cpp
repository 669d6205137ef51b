#include "predict/cost/search.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "predict/cost/searcher.hpp"

namespace ascertain::cost {
namespace {

// One candidate for each pair of tp and pp, kept while all of them pass by.
class Landscape {
public:
    void see(const Candidate& candidate, double bytes, bool fits) {
        Seen& seen = best_[{candidate.plan.tp, candidate.plan.pp}];
        const bool better = !seen.candidate.costs || (fits && !seen.fits) ||
                            (fits && candidate.bound_s < seen.candidate.bound_s) ||
                            (!fits && !seen.fits && bytes < seen.bytes);
        if (better) seen = {candidate, bytes, fits};
    }
    Result<std::vector<LandscapePoint>> points(Searcher& searcher) const {
        std::vector<LandscapePoint> list;
        for (const auto& [degrees, seen] : best_) {
            double step_s = seen.candidate.bound_s;
            if (!seen.fits) {
                const auto bound = searcher.price(seen.candidate, Precision::kBound);
                if (!bound) return bound.error();
                step_s = bound->step_s;
            }
            list.push_back({seen.candidate.plan, step_s, seen.bytes, seen.fits});
        }
        return list;
    }

private:
    struct Seen {
        Candidate candidate;
        double bytes = 0.0;
        bool fits = false;
    };
    std::map<std::pair<std::int64_t, std::int64_t>, Seen> best_;
};

// Layers of a device with which some plan fits once their activations wait in host memory; 0: none
// does, or nobody knows the host link.
std::int64_t offload_that_fits(Searcher& searcher, const catalog::Fleet& fleet,
                               double usable_bytes) {
    std::int64_t fewest = 0;
    if (!need_host_link(fleet, 1)) return fewest;
    const auto done =
        searcher.enumerate(fleet.count, [&](const Plan& plan, const SharedCosts& costs) {
            Plan away = plan;
            away.offload_layers = searcher.layers_per_device(plan);
            if (fewest > 0 && away.offload_layers >= fewest) return;
            if (searcher.memory_bytes(away, costs.work) <= usable_bytes)
                fewest = away.offload_layers;
        });
    return done ? fewest : 0;
}

// What would fit, when nothing does: the least memory found, and the fleet size at which it fits.
std::string what_would_fit(Searcher& searcher, const catalog::Fleet& fleet, double least_bytes,
                           const Plan& least_plan, double usable_bytes) {
    std::string text =
        fmt::format("no plan fits: the leanest ({}) needs {} per device, usable are {} of {}",
                    describe(least_plan), format_size(Bytes{least_bytes}),
                    format_size(Bytes{usable_bytes}), fleet.chip.id);
    if (const std::int64_t layers = offload_that_fits(searcher, fleet, usable_bytes); layers > 0)
        text += fmt::format(
            "; activations of {} layers a device left to the host "
            "(--offload-layers {}) would make it fit",
            layers, layers);
    for (std::int64_t factor = 2; factor <= 64; factor *= 2) {
        double least = std::numeric_limits<double>::infinity();
        const auto done = searcher.enumerate(
            fleet.count * factor, [&](const Plan& plan, const SharedCosts& costs) {
                if (least > usable_bytes)
                    least = std::min(least, searcher.memory_bytes(plan, costs.work));
            });
        if (done && least <= usable_bytes)
            return text +
                   fmt::format("; {} devices of this kind would hold it", fleet.count * factor);
    }
    return text +
           fmt::format("; devices with {} would hold it", format_size(Bytes{least_bytes / 0.94}));
}

// A split of the layers that the user gave and that no plan has.
Error no_such_split(const Architecture& architecture, const std::vector<std::int64_t>& split) {
    const std::int64_t sum = std::accumulate(split.begin(), split.end(), std::int64_t{0});
    const std::int64_t layers = layer_count(architecture);
    if (sum != layers)
        return {
            ErrorCode::kBadInput,
            fmt::format("{} stages hold {} layers, the model has {}", split.size(), sum, layers),
            "plan.pipeline_layers"};
    return {ErrorCode::kBadInput,
            fmt::format("no plan that is allowed has {} virtual stages (pp x chunks per rank), or "
                        "its sizes do not divide",
                        split.size()),
            "plan.pipeline_layers"};
}

// The contradiction in what was asked for, when that alone leaves no plan: the first value of each
// wish, one for what nobody asked, checked as the plan that it is.
std::optional<Error> contradiction(const Architecture& architecture, std::int64_t devices,
                                   const TrainingJob& job, const SearchOptions& options) {
    const auto first = [](const std::vector<std::int64_t>& wish) {
        return wish.empty() ? std::int64_t{1} : wish.front();
    };
    Plan plan;
    plan.tp = first(options.tp);
    plan.cp = first(options.cp);
    plan.pp = first(options.pp);
    plan.ep = first(options.ep);
    plan.etp = first(options.etp);
    plan.vpp = first(options.vpp);
    plan.micro_batch = first(options.micro_batch);
    const std::int64_t replica = plan.tp * plan.cp * plan.pp;
    if (devices % replica != 0)
        return Error{ErrorCode::kBadInput,
                     fmt::format("tp {} x pp {} x cp {} does not divide {} devices", plan.tp,
                                 plan.pp, plan.cp, devices),
                     "plan"};
    plan.dp = devices / replica;
    plan.schedule = plan.pp == 1                 ? ScheduleKind::kNone
                    : !options.schedules.empty() ? options.schedules.front()
                    : plan.vpp > 1               ? ScheduleKind::kInterleaved
                                                 : ScheduleKind::k1F1B;
    const Architecture padded = padded_for(architecture, plan.tp);
    const Result<void> checked = parallel::check_plan(padded, plan, devices, job.batch());
    if (checked) return std::nullopt;
    return checked.error();
}

std::string why_worse(const StepCost& best, const StepCost& other) {
    std::size_t part = 0;
    double most = -std::numeric_limits<double>::infinity();
    for (std::size_t i = 0; i < kPartCount; ++i) {
        const double more = other.parts[i] - best.parts[i];
        if (more > most) {
            most = more;
            part = i;
        }
    }
    return fmt::format("{:+.1f} % time, most of it {} ({} more)",
                       100.0 * (other.step_s / best.step_s - 1.0), name_of(static_cast<Part>(part)),
                       format_duration(Seconds{std::max(0.0, most)}));
}

}  // namespace

Result<SearchResult> find_plans(const Architecture& architecture, const catalog::Fleet& fleet,
                                const TrainingJob& job, const CostBook& book,
                                const SearchOptions& options) {
    if (job.sequence_length < 1 || job.global_batch_sequences < 1)
        return Error{ErrorCode::kBadInput, "sequence length and global batch must be at least 1",
                     "training"};
    const model::Position& position = architecture.position;
    if (position.kind == model::PositionKind::kLearned && job.sequence_length > position.length_max)
        return Error{
            ErrorCode::kBadInput,
            fmt::format("sequences of {} tokens, but the model learns a position table of {} "
                        "rows: train on at most {} tokens, or give it a longer table",
                        job.sequence_length, position.length_max, position.length_max),
            "training.sequence_length"};
    if (const auto link = need_host_link(fleet, options.offload_layers); !link) return link.error();
    TrainingJob gathering = job;
    gathering.sharded_weights = true;
    const Result<Machine> machine = resolve_machine(fleet, job, book);
    if (!machine) return machine.error();
    const Result<Machine> sharded = resolve_machine(fleet, gathering, book);
    if (!sharded) return sharded.error();
    Searcher searcher(architecture, fleet, job, *machine, *sharded, options);
    SearchResult result;
    const double usable = machine->memory_bytes * options.memory_share;
    double least = std::numeric_limits<double>::infinity();
    Plan least_plan;
    std::vector<Candidate> candidates;
    candidates.reserve(1u << 15);
    std::optional<Error> failed;
    Landscape landscape;
    const auto done =
        searcher.enumerate(fleet.count, [&](const Plan& plan, const SharedCosts& costs) {
            ++result.considered;
            const double bytes = searcher.memory_bytes(plan, costs.work);
            if (bytes < least) {
                least = bytes;
                least_plan = plan;
            }
            Candidate candidate{plan, &costs, 0.0};
            if (bytes > usable) {
                ++result.pruned;
                landscape.see(candidate, bytes, false);
                return;
            }
            const Result<StepSeconds> bound = searcher.price(candidate, Precision::kBound);
            if (!bound) {
                failed = bound.error();
                return;
            }
            ++result.costed;
            candidate.bound_s = bound->step_s;
            landscape.see(candidate, bytes, true);
            candidates.push_back(candidate);
        });
    if (!done) return done.error();
    if (failed) return *failed;
    if (result.considered == 0 && !options.pipeline_layers.empty())
        return no_such_split(architecture, options.pipeline_layers);
    if (result.considered == 0)
        if (auto error = contradiction(architecture, fleet.count, job, options)) return *error;
    if (result.considered == 0)
        return Error{
            ErrorCode::kBadInput,
            fmt::format(
                "no plan divides: {} devices, {} layers, {} heads, {} sequences of {} tokens",
                fleet.count, layer_count(architecture), architecture.attention.heads,
                job.global_batch_sequences, job.sequence_length),
            "plan"};
    result.usable_bytes = usable;
    Result<std::vector<LandscapePoint>> points = landscape.points(searcher);
    if (!points) return points.error();
    result.landscape = std::move(points).value();
    if (candidates.empty()) {
        result.nothing_fits = what_would_fit(searcher, fleet, least, least_plan, usable);
        return result;
    }

    std::sort(candidates.begin(), candidates.end(),
              [](const Candidate& a, const Candidate& b) { return a.bound_s < b.bound_s; });
    struct Scored {
        const Candidate* candidate;
        double step_s;
    };
    std::vector<Scored> best;  // at most `top`, fastest first
    for (const Candidate& candidate : candidates) {
        const bool full = best.size() >= options.top;
        if (full && !options.exhaustive && candidate.bound_s >= best.back().step_s) break;
        const Result<StepSeconds> exact = searcher.price(candidate, Precision::kPeriod);
        if (!exact) return exact.error();
        ++result.exact;
        const Scored scored{&candidate, exact->step_s};
        best.insert(
            std::upper_bound(best.begin(), best.end(), scored,
                             [](const Scored& a, const Scored& b) { return a.step_s < b.step_s; }),
            scored);
        if (best.size() > options.top) best.pop_back();
    }
    for (const Scored& scored : best) {
        Result<StepCost> cost = step_cost(architecture, fleet, job, scored.candidate->plan, book);
        if (!cost) return cost.error();
        result.plans.push_back({scored.candidate->plan, std::move(cost).value(), ""});
    }
    std::stable_sort(
        result.plans.begin(), result.plans.end(),
        [](const RankedPlan& a, const RankedPlan& b) { return a.cost.step_s < b.cost.step_s; });
    for (std::size_t i = 1; i < result.plans.size(); ++i)
        result.plans[i].worse_because = why_worse(result.plans.front().cost, result.plans[i].cost);
    return result;
}

}  // namespace ascertain::cost
