// Draws from distributions that are bit-equal on every machine. The functions of a C library differ
// in their last bit from one release to the next, and one such bit turns a trace of months into
// another; these use only +, -, *, / and square root, which IEEE 754 fixes, and the room is built
// without fused multiply-add.
#pragma once

#include <cstdint>

#include "base/random.hpp"

namespace ascertain::goodput {

// Natural logarithm of a positive finite number, within 1 ulp; 0 gives -infinity.
// Source: fdlibm e_log.c (Sun Microsystems, 1993), reduction and coefficients Lg1..Lg7.
[[nodiscard]] double portable_log(double x);

// e to the x, within 1 ulp; x is clamped to [-700, 700].
// Source: fdlibm e_exp.c (Sun Microsystems, 1993), reduction and coefficients P1..P5.
[[nodiscard]] double portable_exp(double x);

// Exponential with mean 1.
[[nodiscard]] double draw_exponential(Random& random);

// Standard normal by Marsaglia's polar method ("A convenient method for generating normal
// variables", SIAM Review 6, 1964); takes a varying number of uniforms.
[[nodiscard]] double draw_normal(Random& random);

// Log-normal with mean 1 and the given standard deviation of its logarithm; 0 gives 1.
[[nodiscard]] double draw_spread(Random& random, double sigma);

// Poisson counts by adding up exponentials; cost grows with the mean, which is at most 1e4.
[[nodiscard]] std::int64_t draw_poisson(Random& random, double mean);

// Binomial(count, probability) by skipping from success to success with geometric jumps; cost grows
// with count x probability.
[[nodiscard]] std::int64_t draw_binomial(Random& random, std::int64_t count, double probability);

}  // namespace ascertain::goodput
