// How many interruptions a belief about their rate foretells of a stretch of hours.
#pragma once

#include "base/result.hpp"
#include "predict/goodput/soak.hpp"

namespace ascertain::goodput {

struct CountForecast {
    double mean = 0.0;
    double low = 0.0;   // whole numbers: with 80 % probability the count
    double high = 0.0;  // lies within them, these included
};

// Poisson counts whose rate is drawn from `belief`: negative binomial. Source: Gelman et al.,
// Bayesian Data Analysis, 3rd ed., 2.6. kOutOfRange unless device_hours is finite and not negative.
[[nodiscard]] Result<CountForecast> forecast_count(const GammaRate& belief, double device_hours);

}  // namespace ascertain::goodput
