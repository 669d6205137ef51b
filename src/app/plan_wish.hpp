// What the user says about the plan of a stage: only these are tried.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "predict/cost/search.hpp"

namespace CLI {
class App;
}

namespace ascertain {
class TomlTable;
}

namespace ascertain::app {

// Lists of values to try; an empty list is no wish. Counts are at least 1 unless said otherwise.
struct PlanWish {
    std::vector<std::int64_t> tp, pp, cp, ep, etp, micro_batch, vpp;
    std::vector<std::string> schedules, shardings, recomputes;  // as results print them
    std::vector<std::int64_t> recompute_layers;                 // per device, for "blocks"
    std::vector<std::int64_t> pipeline_layers;  // layers of each virtual stage, from the first on
    std::int64_t offload_layers = 0;            // per device, at least 0
};

// The flags of `plan` and `simulate`.
void add_plan_flags(CLI::App& flags, PlanWish& wish);

// The table [training.stage.plan] of a campaign. Errors are left with the table.
[[nodiscard]] PlanWish read_plan_wish(TomlTable& table);

// `wish` on top of `options`: what the command line and the campaign both name, the former says.
// kUsage for an unknown name of a schedule, sharding or recompute policy, with the known ones.
[[nodiscard]] Result<void> apply(const PlanWish& wish, cost::SearchOptions& options);

// As evidence keeps it: only what is wished.
[[nodiscard]] Json to_json(const PlanWish& wish);

}  // namespace ascertain::app
