// The head that every page of ours begins with: title, policy, style.
#pragma once

#include <string>
#include <string_view>

namespace ascertain::report {

// From the doctype to the end of the head. Nothing may be fetched, whatever a document contains.
[[nodiscard]] std::string page_head(std::string_view title);

}  // namespace ascertain::report
