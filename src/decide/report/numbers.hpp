// Numbers for people: units, bounds and lenient reading of documents whose form nobody guarantees.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/observation.hpp"

namespace ascertain::report {

// "12.3 ms", "64 GB", "0.0371", "1,234": four significant digits at most, in the unit that reads
// best. `unit` is SI as in Metric. Non-finite values read "not finite".
[[nodiscard]] std::string readable(double value, std::string_view unit);

// The metric's value with its interval, "3.1 ms (2.9 ms to 3.4 ms)"; "unknown: reason" when absent.
[[nodiscard]] std::string readable(const Metric& metric);

// Every digit: the shortest text that reads back as the same double.
[[nodiscard]] std::string exact(double value);

// "2026-11-25" of an ISO 8601 time; the text itself when it is shorter.
[[nodiscard]] std::string_view date_of(std::string_view time_utc);

// "2026-11-25 02:15 UTC" of an ISO 8601 time in UTC; another text as it is.
[[nodiscard]] std::string minute_of(std::string_view time_utc);

// One limit of a criterion.
struct Limit {
    std::string metric;
    std::optional<double> at_most;
    std::optional<double> at_least;
    std::optional<double> equals;
};

// The limits of `Criterion::bound`; entries that are not of its form are left out.
[[nodiscard]] std::vector<Limit> limits_of(const Json& bound);

// "≤ 0.05", "≥ 1.2 GB/s", "= 0", joined by " and ".
[[nodiscard]] std::string readable(const Limit& limit, std::string_view unit);

// How much of its limit a value uses: 1 is exactly on it, above 1 misses it. Absent when the limit
// or value gives no ratio (equality, zero, signs that differ).
[[nodiscard]] std::optional<double> share_of_limit(double value, const Limit& limit);

// The member `key` when `object` is an object that has it, else null. Never throws.
[[nodiscard]] const Json& member(const Json& object, std::string_view key);
[[nodiscard]] std::optional<double> number(const Json& value);
[[nodiscard]] std::string text(const Json& value);  // "" when it is no string
[[nodiscard]] std::vector<std::optional<double>> numbers(const Json& value);  // null stays absent

}  // namespace ascertain::report
