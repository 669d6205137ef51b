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

Table limits_table(const ProofResults& results) {
    Table table{{{"kind", "kind", false},
                 {"size", "size of the fault", false},
                 {"seen", "seen down to", true},
                 {"not_seen", "not seen at", true},
                 {"check", "by", false}},
                {}};
    const auto figure = [](const std::optional<double>& value) {
        return value ? cell(fmt::format("{:.3g}", *value), *value) : cell("-", Json());
    };
    for (const auto& limit : results.limits) {
        table.rows.push_back({cell(limit.kind), cell(limit.size), figure(limit.seen),
                              figure(limit.not_seen), cell(limit.check)});
    }
    return table;
}

// One line for each variant: its runs, those that alarmed, and how long one takes.
Table variants_table(const ProofResults& results) {
    Table table{{{"variant", "healthy variant", false},
                 {"runs", "runs", true},
                 {"alarmed", "alarmed", true},
                 {"not_asked", "not asked", true},
                 {"seconds", "seconds a run", true},
                 {"share_at_most", "alarms at most", true}},
                {}};
    for (const auto& [name, tally] : tallies_of(results.healthy)) {
        const double bound = alarm_bound(tally.alarmed, tally.runs);
        table.rows.push_back({cell(name), cell(fmt::format("{}", tally.runs), tally.runs),
                              cell(fmt::format("{}", tally.alarmed), tally.alarmed),
                              cell(fmt::format("{}", tally.broken), tally.broken),
                              cell(fmt::format("{:.1f}", tally.seconds), tally.seconds),
                              cell(fmt::format("{:.2g} %", 100.0 * bound), bound)});
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
            "{} of {} defects caught, {} of them at quick; {} expressible, {} exercised, {} act "
            "over months, which are simulated.",
            count("caught"), count("defects"), count("caught_quick"), count("expressible"),
            count("exercised"), count("waiting")));
        for (const auto& gate : summary["gates"]) {
            const auto shown = [&](const char* key) {
                return gate[key].is_number() ? fmt::format("{:.3g}", gate[key].get<double>())
                                             : std::string("not measured");
            };
            terminal.print(fmt::format("  {}: {} (bound {}){}", gate["gate"].get<std::string>(),
                                       shown("value"), shown("bound"),
                                       gate["reached"].get<bool>() ? "" : "  NOT REACHED"));
        }
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

std::string words_of(const DetectionLimit& limit) {
    if (!limit.seen) return "not even the gross one was seen";
    if (!limit.not_seen) return fmt::format("seen down to {:.3g}, the finest asked", *limit.seen);
    return fmt::format("seen down to {:.3g}, not at {:.3g} ({})", *limit.seen, *limit.not_seen,
                       limit.check);
}

void print_results(const Terminal& terminal, const ProofResults& results, Format format) {
    if (format == Format::kJson) {
        terminal.print(to_json(results).dump(2));
        return;
    }
    const bool only_healthy =
        results.defects.empty() && results.limits.empty() && !results.healthy.empty();
    if (!results.limits.empty()) {
        terminal.print(to_text(limits_table(results), format));
    } else if (!results.defects.empty() || (format == Format::kCsv && !only_healthy)) {
        terminal.print(to_text(defects_table(results), format));
    }
    if (only_healthy || (format == Format::kTable && !results.healthy.empty())) {
        terminal.print(to_text(variants_table(results), format));
    }
    if (format == Format::kTable) print_summary(terminal, results);
}

}  // namespace ascertain::app
