// The part of `when` that any engine can decide by counting.
#pragma once

#include <cstdint>

#include "defects/defect.hpp"

namespace ascertain::defects {

// Whether a rule acts on matching call `number`, counted from 0, having acted `fired` times, in
// process `process`. A pure function: the same seed, the same calls.
[[nodiscard]] bool acts(const When& when, std::int64_t number, std::int64_t fired,
                        std::int64_t process);

}  // namespace ascertain::defects
