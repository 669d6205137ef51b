#include "decide/report/numbers.hpp"

#include <fmt/format.h>

#include <cmath>

#include "base/units.hpp"

namespace ascertain::report {
namespace {

// 1234567 as "1,234,567"; only whole numbers below 1e15 come here.
std::string grouped(double whole) {
    const std::string digits = fmt::format("{:.0f}", std::abs(whole));
    std::string shown(whole < 0.0 ? 1 : 0, '-');
    for (std::size_t i = 0; i < digits.size(); ++i) {
        if (i > 0 && (digits.size() - i) % 3 == 0) shown += ',';
        shown += digits[i];
    }
    return shown;
}

bool is_whole(double value) {
    return std::floor(value) == value && std::abs(value) < 1e15;
}

// "1.05e-7": three digits and no padding of the exponent.
std::string scientific(double value) {
    const std::string shown = fmt::format("{:.3g}", value);
    const auto e = shown.find('e');
    if (e == std::string::npos) return shown;
    return fmt::format("{}e{}", shown.substr(0, e), std::stoi(shown.substr(e + 1)));
}

std::string plain(double value) {
    if (is_whole(value) && std::abs(value) < 1e7) return grouped(value);
    const std::string shown = fmt::format("{:.4g}", value);
    return shown.find('e') == std::string::npos ? shown : scientific(value);
}

std::string duration(double seconds) {
    if (seconds == 0.0) return "0 s";
    if (seconds < 0.0) return fmt::format("-{}", duration(-seconds));
    const std::string shown = format_duration(Seconds{seconds});
    if (!shown.ends_with(" us")) return shown;
    return fmt::format("{}µs", std::string_view(shown).substr(0, shown.size() - 2));
}

}  // namespace

std::string readable(double value, std::string_view unit) {
    if (!std::isfinite(value)) return "not finite";
    if (unit == "s") return duration(value);
    if (unit == "B") return format_size(Bytes{value});
    if (unit == "B/s") return format_rate(BytesPerSecond{value});
    if (unit == "USD") return format_money(Dollars{value});
    if (unit == "kWh") return format_count(value * 1000.0) + "Wh";
    if (unit == "1/d") return plain(value) + " per day";
    if (unit == "1/h") return plain(value) + " per hour";
    if (unit == "1/s") return plain(value) + " per second";
    if (unit == "count") return is_whole(value) ? grouped(value) : plain(value);
    if (unit.empty() || unit == "ratio") return plain(value);
    return fmt::format("{} {}", plain(value), unit);
}

std::string readable(const Metric& metric) {
    if (!metric.value) {
        return fmt::format("unknown: {}",
                           metric.reason.empty() ? "no reason given" : metric.reason);
    }
    std::string shown = readable(*metric.value, metric.unit);
    if (metric.low && metric.high) {
        shown += fmt::format(" ({} to {})", readable(*metric.low, metric.unit),
                             readable(*metric.high, metric.unit));
    }
    return shown;
}

std::string exact(double value) {
    return fmt::format("{}", value);
}

std::string_view date_of(std::string_view time_utc) {
    return time_utc.substr(0, 10);
}

std::string minute_of(std::string_view time_utc) {
    const bool full = time_utc.size() >= 17 && time_utc[10] == 'T' && time_utc.ends_with('Z');
    if (!full) return std::string(time_utc);
    return fmt::format("{} {} UTC", time_utc.substr(0, 10), time_utc.substr(11, 5));
}

std::vector<Limit> limits_of(const Json& bound) {
    std::vector<Limit> limits;
    if (!bound.is_array()) return limits;
    for (const Json& entry : bound) {
        Limit limit{text(member(entry, "metric")), number(member(entry, "at_most")),
                    number(member(entry, "at_least")), number(member(entry, "equals"))};
        if (!limit.metric.empty()) limits.push_back(std::move(limit));
    }
    return limits;
}

std::string readable(const Limit& limit, std::string_view unit) {
    std::string shown;
    const auto add = [&](std::string_view sign, const std::optional<double>& bound) {
        if (!bound) return;
        shown += fmt::format("{}{} {}", shown.empty() ? "" : " and ", sign, readable(*bound, unit));
    };
    add("≤", limit.at_most);
    add("≥", limit.at_least);
    add("=", limit.equals);
    return shown;
}

std::optional<double> share_of_limit(double value, const Limit& limit) {
    if (!std::isfinite(value)) return std::nullopt;
    if (limit.at_most && *limit.at_most > 0.0) return std::max(value, 0.0) / *limit.at_most;
    if (limit.at_least && *limit.at_least > 0.0 && value > 0.0) return *limit.at_least / value;
    return std::nullopt;
}

const Json& member(const Json& object, std::string_view key) {
    static const Json kNull;
    if (!object.is_object()) return kNull;
    const auto found = object.find(key);
    return found == object.end() ? kNull : *found;
}

std::optional<double> number(const Json& value) {
    if (!value.is_number()) return std::nullopt;
    const double number = value.get<double>();
    return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::string text(const Json& value) {
    return value.is_string() ? value.get<std::string>() : std::string();
}

std::vector<std::optional<double>> numbers(const Json& value) {
    std::vector<std::optional<double>> list;
    if (!value.is_array()) return list;
    list.reserve(value.size());
    for (const Json& entry : value) list.push_back(number(entry));
    return list;
}

}  // namespace ascertain::report
