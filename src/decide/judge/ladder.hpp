// The ladder of commitment: whether a run may speak of its rung, what the next rung is, what it
// costs in device-hours, what it would settle.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::judge {

struct LadderQuery {
    std::string rung;           // that of the evidence
    bool qualified = false;     // on that rung
    bool chip_present = false;  // an accelerator was under test
    // The session's campaign: fleets[{chip, count, chips_per_node, chips_per_domain}].
    Json campaign;
    // Foretold and not measured, as "what (from low to high unit)", by the rung that would measure
    // it.
    std::vector<std::pair<std::string, std::string>> open;
};

// A rung as the campaign has it.
struct RungStep {
    std::string rung;
    double devices = 0.0;
    double hours = 0.0;  // that they are held
};

// This rung and the one after it, those of which the campaign says how many devices they have.
[[nodiscard]] std::vector<RungStep> steps_from(std::string_view rung, const Json& campaign);

[[nodiscard]] NextRung next_rung(const LadderQuery& query);

// Why a run with so many devices under test and these required checks cannot speak of `rung`; empty
// when it can. A rung above the device is about devices together: all of its devices must be under
// test, and something must have been required of their links.
[[nodiscard]] std::string rung_doubt(std::string_view rung, std::size_t devices,
                                     const std::vector<evidence::PlannedCheck>& planned,
                                     const Json& campaign);

[[nodiscard]] bool is_rung(std::string_view name);

}  // namespace ascertain::judge
