// Dtypes by the names that cases and messages use.
#pragma once

#include <c10/core/ScalarType.h>

#include <string_view>

#include "base/result.hpp"
#include "worker/host/torch.hpp"

namespace ascertain::operators {

// "bf16" and so on; "" for a dtype that cases do not know (complex, quantised).
[[nodiscard]] std::string_view name_of(c10::ScalarType dtype);

// Errors: kBadInput for a name that is none of them, with the near matches.
[[nodiscard]] Result<c10::ScalarType> dtype_from(std::string_view name);

// A binary floating-point format with round-to-nearest-even.
struct FloatFormat {
    int precision = 0;     // bits of the significand, the leading one included
    int exponent_min = 0;  // of the smallest normal number 1.0 x 2^exponent_min
    double largest = 0.0;  // largest finite value
};

// The format of a floating dtype. `dtype` must be one: fp64, fp32, bf16, fp16, fp8.
[[nodiscard]] FloatFormat format_of(c10::ScalarType dtype);

// `value` rounded once to `format`: what an ideal machine returns. Beyond `largest` (after
// rounding) it is infinite. Infinities and NaN stay. Source: IEEE 754-2019, section 4.3.1.
[[nodiscard]] double rounded_to(double value, const FloatFormat& format);

// The distance between neighbours of `format` at the size of `value`; value must be finite.
[[nodiscard]] double ulp_at(double value, const FloatFormat& format);

}  // namespace ascertain::operators
