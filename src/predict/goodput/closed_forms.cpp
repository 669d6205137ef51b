#include "predict/goodput/closed_forms.hpp"

#include <algorithm>
#include <boost/math/distributions/binomial.hpp>
#include <boost/math/special_functions/erf.hpp>
#include <cmath>
#include <numbers>

#include "base/assert.hpp"

namespace ascertain::goodput {

double young_interval_s(double stall_s, double mtbf_s) {
    return std::sqrt(2.0 * stall_s * mtbf_s);
}

double daly_interval_s(double stall_s, double mtbf_s) {
    if (stall_s >= 2.0 * mtbf_s) return mtbf_s;
    const double ratio = stall_s / (2.0 * mtbf_s);
    return young_interval_s(stall_s, mtbf_s) * (1.0 + std::sqrt(ratio) / 3.0 + ratio / 9.0) -
           stall_s;
}

double daly_goodput(double interval_s, double stall_s, double mtbf_s, double recovery_s) {
    return interval_s /
           (mtbf_s * std::exp(recovery_s / mtbf_s) * std::expm1((interval_s + stall_s) / mtbf_s));
}

double rsc_ettr(double failures_per_s, double restart_s, double interval_s, double stall_s) {
    return (1.0 - failures_per_s * (restart_s + interval_s / 2.0)) / (1.0 + stall_s / interval_s);
}

double expected_max_of_normals(std::int64_t n) {
    ASCERTAIN_ASSERT(n >= 1);
    // E[max] = integral over x > 0 of (1 - F(x)^n) minus integral over x < 0 of F(x)^n; composite
    // Simpson over [-9, 9], where 1 - F(9) = 1e-19.
    constexpr int kIntervals = 3600;
    constexpr double kEnd = 9.0;
    constexpr double kWidth = kEnd / kIntervals;
    const auto count = static_cast<double>(n);
    // F(x)^n through the upper tail, which keeps its precision for large n.
    const auto power = [count](double x) {
        return std::exp(count * std::log1p(-0.5 * boost::math::erfc(x / std::numbers::sqrt2)));
    };
    double sum = 0.0;
    for (int i = 0; i <= kIntervals; ++i) {
        const double x = kWidth * i;
        const double weight = (i == 0 || i == kIntervals) ? 1.0 : (i % 2 == 1 ? 4.0 : 2.0);
        sum += weight * ((1.0 - power(x)) - power(-x));
    }
    return sum * kWidth / 3.0;
}

double straggler_ratio(std::int64_t coupled, double sigma_ratio) {
    return coupled > 1 ? sigma_ratio * expected_max_of_normals(coupled) : 0.0;
}

double spares_exhausted_probability(std::int64_t nodes, std::int64_t spares,
                                    double failures_per_node_s, double repair_s) {
    if (nodes <= spares) return 0.0;
    const double load = failures_per_node_s * repair_s;
    const boost::math::binomial_distribution<double> away(static_cast<double>(nodes),
                                                          load / (1.0 + load));
    return boost::math::cdf(boost::math::complement(away, static_cast<double>(spares)));
}

std::int64_t spares_needed(std::int64_t nodes, double failures_per_node_s, double repair_s,
                           double confidence) {
    std::int64_t low = 0;
    std::int64_t high = nodes;
    while (low < high) {
        const std::int64_t middle = low + (high - low) / 2;
        if (spares_exhausted_probability(nodes, middle, failures_per_node_s, repair_s) <=
            1.0 - confidence) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    return low;
}

}  // namespace ascertain::goodput
