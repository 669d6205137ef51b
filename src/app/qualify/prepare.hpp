// Everything that is settled before the first check: what the campaign asks of these devices, what
// is foretold of its fleet, and the plan of checks. Asks the reference for one training step.
#pragma once

#include <string>
#include <vector>

#include "app/forecast.hpp"
#include "app/qualify/crew.hpp"
#include "app/qualify/narrow.hpp"
#include "app/qualify/options.hpp"
#include "app/terminal.hpp"
#include "decide/evidence/chain.hpp"
#include "decide/judge/criteria.hpp"
#include "decide/judge/proofs.hpp"
#include "measure/qualification/plan.hpp"

namespace ascertain::app {

struct Preparation {
    Situation situation;
    cost::CostBook book;
    std::vector<StageForecast> stages;
    NarrowedModel narrowed;
    judge::CriteriaSet criteria;
    Crew crew;
    Json capture_answer;  // of the reference; an object with "failed" when it could not capture
    qualification::Plan plan;
    judge::Proofs proofs{};  // that still hold
};

// `earlier` are the records of a run that is resumed: its capture is used again. Errors: whatever
// is wrong with files, devices or filters.
[[nodiscard]] Result<Preparation> prepare(Terminal& terminal, const Home& home,
                                          const QualifyOptions& options,
                                          const Json& earlier_capture);

}  // namespace ascertain::app
