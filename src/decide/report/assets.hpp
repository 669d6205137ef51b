// The report's style sheet and script, embedded at build time from assets/ (embed.cmake).
#pragma once

#include <string_view>

namespace ascertain::report {

extern const std::string_view kStyle;
extern const std::string_view kScript;

}  // namespace ascertain::report
