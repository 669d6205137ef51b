#include "base/observation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ascertain {
namespace {

Json optional_number(const std::optional<double>& value) {
    return value ? finite_or_null(*value) : Json(nullptr);
}

Result<std::optional<double>> nullable_number(const Json& item, const char* key,
                                              std::string_view name) {
    const auto found = item.find(key);
    if (found == item.end() || found->is_null()) return std::optional<double>{};
    const auto number = number_at(item, key, name);
    if (!number) return number.error();
    return std::optional<double>{*number};
}

Result<Metric> metric_from_json(const Json& item, std::string_view name) {
    const auto metric = text_at(item, "metric", name);
    if (!metric) return metric.error();
    const auto unit = text_at(item, "unit", name);
    if (!unit) return unit.error();
    const auto value = nullable_number(item, "value", name);
    if (!value) return value.error();
    const auto low = nullable_number(item, "low", name);
    if (!low) return low.error();
    const auto high = nullable_number(item, "high", name);
    if (!high) return high.error();
    Metric result{*metric, *value, *unit, 1, *low, *high, ""};
    if (item.contains("reason")) {
        auto reason = text_at(item, "reason", name);
        if (!reason) return reason.error();
        result.reason = std::move(*reason);
    }
    if (item.contains("n")) {
        const auto n = integer_at(item, "n", name);
        if (!n) return n.error();
        result.n = *n;
    }
    if (!result.value && result.reason.empty()) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("metric \"{}\" has neither a value nor a reason", *metric),
                     std::string(name)};
    }
    return result;
}

}  // namespace

Json to_json(const Observation& observation) {
    Json list = Json::array();
    for (const auto& item : observation) {
        const bool finite = item.value && std::isfinite(*item.value);
        Json entry{{"metric", item.metric},
                   {"value", optional_number(item.value)},
                   {"unit", item.unit},
                   {"n", item.n},
                   {"low", optional_number(item.low)},
                   {"high", optional_number(item.high)}};
        if (!finite) entry["reason"] = item.value ? "not finite" : item.reason;
        list.push_back(std::move(entry));
    }
    return list;
}

Result<Observation> observation_from_json(const Json& document, std::string_view name) {
    if (!document.is_array()) {
        return Error{ErrorCode::kBadInput, "an observation must be an array of metrics",
                     std::string(name)};
    }
    Observation observation;
    for (const auto& item : document) {
        auto metric = metric_from_json(item, name);
        if (!metric) return metric.error();
        observation.push_back(std::move(*metric));
    }
    return observation;
}

const Metric* find_metric(const Observation& observation, std::string_view metric) {
    const auto found = std::ranges::find(observation, metric, &Metric::metric);
    return found == observation.end() ? nullptr : &*found;
}

}  // namespace ascertain
