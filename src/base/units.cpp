#include "base/units.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <span>

namespace ascertain {
namespace {

struct UnitEntry {
    std::string_view name;
    double factor;
};

constexpr std::array kDurations{UnitEntry{"d", kSecondsPerDay},
                                UnitEntry{"h", kSecondsPerHour},
                                UnitEntry{"min", kSecondsPerMinute},
                                UnitEntry{"m", kSecondsPerMinute},
                                UnitEntry{"s", 1.0},
                                UnitEntry{"ms", 1e-3},
                                UnitEntry{"us", 1e-6},
                                UnitEntry{"ns", 1e-9}};

constexpr std::array kSizes{UnitEntry{"B", 1.0},
                            UnitEntry{"kB", 1e3},
                            UnitEntry{"MB", 1e6},
                            UnitEntry{"GB", 1e9},
                            UnitEntry{"TB", 1e12},
                            UnitEntry{"PB", 1e15},
                            UnitEntry{"KiB", 1024.0},
                            UnitEntry{"MiB", 1048576.0},
                            UnitEntry{"GiB", 1073741824.0},
                            UnitEntry{"TiB", 1099511627776.0}};

constexpr std::array kRates{UnitEntry{"B/s", 1.0},          UnitEntry{"kB/s", 1e3},
                            UnitEntry{"MB/s", 1e6},         UnitEntry{"GB/s", 1e9},
                            UnitEntry{"TB/s", 1e12},        UnitEntry{"Mbit/s", 1e6 / 8.0},
                            UnitEntry{"Gbit/s", 1e9 / 8.0}, UnitEntry{"Tbit/s", 1e12 / 8.0},
                            UnitEntry{"Gb/s", 1e9 / 8.0},   UnitEntry{"GiB/s", 1073741824.0}};

constexpr std::array kMoney{UnitEntry{"USD", 1.0}, UnitEntry{"kUSD", 1e3}, UnitEntry{"MUSD", 1e6},
                            UnitEntry{"BUSD", 1e9}};

std::string accepted(std::span<const UnitEntry> units) {
    std::string list;
    for (const auto& unit : units) list += (list.empty() ? "" : ", ") + std::string(unit.name);
    return list;
}

Result<double> parse_with_unit(std::string_view text, std::string_view what,
                               std::span<const UnitEntry> units) {
    const auto refuse = [&](std::string_view why) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("\"{}\" is not a {}: {}; write a number and one of {}", text, what,
                                 why, accepted(units)),
                     {}};
    };
    const std::string owned(text);
    char* end = nullptr;
    const double number = std::strtod(owned.c_str(), &end);
    if (end == owned.c_str()) return refuse("it does not start with a number");
    std::string_view unit =
        std::string_view(owned).substr(static_cast<std::size_t>(end - owned.c_str()));
    while (!unit.empty() && unit.front() == ' ') unit.remove_prefix(1);
    while (!unit.empty() && unit.back() == ' ') unit.remove_suffix(1);
    if (!std::isfinite(number)) return refuse("the number is not finite");
    if (number < 0.0) return refuse("it is negative");
    if (unit.empty()) return refuse("the unit is missing");
    for (const auto& entry : units) {
        if (entry.name == unit) return number * entry.factor;
    }
    return refuse(fmt::format("unknown unit \"{}\"", unit));
}

template <typename Q>
Result<Q> parse_quantity(std::string_view text, std::string_view what,
                         std::span<const UnitEntry> units) {
    const auto number = parse_with_unit(text, what, units);
    if (!number) return number.error();
    return Q{*number};
}

std::string scaled(double value, std::string_view unit) {
    static constexpr std::array<std::string_view, 7> kPrefixes{"", "k", "M", "G", "T", "P", "E"};
    std::size_t step = 0;
    double shown = value;
    while (std::abs(shown) >= 999.5 && step + 1 < kPrefixes.size()) {
        shown /= 1000.0;
        ++step;
    }
    return fmt::format("{:.3g} {}{}", shown, kPrefixes[step], unit);
}

}  // namespace

Result<Seconds> parse_duration(std::string_view text) {
    return parse_quantity<Seconds>(text, "duration", kDurations);
}
Result<Bytes> parse_size(std::string_view text) {
    return parse_quantity<Bytes>(text, "size", kSizes);
}
Result<BytesPerSecond> parse_rate(std::string_view text) {
    return parse_quantity<BytesPerSecond>(text, "rate", kRates);
}
Result<Dollars> parse_money(std::string_view text) {
    return parse_quantity<Dollars>(text, "sum of money", kMoney);
}

std::string format_duration(Seconds time) {
    const double s = time.count;
    if (s < 1e-6) return fmt::format("{:.3g} ns", s * 1e9);
    if (s < 1e-3) return fmt::format("{:.3g} us", s * 1e6);
    if (s < 1.0) return fmt::format("{:.3g} ms", s * 1e3);
    if (s < 100.0) return fmt::format("{:.3g} s", s);
    if (s < kSecondsPerHour) {
        const auto whole = static_cast<long>(std::lround(s));
        return fmt::format("{} min {} s", whole / 60, whole % 60);
    }
    if (s < 2.0 * kSecondsPerDay) return fmt::format("{:.3g} h", s / kSecondsPerHour);
    return fmt::format("{:.3g} d", s / kSecondsPerDay);
}

std::string format_size(Bytes size) {
    return scaled(size.count, "B");
}
std::string format_rate(BytesPerSecond rate) {
    return scaled(rate.count, "B/s");
}
std::string format_money(Dollars money) {
    return scaled(money.count, "USD");
}
std::string format_count(double count) {
    return scaled(count, "");
}

}  // namespace ascertain
