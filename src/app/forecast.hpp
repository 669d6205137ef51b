// What is foretold of the campaign's large run, from paper and from what was measured: plans for
// each stage, and the months that follow from them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "app/home.hpp"
#include "app/situation.hpp"
#include "base/result.hpp"
#include "predict/cost/constants.hpp"
#include "predict/cost/search.hpp"
#include "predict/goodput/projection.hpp"

namespace ascertain::app {

// A second fleet that trains the same stage: each fleet has its own plan and its share of the
// batch, and gradients cross between them once a step (docs/formulas.md#mixed-fleets).
struct SharedStage {
    std::size_t fleet = 0;
    cost::TrainingJob job;  // with its share of the sequences
    cost::SearchResult search;
    double exchange_s = 0.0;  // of the gradients between the fleets
};

// One stage of training on its fleet: the job that the simulator prices, and the best plans for it.
struct StageForecast {
    Stage stage;
    std::size_t fleet = 0;  // index into Situation::fleets
    cost::TrainingJob job;
    cost::SearchResult search;
    std::size_t rollout_fleet = 0;      // grpo: whose chips write the answers
    std::optional<SharedStage> shared;  // absent: one fleet trains
};

// The fitted constants: those of `own`, as `calibrate --from-runs` writes them, or of
// data/cost/constants.toml where it is empty.
[[nodiscard]] Result<cost::CostBook> read_cost_book(const Home& home, const std::string& own);

// The job that a stage is for one optimizer step. A grpo stage trains on prompt and response
// together, its sequences rounded up to whole kilotokens so that they can be split.
[[nodiscard]] cost::TrainingJob job_of(const Campaign& campaign, const Stage& stage);

// Index of the fleet that is named, else the first.
[[nodiscard]] std::size_t fleet_of(const Campaign& campaign, const std::string& name);

// Plans for every stage, in order, under the campaign's wishes for each and then `wish`. A stage
// for which nothing fits has an empty list that says what would. Errors: numbers the catalog lacks,
// names that `wish` gets wrong.
[[nodiscard]] Result<std::vector<StageForecast>> forecast_stages(
    const Situation& situation, const cost::CostBook& book, const PlanWish& wish,
    std::size_t top = cost::SearchOptions{}.top);

// What the run's own measurements add to a projection.
struct Measured {
    goodput::SoakEvidence soak;              // failures in so many device-hours
    goodput::DefectFindings findings;        // software defects found, and in how long
    std::vector<goodput::Blocker> blockers;  // open ones make the probability unknown
};

// What a projection of the campaign rests on before anything was measured: stages, one or two
// fleets, prices, and the defaults of data/reliability. Errors: as forecast_months.
[[nodiscard]] Result<goodput::ProjectionInput> projection_input(
    const Home& home, const Situation& situation, const cost::CostBook& book,
    const std::vector<StageForecast>& stages);

// The months: finish date, cost, what would have to be true. kBadInput when a stage has no plan,
// saying what would fit.
[[nodiscard]] Result<goodput::Projection> forecast_months(const Home& home,
                                                          const Situation& situation,
                                                          const cost::CostBook& book,
                                                          const std::vector<StageForecast>& stages,
                                                          const Measured& measured,
                                                          std::uint64_t seed, int histories);

}  // namespace ascertain::app
