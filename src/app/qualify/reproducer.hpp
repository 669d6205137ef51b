// The smallest thing that shows a failure again: one operator case, its seed and its device.
#pragma once

#include <optional>
#include <string>

#include "base/json.hpp"
#include "decide/judge/criteria.hpp"
#include "measure/qualification/attempt.hpp"
#include "measure/qualification/plan.hpp"

namespace ascertain::app {

// The operator case on which the attempt went wrong: of those that miss a bound by themselves the
// one with the fewest elements; the one that was being asked about when a worker died. Nothing when
// the attempt went well, or is no question about one operator call.
[[nodiscard]] std::optional<Json> culprit(const judge::CriteriaSet& criteria,
                                          const qualification::Item& item,
                                          const qualification::Attempt& attempt);

// "ascertain ops --case FILE --seed S --device D --only CHECK"; `flags` go behind it.
[[nodiscard]] std::string reproducer(const qualification::Attempt& attempt,
                                     const std::string& case_path, const std::string& flags);

}  // namespace ascertain::app
