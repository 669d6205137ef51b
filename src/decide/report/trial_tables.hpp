// What the trial found beside its curves: equivalence with its band, parallel forms, resumptions.
#pragma once

#include <string>

#include "decide/report/material.hpp"

namespace ascertain::report {

// HTML; empty where the check has none of them. Inside this room only.
[[nodiscard]] std::string trial_tables(const Material& material, const judge::CheckVerdict& check);

}  // namespace ascertain::report
