// Words for the enumerations that cross from one room to another.
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "measure/checks/check.hpp"

namespace ascertain::app {

[[nodiscard]] std::string_view name_of(checks::Profile profile);  // quick, standard, full

}  // namespace ascertain::app
