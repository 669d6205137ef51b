// Quantities with their unit in the type, so that bytes cannot be passed for FLOPs. SI inside:
// seconds, bytes, FLOPs, watts, dollars; only text at the edges carries other units.
//
// `count` is the plain number. Arithmetic is what physics allows: like adds to like, a quantity
// scales by a number, like over like is a number, and the few cross rules below.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace ascertain {

template <typename Unit>
struct Quantity {
    double count = 0.0;

    friend constexpr auto operator<=>(Quantity, Quantity) = default;
    friend constexpr Quantity operator+(Quantity a, Quantity b) { return {a.count + b.count}; }
    friend constexpr Quantity operator-(Quantity a, Quantity b) { return {a.count - b.count}; }
    friend constexpr Quantity operator*(Quantity a, double factor) { return {a.count * factor}; }
    friend constexpr Quantity operator*(double factor, Quantity a) { return {a.count * factor}; }
    friend constexpr Quantity operator/(Quantity a, double divisor) { return {a.count / divisor}; }
    friend constexpr double operator/(Quantity a, Quantity b) { return a.count / b.count; }
    constexpr Quantity& operator+=(Quantity other) {
        count += other.count;
        return *this;
    }
    constexpr Quantity& operator*=(double factor) {
        count *= factor;
        return *this;
    }
};

struct SecondsUnit;
struct BytesUnit;
struct FlopsUnit;
struct BytesPerSecondUnit;
struct FlopsPerSecondUnit;
struct WattsUnit;
struct JoulesUnit;
struct DollarsUnit;
struct PerSecondUnit;

using Seconds = Quantity<SecondsUnit>;
using Bytes = Quantity<BytesUnit>;
using Flops = Quantity<FlopsUnit>;
using BytesPerSecond = Quantity<BytesPerSecondUnit>;
using FlopsPerSecond = Quantity<FlopsPerSecondUnit>;
using Watts = Quantity<WattsUnit>;
using Joules = Quantity<JoulesUnit>;
using Dollars = Quantity<DollarsUnit>;
using PerSecond = Quantity<PerSecondUnit>;

constexpr Seconds operator/(Bytes bytes, BytesPerSecond rate) {
    return {bytes.count / rate.count};
}
constexpr Seconds operator/(Flops flops, FlopsPerSecond rate) {
    return {flops.count / rate.count};
}
constexpr Bytes operator*(BytesPerSecond rate, Seconds time) {
    return {rate.count * time.count};
}
constexpr BytesPerSecond operator/(Bytes bytes, Seconds time) {
    return {bytes.count / time.count};
}
constexpr FlopsPerSecond operator/(Flops flops, Seconds time) {
    return {flops.count / time.count};
}
constexpr Joules operator*(Watts power, Seconds time) {
    return {power.count * time.count};
}

inline constexpr double kSecondsPerMinute = 60.0;
inline constexpr double kSecondsPerHour = 3600.0;
inline constexpr double kSecondsPerDay = 86400.0;

// Reads "90 d", "24h", "10m", "30 s", "250 ms", "3 us", "7 ns". A bare number or an unknown unit is
// an error that shows the offending text and the accepted units. Negative values are refused.
[[nodiscard]] Result<Seconds> parse_duration(std::string_view text);
// Reads "64 GiB", "1.5 TB", "4096 B" (decimal and binary prefixes). Same errors.
[[nodiscard]] Result<Bytes> parse_size(std::string_view text);
// Reads "200 Gbit/s", "25 GB/s", "400Gb/s" (bits are lower-case b). Same errors.
[[nodiscard]] Result<BytesPerSecond> parse_rate(std::string_view text);
// Reads "60 MUSD", "250 kUSD", "100 USD", "1.2 BUSD". Same errors.
[[nodiscard]] Result<Dollars> parse_money(std::string_view text);

// For people, three significant digits: "3.21 ms", "4 min 10 s", "81 d".
[[nodiscard]] std::string format_duration(Seconds time);
// For people, decimal: "64.0 GB".
[[nodiscard]] std::string format_size(Bytes size);
[[nodiscard]] std::string format_rate(BytesPerSecond rate);
[[nodiscard]] std::string format_money(Dollars money);
// "671 G", "12.3 M": a count with a decimal prefix.
[[nodiscard]] std::string format_count(double count);

}  // namespace ascertain
