// What a check saw, as numbers and nothing else. measure makes observations, decide judges them,
// app writes them down; the three share this type and no opinion.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain {

// One measured number. `low` and `high` bound its 95 % confidence interval where one is known.
// `unit` is SI ("s", "B", "B/s", "ratio", "count", "nat", "ulp"); `n` is how many samples it
// rests on. A value that could not be had is absent, with the reason.
struct Metric {
    std::string metric;  // snake_case, stable: criteria name it
    std::optional<double> value;
    std::string unit;
    std::int64_t n = 1;
    std::optional<double> low;
    std::optional<double> high;
    std::string reason;  // why value is absent; empty otherwise
};

using Observation = std::vector<Metric>;

// The form of docs and schemas: [{metric, value, unit, n, low, high}], null plus "reason" for what
// is missing. A non-finite value is written as null with the reason "not finite", never as a
// number.
[[nodiscard]] Json to_json(const Observation& observation);
[[nodiscard]] Result<Observation> observation_from_json(const Json& document,
                                                        std::string_view name);

// The metric of that name, or null.
[[nodiscard]] const Metric* find_metric(const Observation& observation, std::string_view metric);

}  // namespace ascertain
