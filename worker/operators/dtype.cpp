#include "worker/operators/dtype.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "base/assert.hpp"
#include "base/text.hpp"

namespace ascertain::operators {
namespace {

constexpr std::array<std::pair<std::string_view, c10::ScalarType>, 12> kNames = {{
    {"fp32", c10::ScalarType::Float},
    {"bf16", c10::ScalarType::BFloat16},
    {"fp16", c10::ScalarType::Half},
    {"fp64", c10::ScalarType::Double},
    {"fp8_e4m3", c10::ScalarType::Float8_e4m3fn},
    {"fp8_e5m2", c10::ScalarType::Float8_e5m2},
    {"int64", c10::ScalarType::Long},
    {"int32", c10::ScalarType::Int},
    {"int16", c10::ScalarType::Short},
    {"int8", c10::ScalarType::Char},
    {"uint8", c10::ScalarType::Byte},
    {"bool", c10::ScalarType::Bool},
}};

// Exponent of the quantum of `format` at `value`.
int quantum_exponent(double value, const FloatFormat& format) {
    const int exponent = value == 0.0 ? format.exponent_min : std::ilogb(value);
    return std::max(exponent, format.exponent_min) - (format.precision - 1);
}

}  // namespace

std::string_view name_of(c10::ScalarType dtype) {
    for (const auto& [name, type] : kNames) {
        if (type == dtype) return name;
    }
    return "";
}

Result<c10::ScalarType> dtype_from(std::string_view name) {
    std::vector<std::string> names;
    for (const auto& [known, type] : kNames) {
        if (known == name) return type;
        names.emplace_back(known);
    }
    return Error{
        ErrorCode::kBadInput,
        fmt::format("unknown dtype \"{}\"{}", shortened(name, 32), did_you_mean(name, names)), ""};
}

FloatFormat format_of(c10::ScalarType dtype) {
    switch (dtype) {
        case c10::ScalarType::Double: return {53, -1022, std::numeric_limits<double>::max()};
        case c10::ScalarType::Float: return {24, -126, double{std::numeric_limits<float>::max()}};
        case c10::ScalarType::BFloat16: return {8, -126, std::ldexp(255.0, 120)};
        case c10::ScalarType::Half: return {11, -14, 65504.0};
        case c10::ScalarType::Float8_e4m3fn: return {4, -6, 448.0};
        case c10::ScalarType::Float8_e5m2: return {3, -14, 57344.0};
        default: break;
    }
    ASCERTAIN_ASSERT(false && "not a floating dtype that cases know");
    return {};
}

double rounded_to(double value, const FloatFormat& format) {
    if (!std::isfinite(value) || format.precision == 53) return value;
    const int exponent = quantum_exponent(value, format);
    // Exact scalings around one rounding by the processor, in its default mode: nearest, ties even.
    const double rounded = std::ldexp(std::nearbyint(std::ldexp(value, -exponent)), exponent);
    if (std::abs(rounded) <= format.largest) return rounded;
    return std::copysign(std::numeric_limits<double>::infinity(), value);
}

double ulp_at(double value, const FloatFormat& format) {
    return std::ldexp(1.0, quantum_exponent(value, format));
}

}  // namespace ascertain::operators
