// Which build this is.
#pragma once

#include <string_view>

namespace ascertain::app {

[[nodiscard]] std::string_view version();  // "0.1.0"
[[nodiscard]] std::string_view commit();   // short commit id, or "unknown"
[[nodiscard]] std::string_view version_line();

}  // namespace ascertain::app
