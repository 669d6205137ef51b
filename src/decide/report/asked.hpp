// What a check's id says about operators; shared by the operator map and the operator charts.
#pragma once

#include <string>
#include <string_view>

#include "decide/judge/verdict.hpp"

namespace ascertain::report {

// "ops.numerics.mm" asks `numerics` of the operator `mm`; "ops.coverage" asks of the whole device.
struct Asked {
    std::string what;
    std::string of;  // empty: the whole device
};
[[nodiscard]] Asked split(std::string_view id);

[[nodiscard]] bool is_compute(const judge::CheckVerdict& check);

}  // namespace ascertain::report
