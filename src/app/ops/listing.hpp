// What `ascertain ops` ends with: the operators, worst first.
#pragma once

#include <string>

#include "app/format.hpp"
#include "base/json.hpp"

namespace ascertain::app {

// `document` is ascertain.operators/1: as it is for JSON, as columns otherwise.
[[nodiscard]] std::string operators_text(const Json& document, Format format);

}  // namespace ascertain::app
