#include "app/ops/listing.hpp"

#include <fmt/format.h>

#include "app/table.hpp"
#include "base/text.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kReasonShown = 90;

std::string text_of(const Json& value) {
    return value.is_string() ? value.get<std::string>() : "";
}

std::string number_or_dash(const Json& value, double factor, const char* form) {
    if (!value.is_number()) return "-";
    return fmt::format(fmt::runtime(form), value.get<double>() * factor);
}

std::string joined(const Json& list, const char* key) {
    std::string all;
    for (const Json& entry : list) {
        const std::string one = text_of(entry.at(key));
        if (!one.empty()) all += fmt::format("{}{}", all.empty() ? "" : ", ", one);
    }
    return all;
}

// "numerics, repeat", and of those that did not pass how they ended.
std::string checks_of(const Json& checks) {
    std::string all;
    for (const Json& check : checks) {
        const std::string id = text_of(check.at("id"));
        const auto first = id.find('.');
        const auto second = id.find('.', first + 1);
        const std::string status = text_of(check.at("status"));
        all += fmt::format(
            "{}{}", all.empty() ? "" : ", ",
            id.substr(first + 1, second == std::string::npos ? second : second - first - 1));
        if (status != "PASSED") all += fmt::format(" {}", status);
    }
    return all.empty() ? "-" : all;
}

std::vector<Cell> row_of(const Json& row) {
    const std::string reason = text_of(row.at("status_reason"));
    std::string support = text_of(row.at("support"));
    if (row.at("slowdown_ratio").is_number())
        support += fmt::format(" (step x {:.2f})", row.at("slowdown_ratio").get<double>());
    return {
        cell(text_of(row.at("name"))),
        cell(text_of(row.at("device"))),
        cell(joined(row.at("phases"), "phase")),
        cell(support, row.at("support")),
        cell(number_or_dash(row.at("count"), 1.0, "{:.0f}"), row.at("count")),
        cell(number_or_dash(row.at("share_of_step"), 100.0, "{:.1f} %"), row.at("share_of_step")),
        cell(text_of(row.at("status"))),
        cell(checks_of(row.at("checks"))),
        cell(shortened(reason, kReasonShown), row.at("status_reason"))};
}

// The questions about the device as a whole, worst first.
std::string of_device_text(const Json& checks) {
    if (checks.empty()) return "";
    Table table{{{"id", "asked of the whole device", false},
                 {"device", "device", false},
                 {"status", "status", false},
                 {"reason", "", false}},
                {}};
    for (const Json& check : checks) {
        table.rows.push_back({cell(text_of(check.at("id"))), cell(text_of(check.at("device"))),
                              cell(text_of(check.at("status"))),
                              cell(shortened(text_of(check.at("reason")), kReasonShown))});
    }
    std::string text = "\n";
    text += to_text(table, Format::kTable);
    return text;
}

}  // namespace

std::string operators_text(const Json& document, Format format) {
    if (format == Format::kJson) return document.dump(2);
    Table table{{{"name", "operator", false},
                 {"device", "device", false},
                 {"phases", "phases", false},
                 {"support", "support", false},
                 {"count", "calls", true},
                 {"share_of_step", "of step", true},
                 {"status", "status", false},
                 {"checks", "checks", false},
                 {"reason", "", false}},
                {}};
    for (const Json& row : document.at("operators")) table.rows.push_back(row_of(row));
    const std::string text = to_text(table, format);
    return format == Format::kTable ? text + of_device_text(document.at("of_device")) : text;
}

}  // namespace ascertain::app
