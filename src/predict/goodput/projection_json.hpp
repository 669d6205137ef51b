// The document `ascertain.projection/1`; its schema is data/schema/projection.schema.json.
#pragma once

#include "base/json.hpp"
#include "predict/goodput/projection.hpp"

namespace ascertain::goodput {

// `step` and `memory` are what the plan and its cost say about one step and one device; an empty
// object or null is written as null with a reason. SI units, null with a reason for what is
// missing, never NaN.
[[nodiscard]] Json to_json(const Projection& projection, const Json& step, const Json& memory);

}  // namespace ascertain::goodput
