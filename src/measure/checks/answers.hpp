// Reading answers without ever taking a broken one for a good one.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "measure/checks/check.hpp"

namespace ascertain::checks {

// The deadline of a request that measures one thing, and of one that trains: long enough never to
// cut short an honest device that is ten times slower than expected.
[[nodiscard]] Seconds deadline_of_one(Profile profile);
[[nodiscard]] Seconds deadline_of_training(Profile profile);

// True when the whole question is asked. Controls have no budget: they are asked the least that
// can still fail.
[[nodiscard]] bool has_time(const Context& context);

// "our own code failed": a broken answer, a missing parameter.
[[nodiscard]] GiveUp harness_error(std::string message);

// The parameter `key` of the subject, which the survey put there, or null when it is missing or of
// another type than `type`.
[[nodiscard]] const Json* parameter(const Context& context, std::string_view key,
                                    Json::value_t type);

// The observation in a result, when it reads well and has every metric of `needed` with a value or
// a reason; else what is wrong with it.
[[nodiscard]] std::variant<Observation, GiveUp> observation_of(
    const Answer& answer, std::span<const std::string_view> needed);

// The finite numbers of a JSON array; null where an entry is none. Not an array: empty.
[[nodiscard]] std::vector<std::optional<double>> numbers_of(const Json& array);

// A metric that rests on one sample. `value` not finite becomes an absent value with that reason.
[[nodiscard]] Metric metric_of(std::string name, double value, std::string unit);
[[nodiscard]] Metric absent_metric(std::string name, std::string unit, std::string reason);

}  // namespace ascertain::checks
