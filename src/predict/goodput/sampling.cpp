#include "predict/goodput/sampling.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "base/assert.hpp"

namespace ascertain::goodput {
namespace {

constexpr double kLn2High = 6.93147180369123816490e-01;
constexpr double kLn2Low = 1.90821492927058770002e-10;
constexpr double kInverseLn2 = 1.44269504088896338700e+00;
constexpr double kSqrt2 = 1.41421356237309504880;

// 2 to the power n, for n in the range of normal doubles.
double power_of_two(int n) {
    return std::bit_cast<double>(static_cast<std::uint64_t>(n + 1023) << 52u);
}

}  // namespace

double portable_log(double x) {
    if (!(x > 0.0)) return -std::numeric_limits<double>::infinity();
    int exponent = 0;
    double mantissa = 2.0 * std::frexp(x, &exponent);  // exact: moves the exponent only
    --exponent;
    if (mantissa > kSqrt2) {
        mantissa *= 0.5;
        ++exponent;
    }
    const double f = mantissa - 1.0;
    const double s = f / (2.0 + f);
    const double z = s * s;
    const double w = z * z;
    const double even = w * (3.999999999940941908e-01 +
                             w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01));
    const double odd = z * (6.666666666666735130e-01 +
                            w * (2.857142874366239149e-01 +
                                 w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01)));
    const double half_square = 0.5 * f * f;
    const auto k = static_cast<double>(exponent);
    return k * kLn2High - ((half_square - (s * (half_square + even + odd) + k * kLn2Low)) - f);
}

double portable_exp(double x) {
    x = std::clamp(x, -700.0, 700.0);
    const auto k = static_cast<int>(kInverseLn2 * x + (x < 0.0 ? -0.5 : 0.5));
    const double high = x - static_cast<double>(k) * kLn2High;
    const double low = static_cast<double>(k) * kLn2Low;
    const double r = high - low;
    const double t = r * r;
    const double c =
        r - t * (1.66666666666666019037e-01 +
                 t * (-2.77777777770155933842e-03 +
                      t * (6.61375632143793436117e-05 +
                           t * (-1.65339022054652515390e-06 + t * 4.13813679705723846039e-08))));
    return (1.0 - ((low - r * c / (2.0 - c)) - high)) * power_of_two(k);
}

double draw_exponential(Random& random) {
    return -portable_log(1.0 - random.uniform());
}

double draw_normal(Random& random) {
    while (true) {
        const double u = 2.0 * random.uniform() - 1.0;
        const double v = 2.0 * random.uniform() - 1.0;
        const double square = u * u + v * v;
        if (square < 1.0 && square > 0.0) {
            return u * std::sqrt(-2.0 * portable_log(square) / square);
        }
    }
}

double draw_spread(Random& random, double sigma) {
    if (sigma <= 0.0) return 1.0;
    return portable_exp(sigma * draw_normal(random) - 0.5 * sigma * sigma);
}

std::int64_t draw_poisson(Random& random, double mean) {
    ASCERTAIN_ASSERT(mean >= 0.0 && mean <= 1e4);
    std::int64_t count = -1;
    double sum = 0.0;
    while (sum <= mean) {
        sum += draw_exponential(random);
        ++count;
    }
    return std::max<std::int64_t>(count, 0);
}

std::int64_t draw_binomial(Random& random, std::int64_t count, double probability) {
    if (count <= 0 || probability <= 0.0) return 0;
    if (probability >= 1.0) return count;
    const double log_failure = portable_log(1.0 - probability);
    std::int64_t successes = 0;
    double position = 0.0;
    while (true) {
        position += 1.0 + std::floor(portable_log(1.0 - random.uniform()) / log_failure);
        if (position > static_cast<double>(count)) return successes;
        ++successes;
    }
}

}  // namespace ascertain::goodput
