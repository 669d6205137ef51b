// One campaign on several fleets and mixes, as a page of its own: dates, chances, money, serving,
// and what is known, guessed and unknown about each. Made from an ascertain.comparison/1 document.
#pragma once

#include <string>

#include "base/json.hpp"

namespace ascertain::report {

// The whole document: one file, no network, light and dark. What the comparison lacks is shown as
// unknown; text is escaped.
[[nodiscard]] std::string fleets_page(const Json& comparison);

}  // namespace ascertain::report
