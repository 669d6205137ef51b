// What measure says, as decide writes it down. The two rooms do not know each other; this is where
// their words meet.
#pragma once

#include "decide/evidence/records.hpp"
#include "decide/judge/opinion.hpp"
#include "measure/qualification/attempt.hpp"
#include "measure/qualification/lane.hpp"
#include "measure/qualification/plan.hpp"

namespace ascertain::app {

[[nodiscard]] evidence::Attempt to_evidence(const qualification::Attempt& attempt);
[[nodiscard]] qualification::Attempt to_measure(const evidence::Attempt& attempt);
[[nodiscard]] evidence::PlannedCheck to_evidence(const qualification::Item& item);
[[nodiscard]] qualification::Opinion to_measure(const judge::Opinion& opinion);

}  // namespace ascertain::app
