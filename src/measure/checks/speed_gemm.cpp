// speed.gemm: how long do the model's other matrix products take? These were foretold before they
// are measured, so each has a metric of its own.
#include <algorithm>

#include "measure/checks/answers.hpp"
#include "measure/checks/cases.hpp"
#include "measure/checks/steps.hpp"
#include "measure/checks/timing.hpp"

namespace ascertain::checks {

Step speed_gemm(const Context& context, const Json& state, std::span<const Answer> answers) {
    const std::vector<const Json*> cases = gemm_cases(context, Half::kPrediction);
    const auto ask = [&](const Json& one) { return time_request(context, one); };
    auto walked = walk(context, state, answers, cases, ask, time_metrics());
    if (auto* step = std::get_if<Step>(&walked)) return std::move(*step);
    const auto timed = timed_cases(std::get<std::vector<WalkRow>>(walked), cases);
    if (!timed) return harness_error(timed.error().text());

    Done done;
    Metric median = absent_metric("seconds_median", "s", "nothing was timed");
    Flops flops;
    Seconds time;
    double noise_ratio = 0.0;
    Json rows = Json::array();
    for (const Timed& one : *timed) {
        flops += gemm_of(*one.operator_case)->flops();
        time += Seconds{*one.seconds_median.value};
        noise_ratio = std::max(noise_ratio, one.noise_ratio);
        if (!median.value) median = one.seconds_median;
        done.observation.push_back(case_metric(one));
        rows.push_back(timed_detail(one));
    }
    done.observation.push_back(
        timed->empty() ? absent_metric("achieved_flops_per_s", "FLOP/s", "nothing was timed")
                       : metric_of("achieved_flops_per_s", (flops / time).count, "FLOP/s"));
    done.observation.push_back(median);  // of the case with the most FLOPs
    done.observation.push_back(metric_of("noise_ratio", noise_ratio, "ratio"));
    const auto count = [](std::size_t number) { return static_cast<double>(number); };
    done.observation.push_back(metric_of("cases_timed", count(timed->size()), "count"));
    done.observation.push_back(metric_of("cases_total", count(cases.size()), "count"));
    done.detail = {{"rows", rows}};
    return done;
}

}  // namespace ascertain::checks
