// What was recorded, as JSON: the members of the answer to `capture` and of a case file
// (data/schema/cases.schema.json).
#pragma once

#include <optional>
#include <string_view>

#include "base/json.hpp"
#include "worker/operators/recorder.hpp"

namespace ascertain::operators {

// The phase that is no part of a training step.
inline constexpr std::string_view kGeneration = "generation";

// [{name, overload, phase, compute, count, support, seconds, share_of_step, case_ids,
// without_case_reason, ...}] in order of first appearance. `step_s`: seconds of the recorded
// step(s), for the shares; nothing when times were not kept.
[[nodiscard]] Json operators_document(const Recording& recording, std::optional<double> step_s);

// All cases, `ascertain.case/1` each.
[[nodiscard]] Json cases_document(const Recording& recording);

// [{name, phase, m, n, k, batch, count}] of the step's products.
[[nodiscard]] Json gemms_document(const Recording& recording);

}  // namespace ascertain::operators
