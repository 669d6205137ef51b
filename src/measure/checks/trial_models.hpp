// Variants of the trial's model, as the documents that requests carry
// (data/schema/architecture.schema.json).
#pragma once

#include "base/json.hpp"

namespace ascertain::checks {

// Without experts and without heads for tokens further ahead: every layer dense.
[[nodiscard]] Json without_experts(Json architecture);

// Without an auxiliary balance loss, which is no mean over tokens.
[[nodiscard]] Json without_balance_loss(Json architecture);

[[nodiscard]] bool has_experts(const Json& architecture);

}  // namespace ascertain::checks
