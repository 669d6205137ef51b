// What a proof depends on, as short hashes: when one changes, the proof is stale.
#pragma once

#include <string>

#include "decide/judge/criteria.hpp"
#include "measure/checks/check.hpp"

namespace ascertain::app {

// Of everything that the table says of one check.
[[nodiscard]] std::string definition_hash(const checks::Definition& definition);
// Of all checks.
[[nodiscard]] std::string checks_hash();

}  // namespace ascertain::app
