// Estimates as documents: ascertain.serving/1.
#pragma once

#include <vector>

#include "base/json.hpp"
#include "predict/serving/layouts.hpp"
#include "predict/serving/rollout.hpp"

namespace ascertain::serving {

[[nodiscard]] Json to_json(const Estimate& estimate);
[[nodiscard]] Json to_json(const Ranked& ranked, const Workload& workload, const Limits& limits);

}  // namespace ascertain::serving
