// speed.calibration: how fast does this device multiply matrices and move memory? What it times is
// what predictions of other cases may be fitted to.
#include <algorithm>

#include "measure/checks/answers.hpp"
#include "measure/checks/cases.hpp"
#include "measure/checks/steps.hpp"
#include "measure/checks/timing.hpp"

namespace ascertain::checks {

Step speed_calibration(const Context& context, const Json& state, std::span<const Answer> answers) {
    // The memory case goes first: there is one, and a short budget must not lose it.
    std::vector<const Json*> cases = gemm_cases(context, Half::kCalibration);
    if (const Json* memory = memory_case(context)) cases.insert(cases.begin(), memory);
    const auto ask = [&](const Json& one) { return time_request(context, one); };
    auto walked = walk(context, state, answers, cases, ask, time_metrics());
    if (auto* step = std::get_if<Step>(&walked)) return std::move(*step);
    const auto timed = timed_cases(std::get<std::vector<WalkRow>>(walked), cases);
    if (!timed) return harness_error(timed.error().text());

    Done done;
    Flops flops;
    Seconds gemm_time;
    FlopsPerSecond best;
    Metric bandwidth =
        absent_metric("achieved_bytes_per_s", "B/s", "the model has no case bound by memory alone");
    Metric rate = absent_metric("achieved_flops_per_s", "FLOP/s", "no matrix product was timed");
    double noise_ratio = 0.0;
    Json rows = Json::array();
    std::vector<Metric> per_case;
    for (const Timed& one : *timed) {
        const Seconds time{*one.seconds_median.value};
        if (const auto gemm = gemm_of(*one.operator_case)) {
            flops += gemm->flops();
            gemm_time += time;
            best = std::max(best, gemm->flops() / time);
            per_case.push_back(case_metric(one));
            rate = metric_of("achieved_flops_per_s", (flops / gemm_time).count, "FLOP/s");
        } else {
            const BytesPerSecond speed = *streamed_bytes(*one.operator_case) / time;
            bandwidth = metric_of("achieved_bytes_per_s", speed.count, "B/s");
        }
        noise_ratio = std::max(noise_ratio, one.noise_ratio);
        rows.push_back(timed_detail(one));
    }
    Metric median = absent_metric("seconds_median", "s", "nothing was timed");
    if (!timed->empty()) median = timed->front().seconds_median;  // of the case asked first
    done.observation = {rate,
                        median,
                        metric_of("achieved_flops_per_s_max", best.count, "FLOP/s"),
                        bandwidth,
                        metric_of("noise_ratio", noise_ratio, "ratio"),
                        metric_of("cases_timed", static_cast<double>(timed->size()), "count")};
    done.observation.insert(done.observation.end(), per_case.begin(), per_case.end());
    done.detail = {{"rows", rows}};
    return done;
}

}  // namespace ascertain::checks
