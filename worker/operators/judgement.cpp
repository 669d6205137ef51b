#include "worker/operators/judgement.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <optional>

namespace ascertain::operators {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

double ratio(double part, double whole) {
    if (part == 0.0) return 0.0;
    return whole > 0.0 ? part / whole : kInfinite;
}

bool is_floating(const Judged& judged) {
    return judged.distance.elements > 0;
}

// The largest value of a metric over the outputs it concerns, with their elements; absent if none.
Metric worst_of(const std::vector<Judged>& outputs, const char* name, const char* unit,
                const char* reason, const std::function<bool(const Judged&)>& concerns,
                const std::function<double(const Judged&)>& value) {
    Metric metric{name, std::nullopt, unit, 0, std::nullopt, std::nullopt, reason};
    for (const Judged& judged : outputs) {
        if (!concerns(judged)) continue;
        const double found = value(judged);
        if (!metric.value || std::abs(found) > std::abs(*metric.value)) {
            metric.value = found;
            metric.n = judged.elements;
        }
        metric.reason.clear();
    }
    return metric;
}

double share(const Judged& judged) {
    return ratio(static_cast<double>(judged.distance.not_ideal),
                 static_cast<double>(judged.distance.elements));
}

// Wilson's interval for a share, 95 %. Source: Wilson, JASA 22 (1927) 209.
void add_interval(Metric& metric) {
    if (!metric.value || metric.n <= 0) return;
    constexpr double kZ = 1.959963984540054;
    const auto n = static_cast<double>(metric.n);
    const double p = *metric.value;
    const double centre = (p + kZ * kZ / (2.0 * n)) / (1.0 + kZ * kZ / n);
    const double half =
        kZ / (1.0 + kZ * kZ / n) * std::sqrt(p * (1.0 - p) / n + kZ * kZ / (4.0 * n * n));
    metric.low = std::max(0.0, centre - half);
    metric.high = std::min(1.0, centre + half);
}

// Rounding is judged against the length of the sums, beyond 4,096 terms against an emulated
// accumulator: docs/formulas.md#operator-metrics.
void add_reduction(Observation& observation, const std::optional<Reduction>& reduction) {
    if (!reduction) return;
    observation.push_back({"reduction_length", static_cast<double>(reduction->length), "count", 1,
                           std::nullopt, std::nullopt, ""});
    if (!reduction->emulated_share) return;
    Metric emulated{"share_not_correctly_rounded_emulated",
                    reduction->emulated_share,
                    "ratio",
                    reduction->emulated_elements,
                    std::nullopt,
                    std::nullopt,
                    ""};
    add_interval(emulated);
    observation.push_back(std::move(emulated));
}

Metric count(const char* name, double value, std::int64_t n) {
    return {name, value, "count", n, std::nullopt, std::nullopt, ""};
}

// Up to here no element of the output is wrong by itself; nothing where only means are judged.
std::optional<double> legal_ulp(const Judged& judged) {
    switch (judged.rule) {
        case Rule::kExact: return 0.0;
        case Rule::kRounding: return 1.0;
        case Rule::kBounded:
            if (judged.distance.bound_max <= 0.0) return std::nullopt;
            return judged.distance.ulp_max / judged.distance.bound_max;
        case Rule::kErrorRatio: return std::nullopt;
    }
    return std::nullopt;
}

}  // namespace

double error_ratio(const Judged& judged) {
    return ratio(judged.distance.rms_error(), judged.legal_rms);
}

double bound_ratio(const Judged& judged) {
    if (judged.rule == Rule::kRounding) return judged.distance.ulp_max;
    double worst = judged.distance.bound_max;
    if (judged.emulated_rms > 0.0) {
        worst = std::max(worst, ratio(judged.distance.rms_error(), 2.0 * judged.emulated_rms));
    }
    if (judged.bias_allowed > 0.0) {
        worst = std::max(worst, std::abs(judged.distance.bias()) / judged.bias_allowed);
    }
    return worst;
}

Observation observation_of(const std::vector<Judged>& outputs,
                           const std::optional<Reduction>& reduction) {
    const auto low_precision = [](const Judged& judged) {
        return is_floating(judged) && judged.dtype != "fp32" && judged.dtype != "fp64";
    };
    std::int64_t elements = 0;
    std::int64_t exact = 0;
    std::int64_t mismatches = 0;
    std::int64_t nonfinite = 0;
    for (const Judged& judged : outputs) {
        elements += judged.elements;
        if (judged.rule == Rule::kExact) exact += judged.elements;
        mismatches += judged.exact_mismatches;
        nonfinite += judged.distance.nonfinite_mismatches;
    }
    Metric rounded = worst_of(
        outputs, "share_not_correctly_rounded", "ratio",
        "no low-precision output with elements enough",
        [&](const Judged& judged) { return judged.is_bulk && low_precision(judged); }, share);
    add_interval(rounded);
    Metric exactness = count("exact_mismatches", static_cast<double>(mismatches), exact);
    if (exact == 0) {
        exactness.value.reset();
        exactness.reason = "no output is known to the last bit";
    }
    Observation observation = {
        rounded,
        worst_of(
            outputs, "error_ratio", "ratio", "no floating output whose errors add up",
            [](const Judged& judged) { return judged.is_bulk || judged.rule == Rule::kErrorRatio; },
            error_ratio),
        worst_of(
            outputs, "bound_ratio", "ratio", "no output is judged by a bound",
            [](const Judged& judged) {
                return judged.rule == Rule::kBounded || judged.rule == Rule::kRounding;
            },
            bound_ratio),
        worst_of(outputs, "error_max_ulp", "ulp", "no floating output", is_floating,
                 [](const Judged& judged) { return judged.distance.ulp_max; }),
        worst_of(outputs, "relative_error", "ratio", "no floating output", is_floating,
                 [](const Judged& judged) {
                     return ratio(judged.distance.error_max, judged.distance.reference_max);
                 }),
        worst_of(outputs, "signed_bias", "ratio", "no low-precision output", low_precision,
                 [](const Judged& judged) { return judged.distance.bias(); }),
        worst_of(outputs, "signed_bias_z", "ratio", "no low-precision output", low_precision,
                 [](const Judged& judged) { return judged.distance.bias_z(); }),
        count("nonfinite_mismatches", static_cast<double>(nonfinite), elements),
        exactness,
        count("elements", static_cast<double>(elements), 1),
    };
    add_reduction(observation, reduction);
    return observation;
}

Json outputs_document(const std::vector<Judged>& outputs) {
    Json list = Json::array();
    for (const Judged& judged : outputs) {
        Json item = {{"name", judged.name},
                     {"dtype", judged.dtype},
                     {"elements", judged.elements},
                     {"rule", name_of(judged.rule)},
                     {"exact_mismatches", judged.exact_mismatches}};
        if (is_floating(judged)) {
            item["share_not_correctly_rounded"] = share(judged);
            item["error_ratio"] = finite_or_null(error_ratio(judged));
            item["bound_ratio"] = finite_or_null(bound_ratio(judged));
            item["error_max_ulp"] = judged.distance.ulp_max;
            item["rms_error"] = finite_or_null(judged.distance.rms_error());
            item["rms_reference"] = finite_or_null(judged.distance.rms_reference());
            item["signed_bias"] = finite_or_null(judged.distance.bias());
        }
        list.push_back(std::move(item));
    }
    return list;
}

Json worst_document(const std::vector<Judged>& outputs) {
    Json document;
    double worst = 0.0;
    for (const Judged& judged : outputs) {
        if (!judged.distance.worst || judged.distance.worst->ulp <= worst) continue;
        worst = judged.distance.worst->ulp;
        document = {{"output", judged.name},
                    {"index", judged.distance.worst->index},
                    {"got", finite_or_null(judged.distance.worst->got)},
                    {"expected", finite_or_null(judged.distance.worst->expected)}};
    }
    return document;
}

Json histogram_document(const std::vector<Judged>& outputs) {
    std::array<std::int64_t, kUlpEdges.size() + 1> counts{};
    for (const Judged& judged : outputs) {
        for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += judged.distance.histogram[i];
    }
    std::optional<double> legal;
    for (const Judged& judged : outputs) {
        const std::optional<double> own = is_floating(judged) ? legal_ulp(judged) : std::nullopt;
        if (own && std::isfinite(*own)) legal = std::max(legal.value_or(0.0), *own);
    }
    return {
        {"ulp_edges", kUlpEdges}, {"counts", counts}, {"legal_ulp", legal ? Json(*legal) : Json()}};
}

}  // namespace ascertain::operators
