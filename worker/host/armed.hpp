// The defect file that the simulated chip is armed with, for the engines inside the worker.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "defects/counts.hpp"
#include "defects/defect.hpp"

namespace ascertain::worker {

// What the file says that ASCERTAIN_DEFECTS names; empty where nothing is armed. Errors: those of
// reading it.
[[nodiscard]] Result<std::vector<defects::Defect>> armed_defects();

// Where matches and fires of these defects are counted (ASCERTAIN_DEFECTS_COUNTS); keeps nothing
// where no file is named.
[[nodiscard]] Result<defects::Counts> armed_counts(const std::vector<defects::Defect>& armed);

}  // namespace ascertain::worker
