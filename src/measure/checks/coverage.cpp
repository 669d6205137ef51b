#include "measure/checks/coverage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "measure/checks/cases.hpp"

namespace ascertain::checks {
namespace {

// An operator that takes so many times as long beside the reference as the device's others do is
// suspected of running elsewhere. A host is 10 to 1,000 times slower than an accelerator.
constexpr double kSlowFactor = 10.0;
// A device that is no faster than twice the reference cannot be told from it by time.
constexpr double kTellableRatio = 0.5;
// Below this the launch of a call is all that was timed.
constexpr double kCallSecondsMin = 50e-6;
// Operators that take less of the step say nothing of how fast the device is.
constexpr double kShareMin = 0.001;

double number_or_zero(const Json& entry, const char* key) {
    const auto found = entry.find(key);
    return found != entry.end() && found->is_number() ? found->get<double>() : 0.0;
}

std::string table_support(const Json& tables, const SteppedOperator& wanted) {
    if (!tables.is_array()) return "";
    for (const Json& entry : tables) {
        if (entry.value("name", "") == wanted.name &&
            entry.value("overload", "") == wanted.overload)
            return entry.value("support", "");
    }
    return "";
}

}  // namespace

Result<std::map<OperatorKey, SteppedOperator>> compute_operators(const Json& operators) {
    std::map<OperatorKey, SteppedOperator> result;
    for (const Json& entry : operators) {
        const auto name = text_at(entry, "name", "capture: operators");
        if (!name) return name.error();
        const auto phase = text_at(entry, "phase", "capture: operators");
        if (!phase) return phase.error();
        if (entry.contains("compute") && entry["compute"] == false) continue;
        const auto [found, is_new] = result.try_emplace({operator_name(*name), *phase});
        SteppedOperator& one = found->second;
        if (is_new) {
            one.name = *name;
            const auto overload = entry.find("overload");
            if (overload != entry.end() && overload->is_string()) one.overload = *overload;
        }
        one.share_of_step += number_or_zero(entry, "share_of_step");
        one.seconds += number_or_zero(entry, "seconds");
        one.count += number_or_zero(entry, "count");
    }
    if (result.empty()) {
        return Error{ErrorCode::kBadInput, "the capture holds no operator that computes", {}};
    }
    return result;
}

Json asked_of_tables(const std::map<OperatorKey, SteppedOperator>& expected) {
    std::set<std::pair<std::string, std::string>> asked;
    Json list = Json::array();
    for (const auto& [key, one] : expected) {
        if (!asked.emplace(one.name, one.overload).second) continue;
        list.push_back({{"name", one.name}, {"overload", one.overload}});
    }
    return list;
}

std::string_view Timing::says(double device_s, const SteppedOperator* reference) const {
    const bool told = reference != nullptr && reference->count > 0.0 &&
                      reference->seconds / reference->count >= kCallSecondsMin && device_s > 0.0;
    if (!told || usual_ratio <= 0.0 || usual_ratio > kTellableRatio) return "unknown";
    return device_s / reference->seconds > kSlowFactor * usual_ratio ? "slow" : "usual";
}

Json Timing::price(double device_s, double reference_s) const {
    if (step_s <= 0.0 || reference_s <= 0.0) return nullptr;
    if (device_s <= 0.0) return (step_s + reference_s) / step_s;  // run by the host, copies apart
    if (usual_ratio <= 0.0) return nullptr;
    const double otherwise_s = std::min(device_s, reference_s * usual_ratio);
    return step_s / std::max(1e-12, step_s - device_s + otherwise_s);
}

Timing timing_of(const Json& operators, double step_s,
                 const std::map<OperatorKey, SteppedOperator>& expected) {
    std::vector<double> ratios;
    for (const Json& entry : operators) {
        if (entry.value("support", "") != "native") continue;
        if (number_or_zero(entry, "share_of_step") < kShareMin) continue;
        const auto found =
            expected.find({operator_name(entry.value("name", "")), entry.value("phase", "")});
        const double device_s = number_or_zero(entry, "seconds");
        if (found == expected.end() || found->second.seconds <= 0.0 || device_s <= 0.0) continue;
        ratios.push_back(device_s / found->second.seconds);
    }
    Timing timing{.usual_ratio = 0.0, .step_s = step_s};
    if (ratios.empty()) return timing;
    const auto middle = ratios.begin() + static_cast<std::ptrdiff_t>(ratios.size() / 2);
    std::nth_element(ratios.begin(), middle, ratios.end());
    timing.usual_ratio = *middle;
    return timing;
}

bool is_reference_own(const std::string& name) {
    return name.find("_for_cpu") != std::string::npos || name.find("mkldnn") != std::string::npos;
}

Lacking lacking_of(const std::map<OperatorKey, SteppedOperator>& expected,
                   const std::map<OperatorKey, SteppedOperator>& seen, const Json& tables,
                   const Timing& timing) {
    std::set<std::string> others;  // phases in which the device ran operators of its own
    for (const auto& [key, one] : seen) {
        if (!expected.contains(key)) others.insert(key.second);
    }
    Lacking lacking;
    for (const auto& [key, one] : expected) {
        if (seen.contains(key) || is_reference_own(one.name)) continue;
        const std::string registered = table_support(tables, one);
        const bool has = !registered.empty() && registered != "missing";
        if (seen.empty() && has) continue;
        Json entry = {{"name", one.name},
                      {"overload", one.overload},
                      {"phase", key.second},
                      {"share_of_step", one.share_of_step},
                      {"count", one.count}};
        if (has && others.contains(key.second)) {
            entry["support"] = "not_seen";
            entry["support_reason"] = fmt::format(
                "registration tables: {}; recorder: not called, other operators of the device's "
                "own "
                "ran in this phase and may do its work",
                registered);
            lacking.not_seen.push_back(std::move(entry));
            continue;
        }
        entry["support"] = "missing";
        entry["support_reason"] =
            has ? fmt::format(
                      "registration tables: {}; recorder: not called, and nothing ran in "
                      "its place; the two disagree",
                      registered)
                : "registration tables: no kernel, no composite, no fallback; recorder: not called";
        entry["slowdown_ratio"] = timing.price(0.0, one.seconds);
        lacking.missing_share += one.share_of_step;
        lacking.missing.push_back(std::move(entry));
    }
    return lacking;
}

}  // namespace ascertain::checks
