// Elementary functions of another library than the CPU's: reduced arguments, short polynomials and
// fp32 throughout, as accelerators have them: exp, log, tanh and rsqrt within 2 ulp of the truth,
// sigmoid within 3, SiLU within 4 (variants_test).
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>

#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "chips/simulated/arithmetic/kernels.hpp"

namespace ascertain::simulated::arithmetic {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kLn2High = 0.693359375F;  // ln 2 in two parts, the first exact in 9 bits
constexpr float kLn2Low = -2.12194440e-4F;

// 2^n, n in [-126, 127].
float power_of_two(std::int32_t n) {
    return std::bit_cast<float>(static_cast<std::uint32_t>(n + 127) << 23U);
}

// e^x = 2^n e^r with |r| <= ln 2 / 2, and the Taylor series of e^r up to r^7 / 7!, whose rest is
// below 2^-27 there.
float exponential_of(float x) {
    if (std::isnan(x)) return x;
    if (x > 88.8F) return kInfinity;
    if (x < -104.0F) return 0.0F;
    const float n = std::nearbyint(x * 1.44269504F);
    const float r = (x - n * kLn2High) - n * kLn2Low;
    float series = 1.0F / 5040.0F;
    for (const float factor :
         {1.0F / 720.0F, 1.0F / 120.0F, 1.0F / 24.0F, 1.0F / 6.0F, 0.5F, 1.0F, 1.0F}) {
        series = series * r + factor;
    }
    // In two steps, so that neither leaves the normal numbers before the result does.
    const auto whole = static_cast<std::int32_t>(n);
    const std::int32_t half = whole / 2;
    return series * power_of_two(half) * power_of_two(whole - half);
}

// x = 2^n m with m in [sqrt(1/2), sqrt(2)); log m = 2 atanh s, s = (m - 1) / (m + 1), as a series
// in s^2 up to s^9, whose rest is below 2^-27.
float logarithm_of(float x) {
    if (std::isnan(x) || x == kInfinity) return x;
    if (x == 0.0F) return -kInfinity;
    if (x < 0.0F) return std::numeric_limits<float>::quiet_NaN();
    int exponent = 0;
    float m = std::frexp(x, &exponent);
    if (m < 0.70710678F) {
        m *= 2.0F;
        --exponent;
    }
    const auto n = static_cast<float>(exponent);
    const float f = m - 1.0F;
    const float s = f / (2.0F + f);
    const float z = s * s;
    float series = 2.0F / 11.0F;
    for (const float factor : {2.0F / 9.0F, 2.0F / 7.0F, 2.0F / 5.0F, 2.0F / 3.0F}) {
        series = series * z + factor;
    }
    // log m = f - (f^2/2 - s (f^2/2 + z series)): the large term f stays exact.
    const float square = 0.5F * f * f;
    const float rest = square - s * (square + z * series);
    return n * kLn2High - ((rest - n * kLn2Low) - f);
}

// Up to tanh x = 1/2 the Taylor series in x^2 up to x^17, whose rest is below 2^-26 there; beyond
// it 1 - 2 / (e^2x + 1), which loses digits nearer to 0.
float tangent_of(float x) {
    if (std::isnan(x)) return x;
    const float size = std::abs(x);
    if (size > 9.1F) return std::copysign(1.0F, x);
    if (size < 0.55F) {
        const float z = x * x;
        float series = 6404582.0F / 10854718875.0F;
        for (const float factor :
             {-929569.0F / 638512875.0F, 21844.0F / 6081075.0F, -1382.0F / 155925.0F,
              62.0F / 2835.0F, -17.0F / 315.0F, 2.0F / 15.0F, -1.0F / 3.0F}) {
            series = series * z + factor;
        }
        return x + x * z * series;
    }
    return std::copysign(1.0F - 2.0F / (exponential_of(2.0F * size) + 1.0F), x);
}

float inverse_root_of(float x) {
    if (x < 0.0F || std::isnan(x)) return std::numeric_limits<float>::quiet_NaN();
    if (x == kInfinity) return 0.0F;
    if (x == 0.0F) return std::copysign(kInfinity, x);
    // Subnormal numbers are scaled by 2^24 first. The seed is Newton's, improved three times.
    const bool tiny = x < std::numeric_limits<float>::min();
    const float v = tiny ? x * 0x1p24F : x;
    float y = std::bit_cast<float>(0x5f375a86U - (std::bit_cast<std::uint32_t>(v) >> 1U));
    for (int step = 0; step < 3; ++step) y = y + y * (0.5F - 0.5F * v * y * y);
    return tiny ? y * 0x1p12F : y;
}

float sigmoid_of(float x) {
    if (std::isnan(x)) return x;
    // Of the negative side: e^x / (1 + e^x), which does not lose small results.
    const float power = exponential_of(-std::abs(x));
    return (x >= 0.0F ? 1.0F : power) / (1.0F + power);
}

float silu_of(float x) {
    return x * sigmoid_of(x);
}

template <float (*function)(float)>
at::Tensor mapped(const at::Tensor& x) {
    const at::Tensor from = x.to(at::kFloat);
    const at::Tensor values = from.is_non_overlapping_and_dense() ? from : from.contiguous();
    at::Tensor result = at::empty_like(values);
    const auto* in = values.const_data_ptr<float>();
    auto* out = result.mutable_data_ptr<float>();
    at::parallel_for(0, values.numel(), 4096, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) out[i] = function(in[i]);
    });
    return result;
}

template <float (*function)(float)>
bool map(Operation& operation) {
    const at::Tensor x = operation.tensor("self");
    if (!x.defined() || !is_working_float(x.scalar_type())) return false;
    operation.answer(mapped<function>(x), x.scalar_type());
    return true;
}

// x s(x) has the derivative s (1 + x (1 - s)).
bool silu_backward(Operation& operation) {
    const at::Tensor gradient = operation.tensor("grad_output");
    const at::Tensor x = operation.tensor("self");
    if (!is_working_float(x.scalar_type()) || gradient.scalar_type() != x.scalar_type() ||
        gradient.sizes() != x.sizes()) {
        return false;
    }
    const at::Tensor wide = x.to(at::kFloat);
    const at::Tensor s = mapped<sigmoid_of>(wide);
    operation.answer(gradient.to(at::kFloat).mul(s).mul(wide.mul(s.neg().add(1.0)).add(1.0)),
                     x.scalar_type());
    return true;
}

constexpr std::array kKernels{
    OwnKernel{"exp", map<exponential_of>},    OwnKernel{"log", map<logarithm_of>},
    OwnKernel{"tanh", map<tangent_of>},       OwnKernel{"rsqrt", map<inverse_root_of>},
    OwnKernel{"sigmoid", map<sigmoid_of>},    OwnKernel{"silu", map<silu_of>},
    OwnKernel{"silu_backward", silu_backward}};

}  // namespace

at::Tensor exponential(const Declared& declared, const at::Tensor& x) {
    return declared.functions_polynomial ? mapped<exponential_of>(x) : x.exp();
}

std::span<const OwnKernel> function_kernels() {
    return kKernels;
}

}  // namespace ascertain::simulated::arithmetic
