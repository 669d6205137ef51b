// What the ranks of the campaign's best plan send one another, and how long devices are soaked.
#pragma once

#include <vector>

#include "app/forecast.hpp"
#include "app/qualify/options.hpp"
#include "app/situation.hpp"
#include "measure/qualification/plan.hpp"

namespace ascertain::app {

// The messages are those of the first stage's best plan, at full size; checks cut them for time.
// No plan fits: none.
[[nodiscard]] qualification::TogetherQuestion together_question(
    const Situation& situation, const std::vector<StageForecast>& stages,
    const QualifyOptions& options);

}  // namespace ascertain::app
