// ops.coverage: does one training step of this model run on the device, with every operator that
// the reference's step has?
#include <fmt/format.h>

#include <map>
#include <set>
#include <utility>

#include "measure/checks/answers.hpp"
#include "measure/checks/cases.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

using OperatorKey = std::pair<std::string, std::string>;  // name, phase

// The operators of a capture that compute something, with their share of the step (0 if unknown).
Result<std::map<OperatorKey, double>> compute_operators(const Json& operators) {
    std::map<OperatorKey, double> result;
    for (const Json& entry : operators) {
        const auto name = text_at(entry, "name", "capture: operators");
        if (!name) return name.error();
        const auto phase = text_at(entry, "phase", "capture: operators");
        if (!phase) return phase.error();
        if (entry.contains("compute") && entry["compute"] == false) continue;
        const auto share = entry.find("share_of_step");
        const bool has_share = share != entry.end() && share->is_number();
        result[{operator_name(*name), *phase}] += has_share ? share->get<double>() : 0.0;
    }
    if (result.empty()) {
        return Error{ErrorCode::kBadInput, "the capture holds no operator that computes", {}};
    }
    return result;
}

// How many operators the device hands back to the CPU. The CPU itself has nobody to hand them to.
Metric fallback_metric(const std::string& device, const Json& operators) {
    if (device == "cpu") return metric_of("operators_fallback", 0.0, "count");
    double fallbacks = 0.0;
    for (const Json& entry : operators) {
        if (entry.contains("compute") && entry["compute"] == false) continue;
        const auto support = entry.find("support");
        if (support == entry.end() || !support->is_string()) {
            return absent_metric("operators_fallback", "count",
                                 "the worker does not tell which operators fall back");
        }
        if (*support == "fallback") fallbacks += 1.0;
    }
    return metric_of("operators_fallback", fallbacks, "count");
}

}  // namespace

Step ops_coverage(const Context& context, const Json& state, std::span<const Answer> answers) {
    const Json* capture = parameter(context, "capture", Json::value_t::object);
    const Json* expected_list = parameter(context, "operators", Json::value_t::array);
    if (capture == nullptr || expected_list == nullptr) {
        return harness_error("ops.coverage needs the reference's capture");
    }
    if (state.is_null()) {
        return Ask{.state = {{"asked", true}},
                   .requests = {{.kind = "capture",
                                 .params = *capture,
                                 .deadline = deadline_of_training(context.profile),
                                 .members = {0}}}};
    }
    if (answers.size() != 1) return harness_error("capture was not answered once");
    if (answers[0].kind != AnswerKind::kResult) return give_up(answers[0]);
    const auto listed = answers[0].result.find("operators");
    if (listed == answers[0].result.end() || !listed->is_array()) {
        return harness_error("capture: no list of operators");
    }
    const auto expected = compute_operators(*expected_list);
    if (!expected) return harness_error("reference: " + expected.error().text());
    const auto seen = compute_operators(*listed);
    if (!seen) return harness_error(seen.error().text());

    Json missing = Json::array();
    double missing_share = 0.0;
    for (const auto& [key, share] : *expected) {
        if (seen->contains(key)) continue;
        missing.push_back({{"name", key.first}, {"phase", key.second}, {"share_of_step", share}});
        missing_share += share;
    }
    Json extra = Json::array();
    for (const auto& [key, share] : *seen) {
        if (!expected->contains(key)) extra.push_back({{"name", key.first}, {"phase", key.second}});
    }
    Done done;
    done.observation = {
        metric_of("operators_missing", static_cast<double>(missing.size()), "count"),
        fallback_metric(context.devices[0].name, *listed),
        metric_of("missing_share_of_step", missing_share, "ratio"),
        metric_of("operators_expected", static_cast<double>(expected->size()), "count"),
        metric_of("operators_extra", static_cast<double>(extra.size()), "count")};
    done.detail = {{"missing", missing}, {"extra", extra}, {"operators", *listed}};
    return done;
}

}  // namespace ascertain::checks
