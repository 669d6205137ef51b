// What the two speed checks share: which cases are whose, and what a timed case says.
#pragma once

#include <vector>

#include "measure/checks/check.hpp"
#include "measure/checks/walk.hpp"

namespace ascertain::checks {

// The distinct GEMM cases of the survey, cut in two by their ids: `calibration` sees every other
// one, `prediction` the rest, so that no prediction is tested on what it was fitted to.
enum class Half { kCalibration, kPrediction };
[[nodiscard]] std::vector<const Json*> gemm_cases(const Context& context, Half half);

// The element-by-element case that moves the most bytes, or null.
[[nodiscard]] const Json* memory_case(const Context& context);

[[nodiscard]] Request time_request(const Context& context, const Json& operator_case);
[[nodiscard]] std::span<const std::string_view> time_metrics();

// One timed case.
struct Timed {
    const Json* operator_case = nullptr;
    Metric seconds_median;
    double noise_ratio = 0.0;  // 90th percentile over median
};
// The rows of a walk as timed cases; error when a time is missing or not positive.
[[nodiscard]] Result<std::vector<Timed>> timed_cases(const std::vector<WalkRow>& rows,
                                                     const std::vector<const Json*>& cases);

// "seconds_median.<case id>" for one case; detail of one case for the report.
[[nodiscard]] Metric case_metric(const Timed& timed);
[[nodiscard]] Json timed_detail(const Timed& timed);

}  // namespace ascertain::checks
