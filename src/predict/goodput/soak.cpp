#include "predict/goodput/soak.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <boost/math/special_functions/gamma.hpp>
#include <cmath>
#include <limits>

namespace ascertain::goodput {
namespace {

constexpr double kHoursPerDay = 24.0;
constexpr double kDeviceHoursMax = 1e15;

bool is_confidence(double p) {
    return p > 0.0 && p < 1.0;
}

// Chi-square quantile with `degrees` of freedom, through the Gamma distribution.
double chi_square_quantile(double p, double degrees) {
    return 2.0 * boost::math::gamma_p_inv(degrees / 2.0, p);
}

// Grows an exposure until `enough` holds, then closes in on the smallest one that does.
template <typename Enough>
double smallest_exposure(double start, Enough enough) {
    if (enough(0.0)) return 0.0;
    double high = std::max(start, 1.0);
    while (!enough(high)) {
        high *= 2.0;
        if (high > kDeviceHoursMax) return std::numeric_limits<double>::infinity();
    }
    double low = 0.0;
    for (int i = 0; i < 100; ++i) {
        const double middle = 0.5 * (low + high);
        (enough(middle) ? high : low) = middle;
    }
    return high;
}

}  // namespace

double GammaRate::quantile(double p) const {
    return boost::math::gamma_p_inv(a, p) / b_device_hours;
}

double GammaRate::probability_at_most(double rate) const {
    return rate <= 0.0 ? 0.0 : boost::math::gamma_p(a, rate * b_device_hours);
}

Result<void> validate(const GammaRate& belief) {
    if (belief.a > 0.0 && belief.a < 1e12 && belief.b_device_hours > 0.0 &&
        belief.b_device_hours < kDeviceHoursMax) {
        return {};
    }
    return Error{ErrorCode::kOutOfRange,
                 fmt::format("Gamma({}, {} device-hours) is no belief about a rate: both must be "
                             "positive and finite",
                             belief.a, belief.b_device_hours),
                 "failure_prior"};
}

Result<void> validate(const SoakEvidence& evidence) {
    if (evidence.failures >= 0.0 && evidence.failures < 1e12 && evidence.device_hours >= 0.0 &&
        evidence.device_hours < kDeviceHoursMax &&
        (evidence.failures == 0.0 || evidence.device_hours > 0.0)) {
        return {};
    }
    return Error{ErrorCode::kOutOfRange,
                 fmt::format("{} failures in {} device-hours is no evidence", evidence.failures,
                             evidence.device_hours),
                 "soak"};
}

GammaRate updated(const GammaRate& prior, const SoakEvidence& evidence) {
    return {prior.a + evidence.failures, prior.b_device_hours + evidence.device_hours};
}

double prior_share(const GammaRate& prior, const SoakEvidence& evidence) {
    return prior.b_device_hours / (prior.b_device_hours + evidence.device_hours);
}

double mtbf_lower_bound_hours(const SoakEvidence& evidence, double confidence) {
    return 2.0 * evidence.device_hours /
           chi_square_quantile(confidence, 2.0 * evidence.failures + 2.0);
}

double mtbf_upper_bound_hours(const SoakEvidence& evidence, double confidence) {
    if (evidence.failures <= 0.0) return std::numeric_limits<double>::infinity();
    return 2.0 * evidence.device_hours /
           chi_square_quantile(1.0 - confidence, 2.0 * evidence.failures);
}

double device_hours_still_needed(const SoakEvidence& evidence, double mtbf_hours,
                                 double confidence) {
    const double needed =
        0.5 * mtbf_hours * chi_square_quantile(confidence, 2.0 * evidence.failures + 2.0);
    return std::max(0.0, needed - evidence.device_hours);
}

Result<SoakClaim> judge_soak(const GammaRate& prior, const SoakEvidence& evidence,
                             double fleet_devices, double interruptions_per_day_at_most,
                             double confidence) {
    if (auto checked = validate(prior); !checked) return checked.error();
    if (auto checked = validate(evidence); !checked) return checked.error();
    if (!(fleet_devices >= 1.0 && fleet_devices <= 1e9)) {
        return Error{ErrorCode::kOutOfRange, fmt::format("a fleet of {} devices", fleet_devices),
                     "fleet.count"};
    }
    if (!(interruptions_per_day_at_most > 0.0 && interruptions_per_day_at_most < 1e12)) {
        return Error{ErrorCode::kOutOfRange,
                     fmt::format("must be positive, is {}", interruptions_per_day_at_most),
                     "decision.interruptions_per_day_at_most"};
    }
    if (!is_confidence(confidence)) {
        return Error{ErrorCode::kOutOfRange,
                     fmt::format("must lie between 0 and 1, is {}", confidence),
                     "decision.confidence"};
    }
    const double limit = interruptions_per_day_at_most / (fleet_devices * kHoursPerDay);
    const GammaRate posterior = updated(prior, evidence);
    SoakClaim claim;
    claim.prior_probability = prior.probability_at_most(limit);
    claim.probability = posterior.probability_at_most(limit);
    claim.prior_share = prior_share(prior, evidence);
    claim.holds = claim.probability >= confidence;
    claim.device_hours_needed = smallest_exposure(posterior.b_device_hours, [&](double further) {
        return updated(posterior, {0.0, further}).probability_at_most(limit) >= confidence;
    });
    if (!std::isfinite(claim.device_hours_needed)) {
        claim.reason = "no soak that could ever be run would show it";
    }
    return claim;
}

}  // namespace ascertain::goodput
