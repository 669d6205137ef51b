// What the criteria say of one observation. The judge asks this of every attempt; the runner asks
// it while a run goes on, to know whether an attempt needs confirming.
#pragma once

#include <string>
#include <string_view>

#include "base/observation.hpp"
#include "decide/judge/criteria.hpp"

namespace ascertain::judge {

enum class Holds {
    kMet,     // every bound that applies holds
    kNotMet,  // a number contradicts its bound, or is not finite
    kWeak,    // nothing contradicts, but something needed to say so is missing
};

struct Opinion {
    Holds holds = Holds::kWeak;
    std::string reason;   // one sentence; empty when met
    Criterion criterion;  // what decided; all that apply when met
};

// Pure. An observation that nothing bounds, or that lacks a bounded number, is weak, never met.
[[nodiscard]] Opinion opinion(const CriteriaSet& criteria, std::string_view check,
                              const Observation& observation);

}  // namespace ascertain::judge
