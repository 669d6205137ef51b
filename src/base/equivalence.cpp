#include "base/equivalence.hpp"

#include <algorithm>
#include <boost/math/distributions/chi_squared.hpp>
#include <boost/math/distributions/normal.hpp>
#include <boost/math/distributions/students_t.hpp>
#include <cmath>
#include <vector>

#include "base/assert.hpp"

namespace ascertain {
namespace {

constexpr double kOneSided = 0.95;

double mean_of(std::span<const double> values) {
    double sum = 0.0;
    for (const double value : values) sum += value;
    return sum / static_cast<double>(values.size());
}

double spread_of(std::span<const double> values, double mean) {
    double sum = 0.0;
    for (const double value : values) sum += (value - mean) * (value - mean);
    return std::sqrt(sum / static_cast<double>(values.size() - 1));
}

bool all_finite(std::span<const double> values) {
    return std::ranges::all_of(values, [](double value) { return std::isfinite(value); });
}

double student(int degrees) {
    return boost::math::quantile(boost::math::students_t(degrees), kOneSided);
}

Decision decide(double low, double high, double margin) {
    if (low > -margin && high < margin) return Decision::kEquivalent;
    if (low > margin || high < -margin) return Decision::kDifferent;
    return Decision::kUndecided;
}

// `error`: standard error of the difference for a spread of one.
Equivalence conclude(double difference, double spread, int degrees, double error,
                     const EquivalenceDesign& design) {
    Equivalence result;
    result.difference = difference;
    result.spread = std::max(spread, design.spread_min);
    result.degrees = degrees;
    const double half_width = student(degrees) * result.spread * error;
    result.low = difference - half_width;
    result.high = difference + half_width;
    result.decision = decide(result.low, result.high, design.margin);
    return result;
}

double error_of(std::size_t replicas, std::size_t tests) {
    return std::sqrt(1.0 / static_cast<double>(replicas) + 1.0 / static_cast<double>(tests));
}

}  // namespace

std::string_view name_of(Decision decision) {
    switch (decision) {
        case Decision::kEquivalent: return "equivalent";
        case Decision::kDifferent: return "different";
        case Decision::kUndecided: return "undecided";
        case Decision::kTooFew: return "too few replicas";
    }
    ASCERTAIN_ASSERT(false);
    return {};
}

double Equivalence::reach(double margin) const {
    const double far = std::max(std::abs(low), std::abs(high));
    const double near = low > 0.0 ? low : (high < 0.0 ? -high : 0.0);
    return (decision == Decision::kDifferent ? near : far) / margin;
}

Equivalence equivalence(std::span<const double> reference, std::span<const double> tested,
                        const EquivalenceDesign& design) {
    const bool enough = reference.size() >= kReplicasMin && !tested.empty();
    if (!enough || !all_finite(reference) || !all_finite(tested)) return {};
    const double mean = mean_of(reference);
    if (mean == 0.0) return {};
    return conclude((mean_of(tested) - mean) / mean, spread_of(reference, mean) / std::abs(mean),
                    static_cast<int>(reference.size()) - 1,
                    error_of(reference.size(), tested.size()), design);
}

Equivalence paired_equivalence(std::span<const double> reference, std::span<const double> tested,
                               const EquivalenceDesign& design) {
    ASCERTAIN_ASSERT(reference.size() == tested.size());
    if (reference.size() < kReplicasMin || !all_finite(reference) || !all_finite(tested)) return {};
    std::vector<double> differences;
    for (std::size_t i = 0; i < reference.size(); ++i) {
        if (reference[i] == 0.0) return {};
        differences.push_back((tested[i] - reference[i]) / reference[i]);
    }
    const double mean = mean_of(differences);
    return conclude(mean, spread_of(differences, mean), static_cast<int>(differences.size()) - 1,
                    std::sqrt(1.0 / static_cast<double>(differences.size())), design);
}

double probability_of(Decision decision, double difference, double spread, std::size_t replicas,
                      std::size_t tests, const EquivalenceDesign& design) {
    ASCERTAIN_ASSERT(decision != Decision::kTooFew && replicas >= 2 && tests >= 1 && spread > 0.0);
    // The measured difference is normal and independent of the measured spread, whose square is
    // chi-squared: the mean over equally likely spreads of what the normal gives for each.
    constexpr int kSlices = 2000;
    const int degrees = static_cast<int>(replicas) - 1;
    const boost::math::chi_squared scatter(degrees);
    const boost::math::normal standard;
    const double error = error_of(replicas, tests);
    const double factor = student(degrees) * error;
    const auto below = [&](double bound) {
        return boost::math::cdf(standard, (bound - difference) / (spread * error));
    };
    double sum = 0.0;
    for (int slice = 0; slice < kSlices; ++slice) {
        const double share = (slice + 0.5) / kSlices;
        const double measured = spread * std::sqrt(boost::math::quantile(scatter, share) / degrees);
        const double half_width = factor * std::max(measured, design.spread_min);
        const double inner = design.margin - half_width;
        const double outer = design.margin + half_width;
        const double passes = inner > 0.0 ? below(inner) - below(-inner) : 0.0;
        const double fails = 1.0 - below(outer) + below(-outer);
        switch (decision) {
            case Decision::kEquivalent: sum += passes; break;
            case Decision::kDifferent: sum += fails; break;
            default: sum += 1.0 - passes - fails;
        }
    }
    return sum / kSlices;
}

}  // namespace ascertain
