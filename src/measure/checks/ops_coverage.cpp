// ops.coverage: does one training step of this model run on the device, with every operator that
// the reference's step has, none of them handed back to the host? Found three ways that must agree:
// the registration tables, what the recorder saw, and the times.
#include <fmt/format.h>

#include <utility>

#include "measure/checks/answers.hpp"
#include "measure/checks/cases.hpp"
#include "measure/checks/coverage.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

using Operators = std::map<OperatorKey, SteppedOperator>;

// What was found of the operators that the device's step has.
struct Found {
    Json operators = Json::array();
    double fallbacks = 0.0;
    double disagreements = 0.0;
    double suspected = 0.0;  // by their time alone
    bool told = true;        // the worker says which operators fall back
};

double number_or_zero(const Json& entry, const char* key) {
    const auto found = entry.find(key);
    return found != entry.end() && found->is_number() ? found->get<double>() : 0.0;
}

constexpr std::string_view words_of(std::string_view timing) {
    if (timing == "slow")
        return "far slower beside the reference than the device's other operators";
    if (timing == "usual") return "as fast beside the reference as the device's other operators";
    return "cannot tell";
}

// The times' word on one operator, beside what tables and recorder said.
void add_timing(Json& entry, const Operators& expected, const Timing& timing, Found& found) {
    const auto same =
        expected.find({operator_name(entry.value("name", "")), entry.value("phase", "")});
    const SteppedOperator* reference = same == expected.end() ? nullptr : &same->second;
    const double device_s = number_or_zero(entry, "seconds");
    const std::string_view says = timing.says(device_s, reference);
    const bool falls_back = entry["support"] == "fallback";
    const bool slow = says == "slow";
    if (!falls_back && !slow) return;
    const Json told = entry.value("support_reason", Json());
    entry["support_reason"] =
        fmt::format("{}; timing: {}",
                    told.is_string() ? told.get<std::string>()
                                     : "registration tables and recorder: no fallback",
                    words_of(says));
    entry["slowdown_ratio"] =
        timing.price(device_s, reference == nullptr ? 0.0 : reference->seconds);
    if (!falls_back) {
        found.suspected += 1.0;
        return;
    }
    found.fallbacks += 1.0;
    const bool tables = entry.value("support_registered", "fallback") == "fallback";
    const bool recorder =
        !entry.contains("host_copies") || number_or_zero(entry, "host_copies") > 0.0;
    if (tables != recorder || says == "usual") found.disagreements += 1.0;
}

Found look_at(const Json& operators, const Operators& expected, const Timing& timing) {
    Found found;
    for (Json entry : operators) {
        const bool computes = !(entry.contains("compute") && entry["compute"] == false);
        const auto support = entry.find("support");
        if (computes && (support == entry.end() || !support->is_string())) found.told = false;
        if (computes && found.told) add_timing(entry, expected, timing, found);
        found.operators.push_back(std::move(entry));
    }
    return found;
}

// How many operators the device hands back to the CPU. The CPU itself has nobody to hand them to.
Metric fallback_metric(const std::string& device, const Found& found) {
    if (device == "cpu" || device.ends_with("/cpu"))
        return metric_of("operators_fallback", 0.0, "count");
    if (!found.told) {
        return absent_metric("operators_fallback", "count",
                             "the worker does not tell which operators fall back");
    }
    return metric_of("operators_fallback", found.fallbacks, "count");
}

Done done_of(const Context& context, const Operators& expected, const Operators& seen,
             const Found& found, const Lacking& lacking) {
    Json extra = Json::array();
    for (const auto& [key, one] : seen) {
        if (!expected.contains(key)) extra.push_back({{"name", key.first}, {"phase", key.second}});
    }
    const auto count = [](std::size_t number) { return static_cast<double>(number); };
    Done done;
    done.observation = {metric_of("operators_missing", count(lacking.missing.size()), "count"),
                        fallback_metric(context.devices[0].name, found),
                        metric_of("missing_share_of_step", lacking.missing_share, "ratio"),
                        metric_of("operators_expected", count(expected.size()), "count"),
                        metric_of("operators_extra", count(extra.size()), "count"),
                        metric_of("operators_not_seen", count(lacking.not_seen.size()), "count"),
                        metric_of("operators_slow", found.suspected, "count"),
                        metric_of("fallback_disagreements", found.disagreements, "count")};
    done.detail = {{"missing", lacking.missing},
                   {"not_seen", lacking.not_seen},
                   {"extra", extra},
                   {"operators", found.operators}};
    return done;
}

// No step ran: what the tables lack tells why, if they lack anything.
Step without_step(const Context& context, const Json& state, const Operators& expected,
                  const Json& reference, const Answer& answer) {
    Answer failed;
    failed.kind = AnswerKind::kError;
    failed.error_kind = state["failed"]["kind"];
    failed.message = state["failed"]["message"];
    if (answer.kind != AnswerKind::kResult) return give_up(failed);
    const Lacking lacking =
        lacking_of(expected, {}, answer.result.value("expected", Json::array()), {});
    if (lacking.missing.empty()) return give_up(failed);
    // Those that are there are listed as the reference's step has them.
    Found found;
    for (Json entry : reference) {
        entry.erase("support");
        entry.erase("seconds");
        entry["support_reason"] = "the step did not complete: " + failed.message;
        found.operators.push_back(std::move(entry));
    }
    Done done = done_of(context, expected, {}, found, lacking);
    done.detail["step_failed"] = failed.message;
    return done;
}

}  // namespace

Step ops_coverage(const Context& context, const Json& state, std::span<const Answer> answers) {
    const Json* capture = parameter(context, "capture", Json::value_t::object);
    const Json* expected_list = parameter(context, "operators", Json::value_t::array);
    if (capture == nullptr || expected_list == nullptr) {
        return harness_error("ops.coverage needs the reference's capture");
    }
    const auto expected = compute_operators(*expected_list);
    if (!expected) return harness_error("reference: " + expected.error().text());
    if (state.is_null()) {
        Json params = *capture;
        params["expected"] = asked_of_tables(*expected);
        return Ask{.state = {{"asked", true}},
                   .requests = {{.kind = "capture",
                                 .params = std::move(params),
                                 .deadline = deadline_of_training(context.profile),
                                 .members = {0}}}};
    }
    if (answers.size() != 1) return harness_error("capture was not answered once");
    const Answer& answer = answers[0];
    if (state.contains("failed"))
        return without_step(context, state, *expected, *expected_list, answer);
    if (answer.kind != AnswerKind::kResult) {
        const bool by_device =
            answer.error_kind == "unsupported" || answer.error_kind == "device_error";
        if (answer.kind != AnswerKind::kError || !by_device) return give_up(answer);
        return Ask{
            .state = {{"failed", {{"kind", answer.error_kind}, {"message", answer.message}}}},
            .requests = {{.kind = "support",
                          .params = {{"expected", asked_of_tables(*expected)}},
                          .deadline = deadline_of_one(context.profile),
                          .members = {0}}}};
    }
    const auto listed = answer.result.find("operators");
    if (listed == answer.result.end() || !listed->is_array()) {
        return harness_error("capture: no list of operators");
    }
    const auto seen = compute_operators(*listed);
    if (!seen) return harness_error(seen.error().text());
    const Timing timing = timing_of(*listed, number_or_zero(answer.result, "step_s"), *expected);
    return done_of(context, *expected, *seen, look_at(*listed, *expected, timing),
                   lacking_of(*expected, *seen, answer.result.value("expected", Json()), timing));
}

}  // namespace ascertain::checks
