// Days of the calendar, for waivers and validity. Used inside this room only.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace ascertain::judge {

// The day of "2026-11-25" or "2026-11-25T02:15:29.123Z"; nothing when it is no such date.
[[nodiscard]] std::optional<std::chrono::sys_days> day_of(std::string_view iso_8601);

[[nodiscard]] std::string to_text(std::chrono::sys_days day);

}  // namespace ascertain::judge
