// The best plans for a model on a fleet: a closed-form bound for every plan that fits in memory,
// the exact schedule for those that the bound cannot rule out.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "model/architecture.hpp"
#include "predict/catalog/catalog.hpp"
#include "predict/cost/constants.hpp"
#include "predict/cost/job.hpp"
#include "predict/cost/step.hpp"
#include "predict/parallel/plan.hpp"

namespace ascertain::cost {

// What may be tried. An empty list means every sensible value.
struct SearchOptions {
    std::size_t top = 5;
    std::vector<std::int64_t> tp, pp, cp, ep, etp, micro_batch, vpp;
    std::vector<parallel::ScheduleKind> schedules;
    std::vector<parallel::Recompute> recomputes;
    std::vector<parallel::Sharding> shardings;
    std::vector<std::int64_t> pipeline_layers;   // only plans with this split; empty: even ones
    std::vector<std::int64_t> recompute_layers;  // for kBlocks; empty: the fewest that fit
    std::int64_t offload_layers = 0;             // of every plan; capped at a device's layers
    double memory_share = 0.94;                  // of the printed capacity that a job can allocate
    bool exhaustive = false;                     // price every fitting plan exactly: for tests
};

struct RankedPlan {
    parallel::Plan plan;
    StepCost cost;
    std::string
        worse_because;  // against the best plan: the part that grew most; empty for the best
};

// The fastest plan that fits, or else the leanest that does not, of one pair of tp and pp.
struct LandscapePoint {
    parallel::Plan plan;
    double step_s = 0.0;  // closed form: never above the exact time
    double memory_bytes = 0.0;
    bool fits = false;
};

struct SearchResult {
    std::int64_t considered = 0;            // combinations whose sizes divide
    std::int64_t pruned = 0;                // of them, not in memory
    std::int64_t costed = 0;                // priced by the closed form
    std::int64_t exact = 0;                 // priced by the exact schedule
    Seconds elapsed;                        // filled by the caller, who owns the clock
    std::vector<RankedPlan> plans;          // best first
    std::string nothing_fits;               // when plans is empty: what would fit
    double usable_bytes = 0.0;              // of one device
    std::vector<LandscapePoint> landscape;  // in the order of tp, then pp
};

// Errors: kUnknownValue for a number the catalog lacks, kBadInput for a batch or model that no plan
// can carry. Deterministic. Cost: about two microseconds per costed plan.
[[nodiscard]] Result<SearchResult> find_plans(const model::Architecture& architecture,
                                              const catalog::Fleet& fleet, const TrainingJob& job,
                                              const CostBook& book, const SearchOptions& options);

}  // namespace ascertain::cost
