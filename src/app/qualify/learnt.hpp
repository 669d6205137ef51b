// What a run's own evidence adds to the projection at its end.
#pragma once

#include <string>
#include <vector>

#include "app/forecast.hpp"
#include "decide/evidence/chain.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::app {

// Blockers: required checks that fail. Soak: failures and device-hours of every soak. Findings:
// each check that fails is a software defect found in the time that measuring took, by checks that
// reach so much of what the fleet will meet as `rung` does. Records that do not read add nothing:
// the verdict speaks of them.
[[nodiscard]] Measured learnt_from(const std::vector<evidence::Record>& records,
                                   const judge::Verdict& verdict, const std::string& rung);

}  // namespace ascertain::app
