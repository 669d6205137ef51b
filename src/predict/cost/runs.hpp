// Published training runs, and how one becomes a prediction's input. docs/validation.md
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "predict/catalog/catalog.hpp"
#include "predict/cost/job.hpp"
#include "predict/parallel/plan.hpp"

namespace ascertain::cost {

// One row: what was run, and how long a step took. A row that cannot be predicted says why.
struct PublishedRun {
    std::string id;
    std::string series;
    std::string chip;  // as the row names it
    std::string framework;
    std::string trust;  // "A": the authors' own measurement; "B", "C": see the data's page
    std::vector<std::string>
        assumed;                  // settings that the source does not state, or we had to guess
    std::string refused_because;  // empty: everything below is filled
    model::Architecture architecture;
    parallel::Plan plan;
    TrainingJob job;
    catalog::Fleet fleet;
    double measured_step_s = 0.0;
    double uncertainty = 0.0;  // one-sided relative, of the measurement
    bool experts = false;

    // Settings that decide the time and were assumed: micro-batch, chunks per rank, recompute, the
    // rate of a network that the run uses.
    [[nodiscard]] std::vector<std::string> decisive_assumptions() const;
    [[nodiscard]] bool decisive_assumption() const { return !decisive_assumptions().empty(); }
};

// Reads a list of rows, an object with such a list under "rows" or "runs", or one row. A malformed
// row is refused by name, not skipped; kBadInput when the document is no list of objects. Never
// fails for a null.
[[nodiscard]] Result<std::vector<PublishedRun>> read_runs(const Json& document,
                                                          const catalog::Catalog& catalog,
                                                          std::string_view name);

}  // namespace ascertain::cost
