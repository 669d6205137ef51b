// Asks a device the same thing about one operator case after another, for as long as the budget
// lasts; the checks of operators are built on it.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "measure/checks/check.hpp"

namespace ascertain::checks {

// One case that was asked about.
struct WalkRow {
    std::size_t index = 0;     // into the list of cases
    Json result;               // the worker's result; null when it had nothing to compare with
    std::string no_reference;  // why, then
};

// The next step (an Ask for one more case, or a GiveUp), or the rows when the walk is over.
// `ask` makes the request for a case. The first case is always asked, the others while less than
// the context's budget is spent and another one like the last would still fit. Any answer but a
// result or `no_reference` ends the walk with give_up(). `needed` are metrics that every result
// must have.
using Walked = std::variant<Step, std::vector<WalkRow>>;
[[nodiscard]] Walked walk(const Context& context, const Json& state,
                          std::span<const Answer> answers, const std::vector<const Json*>& cases,
                          const std::function<Request(const Json& operator_case)>& ask,
                          std::span<const std::string_view> needed);

// The cases of the subject, most important first; empty when there are none.
[[nodiscard]] std::vector<const Json*> subject_cases(const Context& context);

}  // namespace ascertain::checks
