// The ladder of commitment: what the next rung is, what it costs in device-hours, what it would
// settle. Used inside this room only.
#pragma once

#include <string>

#include "base/json.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::judge {

struct LadderQuery {
    std::string rung;           // that of the evidence
    bool qualified = false;     // on that rung
    bool chip_present = false;  // an accelerator was under test
    Json campaign;              // the session's campaign: fleets[{chip, count, chips_per_node}]
};

[[nodiscard]] NextRung next_rung(const LadderQuery& query);

[[nodiscard]] bool is_rung(std::string_view name);

}  // namespace ascertain::judge
