// The documents that other programs read: ascertain.plan/1 and its parts.
#pragma once

#include "base/json.hpp"
#include "predict/cost/search.hpp"

namespace ascertain::cost {

// One step: seconds with interval, parts, memory, basis, tornado.
[[nodiscard]] Json to_json(const StepCost& cost);
// ascertain.plan/1, data/schema/plan.schema.json.
[[nodiscard]] Json to_json(const SearchResult& result);

}  // namespace ascertain::cost
