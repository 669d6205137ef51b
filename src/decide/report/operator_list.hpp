// The operators of a step as one list, worst first: what the map in the report and
// `ascertain ops` show. docs/formulas.md#operator-list.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "decide/report/html.hpp"

namespace ascertain::report {

struct Material;

// One operator in one phase of the step.
struct OperatorPhase {
    std::string phase;  // forward, backward, clip, optimizer, generation
    std::optional<double> count;
    std::optional<double> share_of_step;
    std::string support;  // "" when nobody was asked
};

// One operator on one device.
struct OperatorEntry {
    std::string name;           // last part of check ids, "mm"
    std::string operator_name;  // "aten::mm"; "" when only checks know it
    std::string device;
    std::vector<OperatorPhase> phases;
    std::optional<double> count;          // calls per step, all phases
    std::optional<double> share_of_step;  // all phases
    std::string support;  // the worst of the phases: missing, fallback, not_seen, composite, native
    std::string support_reason;            // what tells so, or why nothing does
    std::optional<double> slowdown_ratio;  // the step takes so many times as long for it; estimated
    std::vector<const judge::CheckVerdict*> checks;  // that ask about it, worst first
    std::string without_check;                       // why nothing was asked, when nothing was
    int badness = 0;  // as report::badness(); 3 where nothing was asked
};

// Worst first, then by share of the step. `captured` are the operators of the reference's step,
// for runs whose own coverage was not asked; may be null.
[[nodiscard]] std::vector<OperatorEntry> operator_list(const Material& material,
                                                       const Json& captured);

// ascertain.operators/1, data/schema/operators.schema.json.
[[nodiscard]] Json operators_document(const ReportInput& input, const Json& captured);

}  // namespace ascertain::report
