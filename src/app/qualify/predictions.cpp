#include "app/qualify/predictions.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "measure/checks/cases.hpp"
#include "measure/checks/timing.hpp"

namespace ascertain::app {
namespace {

// log(seconds) = intercept + slope log(flops) + depth log(bytes / flops): a matrix product is bound
// by arithmetic or by memory, and in between by both.
struct TimedGemm {
    double log_flops = 0.0;
    double log_bytes_per_flop = 0.0;
    double log_seconds = 0.0;
};

struct Fit {
    double intercept = 0.0;
    double per_flops = 1.0;
    double per_bytes = 0.0;

    [[nodiscard]] double log_seconds(const TimedGemm& gemm) const {
        return intercept + per_flops * gemm.log_flops + per_bytes * gemm.log_bytes_per_flop;
    }
};

constexpr double kInterval_log_min = 0.4054651081081644;  // log 1.5
constexpr std::size_t kCalibrationCasesMin = 3;

TimedGemm features(double m, double n, double k, double batch, double seconds) {
    const double flops = 2.0 * m * n * k * batch;
    const double elements = batch * (m * k + k * n + m * n);
    return {std::log(flops), std::log(elements / flops), seconds > 0.0 ? std::log(seconds) : 0.0};
}

// Ridge towards "time is proportional to FLOPs", so that few cases cannot bend the line.
Fit fit(const std::vector<TimedGemm>& cases, std::size_t left_out) {
    constexpr double kRidge = 1.0;
    double count = 0.0;
    double mean_f = 0.0;
    double mean_b = 0.0;
    double mean_y = 0.0;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        if (i == left_out) continue;
        count += 1.0;
        mean_f += cases[i].log_flops;
        mean_b += cases[i].log_bytes_per_flop;
        mean_y += cases[i].log_seconds - cases[i].log_flops;
    }
    mean_f /= count;
    mean_b /= count;
    mean_y /= count;
    double ff = kRidge;
    double bb = kRidge;
    double fb = 0.0;
    double fy = 0.0;
    double by = 0.0;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        if (i == left_out) continue;
        const double f = cases[i].log_flops - mean_f;
        const double b = cases[i].log_bytes_per_flop - mean_b;
        const double y = cases[i].log_seconds - cases[i].log_flops - mean_y;
        ff += f * f;
        bb += b * b;
        fb += f * b;
        fy += f * y;
        by += b * y;
    }
    const double determinant = ff * bb - fb * fb;
    const double slope_f = (fy * bb - by * fb) / determinant;
    const double slope_b = (by * ff - fy * fb) / determinant;
    return {mean_y - slope_f * mean_f - slope_b * mean_b, 1.0 + slope_f, slope_b};
}

std::vector<TimedGemm> calibration_cases(const Json& detail) {
    std::vector<TimedGemm> cases;
    const auto rows = detail.find("rows");
    if (rows == detail.end() || !rows->is_array()) return cases;
    for (const auto& row : *rows) {
        if (!row.contains("gemm")) continue;
        const Json& gemm = row["gemm"];
        cases.push_back(features(gemm["m"].get<double>(), gemm["n"].get<double>(),
                                 gemm["k"].get<double>(), gemm["batch"].get<double>(),
                                 row["seconds_median"].get<double>()));
    }
    return cases;
}

double worst_left_out_miss(const std::vector<TimedGemm>& cases) {
    double worst = 0.0;
    for (std::size_t i = 0; i < cases.size(); ++i) {
        worst =
            std::max(worst, std::abs(fit(cases, i).log_seconds(cases[i]) - cases[i].log_seconds));
    }
    return worst;
}

}  // namespace

Json basis_json(const std::vector<cost::Basis>& basis) {
    Json list = Json::array();
    for (const auto& item : basis) {
        list.push_back({{"name", item.name},
                        {"value", finite_or_null(item.value)},
                        {"unit", item.unit},
                        {"kind", item.kind},
                        {"source", item.source}});
    }
    return list;
}

std::vector<evidence::Prediction> fleet_predictions(const Situation& situation,
                                                    const std::vector<StageForecast>& stages) {
    std::vector<evidence::Prediction> predictions;
    for (const auto& stage : stages) {
        if (stage.search.plans.empty()) continue;
        const auto& best = stage.search.plans.front();
        const std::string kind(name_of(stage.stage.kind));
        const std::string fleet = fmt::format("{} x {}", situation.fleets[stage.fleet].count,
                                              situation.fleets[stage.fleet].chip.id);
        predictions.push_back({.id = "fleet.step." + kind,
                               .check = "",
                               .device = fleet,
                               .metric = "step_s",
                               .value = best.cost.step_s,
                               .low = best.cost.low_s,
                               .high = best.cost.high_s,
                               .unit = "s",
                               .calibrated = false,
                               .basis = basis_json(best.cost.basis)});
        predictions.push_back({.id = "fleet.memory." + kind,
                               .check = "",
                               .device = fleet,
                               .metric = "memory_bytes",
                               .value = best.cost.memory_bytes,
                               .low = best.cost.memory_low_bytes,
                               .high = best.cost.memory_high_bytes,
                               .unit = "B",
                               .calibrated = false,
                               .basis = basis_json(best.cost.basis)});
    }
    return predictions;
}

std::vector<evidence::Prediction> gemm_predictions(const std::string& device,
                                                   const Json& calibration_detail,
                                                   const checks::Context& gemm_context) {
    std::vector<evidence::Prediction> predictions;
    const auto cases = calibration_cases(calibration_detail);
    if (cases.size() < kCalibrationCasesMin) return predictions;
    const Fit fitted = fit(cases, cases.size());
    const double half_width = std::max(kInterval_log_min, 2.0 * worst_left_out_miss(cases));
    const Json basis =
        Json::array({{{"name", "matrix products timed on this device"},
                      {"value", cases.size()},
                      {"unit", "count"},
                      {"kind", "measured"},
                      {"source", "speed.calibration"}},
                     {{"name", "factor around the value"},
                      {"value", std::exp(half_width)},
                      {"unit", "ratio"},
                      {"kind", "measured"},
                      {"source", "twice the worst leave-one-out miss, at least 1.5"}}});
    for (const Json* one : checks::gemm_cases(gemm_context, checks::Half::kPrediction)) {
        const auto gemm = checks::gemm_of(*one);
        if (!gemm) continue;
        const double log_seconds = fitted.log_seconds(
            features(static_cast<double>(gemm->m), static_cast<double>(gemm->n),
                     static_cast<double>(gemm->k), static_cast<double>(gemm->batch), 0.0));
        const std::string metric = "seconds_median." + checks::case_id(*one);
        predictions.push_back({.id = "speed.gemm." + device + "." + checks::case_id(*one),
                               .check = "speed.gemm",
                               .device = device,
                               .metric = metric,
                               .value = std::exp(log_seconds),
                               .low = std::exp(log_seconds - half_width),
                               .high = std::exp(log_seconds + half_width),
                               .unit = "s",
                               .calibrated = true,
                               .basis = basis});
    }
    return predictions;
}

}  // namespace ascertain::app
