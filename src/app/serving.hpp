// What is carried from one device to another where no published weights were named.
#pragma once

#include <cstdint>
#include <string>

#include "measure/qualification/plan.hpp"
#include "model/architecture.hpp"

namespace ascertain::app {

// The trial's model `trial`, with weights that every device makes from the same `seed`, spread far
// enough apart that its choices are clear (docs/formulas.md#handoff).
[[nodiscard]] qualification::ServeQuestion serve_trial_model(const model::Architecture& trial,
                                                             const std::string& dtype,
                                                             std::uint64_t seed);

}  // namespace ascertain::app
