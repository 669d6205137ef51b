#include "app/prove/print.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"
#include "base/units.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kReasonLength = 120;

std::string word_of(const DefectResult& result) {
    if (result.caught) return "caught";
    if (!result.expressible) return "not expressible";
    if (result.waiting) return "waiting";
    return result.exercised ? "missed" : "not exercised";
}

std::string catchers(const DefectResult& result) {
    std::string text;
    for (const auto& failed : result.caught_by) {
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", failed.check, failed.status);
    }
    return text;
}

Table defects_table(const ProofResults& results) {
    Table table{{{"id", "defect", false},
                 {"class", "class", false},
                 {"plane", "plane", false},
                 {"outcome", "outcome", false},
                 {"profile", "profile", false},
                 {"seconds", "seconds", true},
                 {"by", "by, or why not", false}},
                {}};
    for (const auto& result : results.defects) {
        const std::string by = result.caught ? catchers(result) : result.miss_reason;
        table.rows.push_back({cell(result.id), cell(result.family), cell(result.plane),
                              cell(word_of(result)), cell(result.profile),
                              cell(fmt::format("{:.1f}", result.seconds), result.seconds),
                              cell(shortened(by, kReasonLength), by)});
    }
    return table;
}

void print_alarms(const Terminal& terminal, const ProofResults& results) {
    for (const auto& result : results.healthy) {
        for (const auto& alarm : result.alarms) {
            terminal.print(fmt::format("  ALARM on {} at seed {}: {} {}: {}", result.variant,
                                       result.seed, alarm.check, alarm.status, alarm.reason));
        }
        for (const auto& broken : result.broken) {
            terminal.print(fmt::format("  not asked on {} at seed {}: {}", result.variant,
                                       result.seed, broken));
        }
    }
}

void print_summary(const Terminal& terminal, const ProofResults& results) {
    const Json summary = to_json(results)["summary"];
    const auto count = [&](const char* key) { return summary[key].get<std::size_t>(); };
    if (!results.defects.empty()) {
        terminal.print(fmt::format(
            "{} of {} defects caught, {} of them at quick; {} expressible, {} exercised, {} wait "
            "for checks to come.",
            count("caught"), count("defects"), count("caught_quick"), count("expressible"),
            count("exercised"), count("waiting")));
    }
    if (!results.healthy.empty()) {
        const auto& bound = summary["false_alarm_share_at_most"];
        terminal.print(fmt::format(
            "{} of {} runs of healthy chips raised an alarm: with 95 % confidence at most {} of "
            "such runs do.",
            count("healthy_runs_alarmed"), count("healthy_runs"),
            bound.is_null() ? "100 %" : fmt::format("{:.3g} %", 100.0 * bound.get<double>())));
        print_alarms(terminal, results);
    }
    if (!results.interrupted.empty()) terminal.print(results.interrupted);
    terminal.print(fmt::format("{} in all.", format_duration({results.seconds})));
}

}  // namespace

std::string outcome_of(const DefectResult& result) {
    if (!result.caught) return result.miss_reason;
    return fmt::format("caught by {}", catchers(result));
}

void print_results(const Terminal& terminal, const ProofResults& results, Format format) {
    if (format == Format::kJson) {
        terminal.print(to_json(results).dump(2));
        return;
    }
    if (!results.defects.empty() || format == Format::kCsv) {
        terminal.print(to_text(defects_table(results), format));
    }
    if (format == Format::kTable) print_summary(terminal, results);
}

}  // namespace ascertain::app
