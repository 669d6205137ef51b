#include "measure/checks/timing.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "measure/checks/answers.hpp"
#include "measure/checks/cases.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 3> kMetrics{"seconds_median", "seconds_p90", "seconds_min"};

int repeats_of(Profile profile) {
    return profile == Profile::kQuick ? 5 : 21;
}

}  // namespace

std::vector<const Json*> gemm_cases(const Context& context, Half half) {
    std::map<std::string, const Json*> by_id;
    for (const Json* one : subject_cases(context)) {
        if (gemm_of(*one)) by_id.emplace(case_id(*one), one);
    }
    std::vector<const Json*> result;
    std::size_t index = 0;
    for (const auto& [id, one] : by_id) {
        const bool calibrates = index++ % 2 == 0;
        if (calibrates == (half == Half::kCalibration)) result.push_back(one);
    }
    // The expensive ones say most; a budget that ends early then ends with the cheap ones.
    std::stable_sort(result.begin(), result.end(), [](const Json* left, const Json* right) {
        return gemm_of(*left)->flops() > gemm_of(*right)->flops();
    });
    return result;
}

const Json* memory_case(const Context& context) {
    const Json* best = nullptr;
    for (const Json* one : subject_cases(context)) {
        const auto bytes = streamed_bytes(*one);
        if (!bytes) continue;
        if (best == nullptr || *bytes > *streamed_bytes(*best)) best = one;
    }
    return best;
}

Request time_request(const Context& context, const Json& operator_case) {
    return {.kind = "time",
            .params = {{"case", operator_case},
                       {"seed", context.seed},
                       {"repeats", repeats_of(context.profile)},
                       {"warm_up", 2}},
            .deadline = deadline_of_one(context.profile),
            .members = {0}};
}

std::span<const std::string_view> time_metrics() {
    return kMetrics;
}

Result<std::vector<Timed>> timed_cases(const std::vector<WalkRow>& rows,
                                       const std::vector<const Json*>& cases) {
    std::vector<Timed> result;
    for (const WalkRow& row : rows) {
        if (!row.result.is_object()) continue;
        const Json& one = *cases[row.index];
        const auto observation = observation_from_json(row.result["observation"], "time");
        const Metric* median = find_metric(*observation, "seconds_median");
        const Metric* slow = find_metric(*observation, "seconds_p90");
        const bool sound = median->value && slow->value && *median->value > 0.0;
        if (!sound) {
            return Error{ErrorCode::kInternal,
                         fmt::format("case {}: the time is missing or not positive", case_id(one)),
                         {}};
        }
        result.push_back({.operator_case = &one,
                          .seconds_median = *median,
                          .noise_ratio = *slow->value / *median->value});
    }
    return result;
}

Metric case_metric(const Timed& timed) {
    Metric metric = timed.seconds_median;
    metric.metric = fmt::format("seconds_median.{}", case_id(*timed.operator_case));
    return metric;
}

Json timed_detail(const Timed& timed) {
    Json detail = {{"case", case_id(*timed.operator_case)},
                   {"label", case_label(*timed.operator_case)},
                   {"seconds_median", *timed.seconds_median.value},
                   {"noise_ratio", timed.noise_ratio}};
    if (const auto gemm = gemm_of(*timed.operator_case)) {
        detail["gemm"] = {{"m", gemm->m},         {"n", gemm->n},
                          {"k", gemm->k},         {"batch", gemm->batch},
                          {"dtype", gemm->dtype}, {"flops", gemm->flops().count}};
    }
    if (const auto bytes = streamed_bytes(*timed.operator_case)) detail["bytes"] = bytes->count;
    return detail;
}

}  // namespace ascertain::checks
