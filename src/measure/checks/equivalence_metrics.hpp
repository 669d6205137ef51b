// What a test of equivalence found, as metrics: the same for the trial's runs and the user's own.
#pragma once

#include <string>

#include "base/equivalence.hpp"
#include "base/observation.hpp"

namespace ascertain::checks {

// Appends `loss_difference`, `run_spread` and `replicas`, the test's own worth (`power`,
// `false_alarm_rate`, `pass_rate_at_margin`), and `equivalence_reach`, which criteria bound: at
// most 1 when equivalent, above 1 when different. Undecided or too few, it is absent with the
// reason, so that it is never a pass and never a failure. `unsound`, when not empty, is such a
// reason by itself.
void append_equivalence(Observation& observation, const Equivalence& found,
                        const EquivalenceDesign& design, std::size_t replicas, std::size_t tests,
                        const std::string& unsound);

}  // namespace ascertain::checks
