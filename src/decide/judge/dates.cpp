#include "decide/judge/dates.hpp"

#include <fmt/format.h>

#include <charconv>

namespace ascertain::judge {
namespace {

std::optional<int> digits(std::string_view text) {
    int value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc{} || end != text.data() + text.size() || value < 0) return {};
    return value;
}

}  // namespace

std::optional<std::chrono::sys_days> day_of(std::string_view iso_8601) {
    constexpr std::size_t kDateLength = 10;
    if (iso_8601.size() < kDateLength) return std::nullopt;
    if (iso_8601.size() > kDateLength && iso_8601[kDateLength] != 'T') return std::nullopt;
    if (iso_8601[4] != '-' || iso_8601[7] != '-') return std::nullopt;
    const auto year = digits(iso_8601.substr(0, 4));
    const auto month = digits(iso_8601.substr(5, 2));
    const auto day = digits(iso_8601.substr(8, 2));
    if (!year || !month || !day) return std::nullopt;
    const std::chrono::year_month_day date{std::chrono::year{*year},
                                           std::chrono::month{static_cast<unsigned>(*month)},
                                           std::chrono::day{static_cast<unsigned>(*day)}};
    if (!date.ok()) return std::nullopt;
    return std::chrono::sys_days{date};
}

std::string to_text(std::chrono::sys_days day) {
    const std::chrono::year_month_day date{day};
    return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()),
                       static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()));
}

}  // namespace ascertain::judge
