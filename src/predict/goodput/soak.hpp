// What hours of soak prove about the rate of failures, and what they do not.
// Rates are per device-hour, exposures in device-hours, as operators count them.
#pragma once

#include <string>

#include "base/result.hpp"

namespace ascertain::goodput {

// Belief about a rate: Gamma with shape `a` and `b` device-hours. The prior of E4 of the
// reliability notes, Gamma(1, 30,000 h), is one failure in 30,000 device-hours worth of conviction.
struct GammaRate {
    double a = 0.0;               // failures, > 0
    double b_device_hours = 0.0;  // > 0

    [[nodiscard]] double mean() const { return a / b_device_hours; }
    // The rate below which it lies with probability p in (0, 1).
    [[nodiscard]] double quantile(double p) const;
    // P(rate <= limit).
    [[nodiscard]] double probability_at_most(double rate) const;
};

[[nodiscard]] Result<void> validate(const GammaRate& belief);

// Failures seen in so many device-hours of the real workload at power.
struct SoakEvidence {
    double failures = 0.0;
    double device_hours = 0.0;
};
[[nodiscard]] Result<void> validate(const SoakEvidence& evidence);

// Gamma-Poisson: Gamma(a + n, b + T). Source: Gelman et al., Bayesian Data Analysis, 3rd ed., 2.6.
[[nodiscard]] GammaRate updated(const GammaRate& prior, const SoakEvidence& evidence);
// How much of the posterior mean comes from the prior: b / (b + T). 1: the soak says nothing.
[[nodiscard]] double prior_share(const GammaRate& prior, const SoakEvidence& evidence);

// The mean time between failures of one device (hours) that the evidence alone shows with so much
// confidence: 2 T / chi-square(confidence; 2 n + 2). Without failures this is T / -ln(1 -
// confidence), the rule of three at 95 %. Source: MIL-HDBK-781A, time-terminated test.
[[nodiscard]] double mtbf_lower_bound_hours(const SoakEvidence& evidence, double confidence);
// And the bound from above, 2 T / chi-square(1 - confidence; 2 n); infinite without failures.
[[nodiscard]] double mtbf_upper_bound_hours(const SoakEvidence& evidence, double confidence);

// Device-hours still to be soaked without a further failure until the claim "each device has an
// MTBF of at least `mtbf_hours`" stands with so much confidence; 0 when it stands already.
[[nodiscard]] double device_hours_still_needed(const SoakEvidence& evidence, double mtbf_hours,
                                               double confidence);

// What a soak says about a fleet's limit of interruptions, with the prior named.
struct SoakClaim {
    double probability = 0.0;        // posterior P(interruptions per day of the fleet <= limit)
    double prior_probability = 0.0;  // the same before any soak
    double prior_share = 1.0;        // of the posterior mean
    bool holds = false;              // probability >= confidence
    // Further quiet device-hours until it holds; empty reason when that number is meaningful.
    double device_hours_needed = 0.0;
    std::string reason;
};

// `fleet_devices` in lock-step, at most `interruptions_per_day_at_most`. kOutOfRange for a negative
// or absurd argument.
[[nodiscard]] Result<SoakClaim> judge_soak(const GammaRate& prior, const SoakEvidence& evidence,
                                           double fleet_devices,
                                           double interruptions_per_day_at_most, double confidence);

}  // namespace ascertain::goodput
