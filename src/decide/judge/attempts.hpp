// One check judged from its attempts alone, outside a run: as `judge` would, by the same rules.
#pragma once

#include <vector>

#include "decide/evidence/records.hpp"
#include "decide/judge/criteria.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::judge {

// `attempts` are those of `planned`, measured and confirmed. `device_answers`: another check
// completed on that device. Pure.
[[nodiscard]] CheckVerdict judge_attempts(evidence::PlannedCheck planned,
                                          const std::vector<evidence::Attempt>& attempts,
                                          bool device_answers, const CriteriaSet& criteria);

}  // namespace ascertain::judge
