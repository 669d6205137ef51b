// The serving side of a campaign: which layout on its serving chip, how many chips, at what price.
#pragma once

#include <optional>

#include "app/home.hpp"
#include "app/situation.hpp"
#include "base/json.hpp"
#include "base/result.hpp"
#include "predict/cost/constants.hpp"
#include "predict/serving/layouts.hpp"

namespace ascertain::app {

struct Sizing {
    catalog::Fleet fleet;  // of the serving chip; count: devices there are, or tried
    serving::Engine engine;
    serving::Workload workload;
    serving::Limits limits;
    serving::Ranked ranked;  // best first; empty: nothing serves, and why
    // Devices for what the campaign's users ask for, in whole replicas: at the high, middle and low
    // rate. Absent when nothing is asked for, or nothing serves.
    std::optional<cost::Interval> devices;
    std::optional<cost::Interval>
        usd_per_million_tokens;  // output tokens; absent: no rent is known
};

// `top` layouts at most. Errors: kUsage when the campaign names no serving chip, kBadInput for an
// unknown one, kUnknownValue for a number that the catalog lacks.
[[nodiscard]] Result<Sizing> size_serving(const Home& home, const Situation& situation,
                                          const cost::CostBook& book, std::size_t top);

// ascertain.serving/1
[[nodiscard]] Json to_json(const Sizing& sizing);

}  // namespace ascertain::app
