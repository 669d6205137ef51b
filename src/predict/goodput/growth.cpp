#include "predict/goodput/growth.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <numbers>
#include <vector>

namespace ascertain::goodput {
namespace {

constexpr int kNumberSteps = 81;
constexpr int kRateSteps = 21;

// The normal score in the middle of step i of n equally likely ones.
double score_of(int i, int n) {
    return std::numbers::sqrt2 * boost::math::erf_inv(2.0 * (i + 0.5) / n - 1.0);
}

struct Weighted {
    double left;
    double weight;
};

double weighted_quantile(const std::vector<Weighted>& sorted, double total, double p) {
    double passed = 0.0;
    for (const Weighted& point : sorted) {
        passed += point.weight;
        if (passed >= p * total) return point.left;
    }
    return sorted.back().left;
}

}  // namespace

Result<void> validate(const DefectFindings& findings) {
    if (findings.found >= 0.0 && findings.found <= 1e4 && findings.exposure_days >= 0.0 &&
        findings.exposure_days <= 1e5 && findings.reach_ratio >= 0.0 &&
        findings.reach_ratio <= 1.0 && (findings.found == 0.0 || findings.exposure_days > 0.0)) {
        return {};
    }
    return Error{ErrorCode::kBadInput,
                 fmt::format("{} defects found in {} days with reach {} are no findings",
                             findings.found, findings.exposure_days, findings.reach_ratio),
                 "findings"};
}

Uncertain defects_left(const Uncertain& outstanding, const Uncertain& found_per_day,
                       const DefectFindings& findings) {
    std::vector<Weighted> points;
    points.reserve(kNumberSteps * kRateSteps);
    double largest = -1e300;
    for (int i = 0; i < kNumberSteps; ++i) {
        const double number = value_at(outstanding, score_of(i, kNumberSteps));
        for (int k = 0; k < kRateSteps; ++k) {
            const double rate = value_at(found_per_day, score_of(k, kRateSteps));
            const double seen = findings.reach_ratio * -std::expm1(-rate * findings.exposure_days);
            const double expected = std::max(number * seen, 1e-300);
            const double log_weight = findings.found * std::log(expected) - expected;
            points.push_back({number * (1.0 - seen), log_weight});
            largest = std::max(largest, log_weight);
        }
    }
    double total = 0.0;
    for (Weighted& point : points) total += point.weight = std::exp(point.weight - largest);
    std::sort(points.begin(), points.end(),
              [](const Weighted& a, const Weighted& b) { return a.left < b.left; });
    Uncertain left = outstanding;
    left.low = weighted_quantile(points, total, 0.1);
    left.mid = weighted_quantile(points, total, 0.5);
    left.high = weighted_quantile(points, total, 0.9);
    left.source = fmt::format("{}; {:.0f} found in {:.3g} days of qualification (reach {:.2g})",
                              outstanding.source, findings.found, findings.exposure_days,
                              findings.reach_ratio);
    return left;
}

}  // namespace ascertain::goodput
