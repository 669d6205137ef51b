#include "measure/checks/answers.hpp"

#include <fmt/format.h>

#include <cmath>

namespace ascertain::checks {

Seconds deadline_of_one(Profile profile) {
    return profile == Profile::kQuick ? Seconds{60.0} : Seconds{300.0};
}

Seconds deadline_of_training(Profile profile) {
    return profile == Profile::kQuick ? Seconds{480.0} : Seconds{3600.0};
}

bool has_time(const Context& context) {
    return context.budget.count > 0.0;
}

GiveUp harness_error(std::string message) {
    return {GiveUp::Reason::kHarnessError, std::move(message)};
}

const Json* parameter(const Context& context, std::string_view key, Json::value_t type) {
    const Json& params = context.subject.params;
    if (!params.is_object()) return nullptr;
    const auto found = params.find(key);
    return found != params.end() && found->type() == type ? &*found : nullptr;
}

std::variant<Observation, GiveUp> observation_of(const Answer& answer,
                                                 std::span<const std::string_view> needed) {
    const auto found = answer.result.find("observation");
    if (found == answer.result.end()) return harness_error("the answer has no observation");
    auto observation = observation_from_json(*found, "answer: observation");
    if (!observation) return harness_error(observation.error().text());
    for (const std::string_view name : needed) {
        const Metric* metric = find_metric(*observation, name);
        if (metric == nullptr || (!metric->value && metric->reason.empty())) {
            return harness_error(fmt::format("the answer lacks the metric {}", name));
        }
    }
    return *std::move(observation);
}

std::vector<std::optional<double>> numbers_of(const Json& array) {
    std::vector<std::optional<double>> numbers;
    if (!array.is_array()) return numbers;
    for (const Json& entry : array) {
        const bool finite = entry.is_number() && std::isfinite(entry.get<double>());
        numbers.push_back(finite ? std::optional(entry.get<double>()) : std::nullopt);
    }
    return numbers;
}

Metric metric_of(std::string name, double value, std::string unit) {
    if (!std::isfinite(value)) return absent_metric(std::move(name), std::move(unit), "not finite");
    Metric metric;
    metric.metric = std::move(name);
    metric.value = value;
    metric.unit = std::move(unit);
    return metric;
}

Metric absent_metric(std::string name, std::string unit, std::string reason) {
    Metric metric;
    metric.metric = std::move(name);
    metric.unit = std::move(unit);
    metric.n = 0;
    metric.reason = std::move(reason);
    return metric;
}

}  // namespace ascertain::checks
