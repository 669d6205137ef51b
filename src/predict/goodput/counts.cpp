#include "predict/goodput/counts.hpp"

#include <boost/math/distributions/negative_binomial.hpp>
#include <cmath>

namespace ascertain::goodput {

Result<CountForecast> forecast_count(const GammaRate& belief, double device_hours) {
    if (auto valid = validate(belief); !valid) return valid.error();
    if (!std::isfinite(device_hours) || device_hours < 0.0) {
        return Error{ErrorCode::kOutOfRange, "device-hours must be finite and not negative", {}};
    }
    CountForecast forecast;
    forecast.mean = belief.mean() * device_hours;
    if (device_hours == 0.0) return forecast;
    const boost::math::negative_binomial counts(
        belief.a, belief.b_device_hours / (belief.b_device_hours + device_hours));
    // Rounded outwards, so that the interval holds at least what it promises.
    forecast.low = std::floor(boost::math::quantile(counts, 0.1));
    forecast.high = std::ceil(boost::math::quantile(boost::math::complement(counts, 0.1)));
    return forecast;
}

}  // namespace ascertain::goodput
