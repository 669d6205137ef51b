// The later stages of a run as the `train` request reports them.
#pragma once

#include <functional>
#include <string>

#include "base/json.hpp"
#include "base/observation.hpp"
#include "worker/training/model.hpp"
#include "worker/training/recipe.hpp"

namespace ascertain::training {

struct StagesReport {
    Observation observation;  // empty where the recipe has no later stage
    Json stages;              // [{kind, ..., accuracy{}}], docs/protocol.md
};

// Fine-tunes and reinforces as the recipe says, in place, and measures the accuracy after each.
[[nodiscard]] StagesReport run_stages(Model& model, const Recipe& recipe, std::uint64_t seed,
                                      const std::function<void(const std::string&)>& progress);

}  // namespace ascertain::training
