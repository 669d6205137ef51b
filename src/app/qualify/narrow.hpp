// The part of the model that this machine measures: what one rank of the plan builds, one layer of
// each kind, and few enough tokens for the time there is. Every cut is written down.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/situation.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "base/units.hpp"
#include "measure/checks/check.hpp"
#include "model/architecture.hpp"
#include "predict/parallel/plan.hpp"

namespace ascertain::app {

// What was made smaller, for evidence and report: the step's operators keep every other size.
struct Cut {
    std::string dimension;  // "layers", "tokens", "tp" …
    double from = 0.0;
    double to = 0.0;
};

struct NarrowedModel {
    model::Architecture architecture;  // one rank, one layer of each kind
    std::int64_t sequences = 1;
    std::int64_t sequence_length = 0;
    std::vector<Cut> cuts;
    Bytes training_memory;  // weights, gradients, optimizer and what capturing keeps: rough
};

// `plan` is the fleet's best; `on_cpu`: a CPU is among the devices. Errors: kBadInput when the
// narrowed model needs more than `memory_limit`, naming both.
[[nodiscard]] Result<NarrowedModel> narrow_to_rank(const Situation& situation,
                                                   const parallel::Plan& plan,
                                                   checks::Profile profile, bool on_cpu,
                                                   Bytes memory_limit);

// Half of this machine's memory: the rest is for references and everybody else.
[[nodiscard]] Bytes memory_for_measuring();

[[nodiscard]] Json to_json(const std::vector<Cut>& cuts);

}  // namespace ascertain::app
