// What a captured step says of each operator's support, held against the reference's step: of
// ops_coverage.cpp. docs/formulas.md#coverage.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::checks {

using OperatorKey = std::pair<std::string, std::string>;  // "mm", phase

// One operator of a step; overloads of one name are one.
struct SteppedOperator {
    std::string name;      // "aten::mm"
    std::string overload;  // of its first entry
    double share_of_step = 0.0;
    double seconds = 0.0;  // all calls; 0 when unknown
    double count = 0.0;
};

// The operators of a capture that compute something. Errors: kBadInput for an entry without name
// or phase, and when none computes.
[[nodiscard]] Result<std::map<OperatorKey, SteppedOperator>> compute_operators(
    const Json& operators);

// [{name, overload}] of what the reference's step has, for the worker's registration tables.
[[nodiscard]] Json asked_of_tables(const std::map<OperatorKey, SteppedOperator>& expected);

// How the device's time of an operator compares with the reference's.
struct Timing {
    double usual_ratio = 0.0;  // median device / reference over native operators; 0: unknown
    double step_s = 0.0;       // the device's step; 0 when it did not complete

    // What the times say of one operator: "slow", "usual" or "unknown".
    [[nodiscard]] std::string_view says(double device_s, const SteppedOperator* reference) const;
    // The step's time over what it would be, were this operator as fast as the device's others;
    // null where times are unknown.
    [[nodiscard]] Json price(double device_s, double reference_s) const;
};
[[nodiscard]] Timing timing_of(const Json& operators, double step_s,
                               const std::map<OperatorKey, SteppedOperator>& expected);

// An operator that only the reference's own device has, such as its kernel of attention: no other
// device is asked for it.
[[nodiscard]] bool is_reference_own(const std::string& name);

// Operators of the reference's step that the device's step lacks.
struct Lacking {
    Json missing = Json::array();   // {name, overload, phase, share_of_step, support,
                                    // support_reason, slowdown_ratio}
    Json not_seen = Json::array();  // the same: registered, and something else ran in that phase
    double missing_share = 0.0;
};
// `tables`: [{name, overload, support}], the worker's answer; `seen` is empty when no step ran:
// then an operator is missing only when the tables have it not.
[[nodiscard]] Lacking lacking_of(const std::map<OperatorKey, SteppedOperator>& expected,
                                 const std::map<OperatorKey, SteppedOperator>& seen,
                                 const Json& tables, const Timing& timing);

}  // namespace ascertain::checks
