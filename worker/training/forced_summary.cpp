#include "worker/training/forced_summary.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <string>

namespace ascertain::training {
namespace {

// fp32 rounding of a loss or a norm moves it by about this much, relatively.
constexpr double kSmallestDeviation = 1e-7;

Metric metric_of(std::string name, std::optional<double> value, std::string unit, std::int64_t n,
                 std::string reason_if_absent) {
    Metric metric;
    metric.metric = std::move(name);
    metric.value = value;
    metric.unit = std::move(unit);
    metric.n = n;
    if (!value) metric.reason = std::move(reason_if_absent);
    return metric;
}

// Of all steps, the z that is farthest from zero.
std::optional<double> worst_z(const std::vector<SignedDeviations>& steps) {
    std::optional<double> worst;
    for (const SignedDeviations& deviations : steps) {
        const std::optional<double> z = z_score(deviations, kSmallestDeviation);
        if (z && (!worst || std::abs(*z) > std::abs(*worst))) worst = z;
    }
    return worst;
}

std::optional<double> count_if_any(std::int64_t count, std::int64_t of) {
    return of > 0 ? std::optional(static_cast<double>(count)) : std::nullopt;
}

std::optional<double> share_if_any(std::int64_t count, std::int64_t of) {
    return of > 0 ? std::optional(static_cast<double>(count) / static_cast<double>(of))
                  : std::nullopt;
}

}  // namespace

double relative_deviation(double got, double expected) {
    return std::isfinite(got) ? (got - expected) / expected : kNotFinite;
}

double log_ratio(double got, double expected) {
    if (got == expected) return 0.0;
    return std::isfinite(got) && got > 0.0 && expected > 0.0 ? std::log(got / expected)
                                                             : kNotFinite;
}

Observation summarise(const std::vector<ForcedPoint>& points,
                      const std::vector<ForcedTensor>& tensors, const ForcedTotals& totals) {
    double loss = 0.0;
    double gradient = 0.0;
    for (const ForcedPoint& point : points) {
        loss =
            std::max(loss, std::abs(relative_deviation(point.loss_device, point.loss_reference)));
        gradient = std::max(gradient, point.gradient_error);
    }
    ForcedTensor worst;
    for (const ForcedTensor& tensor : tensors) {
        worst.relative_error = std::max(worst.relative_error, tensor.relative_error);
        worst.one_minus_cosine = std::max(worst.one_minus_cosine, tensor.one_minus_cosine);
        worst.one_minus_cosine_twin =
            std::max(worst.one_minus_cosine_twin, tensor.one_minus_cosine_twin);
    }
    const auto count = static_cast<std::int64_t>(points.size());
    const auto steps = static_cast<std::int64_t>(totals.losses.size());
    const auto ratio = [](std::string name, double value, std::int64_t n) {
        return metric_of(std::move(name), value, "ratio", n, "");
    };
    const std::string no_spread = "one batch has no spread";
    return {ratio("relative_loss_max", loss, count),
            ratio("tensor_relative_error_max", worst.relative_error, count),
            ratio("tensor_relative_error_band", totals.twin_error, count),
            ratio("gradient_relative_error_max", gradient, count),
            metric_of("loss_z", worst_z(totals.losses), "ratio", count, no_spread),
            metric_of("log_grad_norm_ratio_z", worst_z(totals.norms), "ratio", count, no_spread),
            ratio("one_minus_cosine_max", worst.one_minus_cosine, count),
            ratio("one_minus_cosine_band", worst.one_minus_cosine_twin, count),
            ratio("update_norm_log_ratio_tensor_max", totals.update_norm, steps),
            ratio("update_norm_log_ratio_max", totals.global_update_norm, steps),
            ratio("optimizer_relative_error_max", totals.optimizer_error, steps),
            metric_of("router_bias_mismatches", count_if_any(totals.bias_mismatches, totals.biases),
                      "count", totals.biases, "the model's router has no bias"),
            metric_of("routing_disagreement",
                      share_if_any(totals.tokens_disagreeing, totals.tokens_routed), "ratio",
                      totals.tokens_routed, "the model has no router")};
}

}  // namespace ascertain::training
