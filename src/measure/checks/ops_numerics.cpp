// ops.numerics: is what the device computes for this operator right, case by case?
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include "measure/checks/answers.hpp"
#include "measure/checks/cases.hpp"
#include "measure/checks/steps.hpp"
#include "measure/checks/walk.hpp"

namespace ascertain::checks {
namespace {

// How the metric of an operator follows from those of its cases.
enum class Fold { kMax, kMaxMagnitude, kSum };

struct Column {
    std::string_view metric;
    std::string_view unit;
    Fold fold;
};

constexpr std::array<Column, 9> kColumns{{
    {"error_ratio", "ratio", Fold::kMax},
    {"bound_ratio", "ratio", Fold::kMax},
    {"error_max_ulp", "ulp", Fold::kMax},
    {"relative_error", "ratio", Fold::kMax},
    {"projection_ratio", "ratio", Fold::kMax},
    {"signed_bias_z", "ratio", Fold::kMaxMagnitude},
    {"nonfinite_mismatches", "count", Fold::kSum},
    {"exact_mismatches", "count", Fold::kSum},
    {"elements", "count", Fold::kSum},
}};

double fold(Fold how, double left, double right) {
    if (how == Fold::kSum) return left + right;
    if (how == Fold::kMax) return std::max(left, right);
    return std::fabs(right) > std::fabs(left) ? right : left;
}

// One metric over all cases; `seen` are the observations of the cases that had a reference. A value
// that one case could not give for a bad reason (not finite) is not papered over by the others.
Metric column_metric(const Column& column, const std::vector<Observation>& seen) {
    Metric result =
        absent_metric(std::string(column.metric), std::string(column.unit), "no case has it");
    for (const Observation& observation : seen) {
        const Metric* metric = find_metric(observation, column.metric);
        if (metric == nullptr) continue;
        if (!metric->value) {
            if (metric->reason == "not finite") return *metric;
            if (!result.value) result.reason = metric->reason;
            continue;
        }
        result.value =
            result.value ? fold(column.fold, *result.value, *metric->value) : *metric->value;
        result.n += metric->n;
        result.reason.clear();
    }
    return result;
}

// Rounding is judged against the length of the reduction, so its metrics must come from one case:
// the one whose share of outputs not correctly rounded lies highest above what an emulated
// accumulator leaves on the same inputs (above nothing, where none was emulated).
std::vector<Metric> rounding_metrics(const std::vector<Observation>& seen) {
    constexpr std::array<std::string_view, 3> kNames{
        "share_not_correctly_rounded", "share_not_correctly_rounded_emulated", "reduction_length"};
    const Observation* worst = nullptr;
    double worst_excess = 0.0;
    for (const Observation& observation : seen) {
        const Metric* share = find_metric(observation, kNames[0]);
        if (share == nullptr) continue;
        if (!share->value && share->reason != "not finite") continue;
        const Metric* emulated = find_metric(observation, kNames[1]);
        const double allowed = emulated != nullptr && emulated->value ? *emulated->value : 0.0;
        const double excess =
            share->value ? *share->value - allowed : std::numeric_limits<double>::infinity();
        if (worst == nullptr || excess > worst_excess) {
            worst = &observation;
            worst_excess = excess;
        }
    }
    std::vector<Metric> result;
    if (worst == nullptr) return {absent_metric(std::string(kNames[0]), "ratio", "no case has it")};
    for (const std::string_view name : kNames) {
        if (const Metric* found = find_metric(*worst, name)) result.push_back(*found);
    }
    return result;
}

Json detail_row(const Json& operator_case, const WalkRow& row) {
    Json result = {{"case", case_id(operator_case)}, {"label", case_label(operator_case)}};
    if (row.result.is_null()) {
        result["reference"] = "none";
        result["reason"] = row.no_reference;
        return result;
    }
    for (const char* key : {"reference", "reason", "worst", "histogram", "inputs_hash",
                            "output_hash", "observation", "tampered"}) {
        if (row.result.contains(key)) result[key] = row.result[key];
    }
    return result;
}

bool has_reference(const WalkRow& row) {
    return row.result.is_object() && row.result.value("reference", "none") != "none";
}

}  // namespace

Step ops_numerics(const Context& context, const Json& state, std::span<const Answer> answers) {
    const std::vector<const Json*> cases = subject_cases(context);
    const auto ask = [&](const Json& one) {
        return Request{.kind = "replay",
                       .params = {{"case", one}, {"seed", context.seed}},
                       .deadline = deadline_of_one(context.profile),
                       .members = {0}};
    };
    auto walked = walk(context, state, answers, cases, ask, {});
    if (auto* step = std::get_if<Step>(&walked)) return std::move(*step);

    const auto& rows = std::get<std::vector<WalkRow>>(walked);
    std::vector<Observation> seen;
    Json detail_rows = Json::array();
    std::string why_none;
    for (const WalkRow& row : rows) {
        detail_rows.push_back(detail_row(*cases[row.index], row));
        if (!has_reference(row)) {
            why_none = row.result.is_object() ? row.result.value("reason", "") : row.no_reference;
            continue;
        }
        // walk() has read it once already, so it reads well.
        auto observation = observation_from_json(row.result["observation"], "replay");
        if (observation->empty()) return harness_error("replay: an empty observation");
        seen.push_back(*std::move(observation));
    }
    if (seen.empty()) {
        return GiveUp{GiveUp::Reason::kNoReference,
                      fmt::format("no case of {} has a reference: {}", context.subject.name,
                                  why_none.empty() ? "no reason given" : why_none)};
    }
    Done done;
    done.observation = rounding_metrics(seen);
    for (const Column& column : kColumns) done.observation.push_back(column_metric(column, seen));
    const auto count = [](std::size_t number) { return static_cast<double>(number); };
    done.observation.push_back(metric_of("cases_tested", count(seen.size()), "count"));
    done.observation.push_back(metric_of("cases_total", count(cases.size()), "count"));
    done.observation.push_back(
        metric_of("cases_without_reference", count(rows.size() - seen.size()), "count"));
    done.detail = {{"rows", detail_rows}};
    return done;
}

}  // namespace ascertain::checks
