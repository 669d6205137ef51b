#include "app/prove/page.hpp"

#include <fmt/format.h>

#include "app/files.hpp"
#include "app/prove/print.hpp"
#include "base/text.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kPageBytesMax = 4u << 20;
constexpr std::string_view kBegin = "<!-- generated: ascertain prove --write-proofs -->\n";
constexpr std::string_view kLimitsBegin =
    "<!-- generated: ascertain prove --limits --write-proofs -->\n";
constexpr std::string_view kHealthyBegin =
    "<!-- generated: ascertain prove --healthy --write-proofs -->\n";
constexpr std::string_view kEnd = "<!-- end of what is generated -->\n";
constexpr std::size_t kReasonLength = 160;
constexpr double kDiagnosed = 0.80;

// A bar would end the cell.
std::string in_cell(std::string text) {
    for (auto place = text.find('|'); place != std::string::npos; place = text.find('|', place + 2))
        text.replace(place, 1, "\\|");
    return shortened(text, kReasonLength);
}

std::string totals(const Json& tallies, const char* title) {
    std::string text = fmt::format(
        "| {} | defects | expressible | exercised | caught | at quick | waiting |\n"
        "|---|--:|--:|--:|--:|--:|--:|\n",
        title);
    for (const auto& [name, tally] : tallies.items()) {
        text += fmt::format("| {} | {} | {} | {} | {} | {} | {} |\n", name,
                            tally["defects"].get<int>(), tally["expressible"].get<int>(),
                            tally["exercised"].get<int>(), tally["caught"].get<int>(),
                            tally["caught_quick"].get<int>(), tally["waiting"].get<int>());
    }
    return text + "\n";
}

// "87.5 %" of a share, "12.3" of seconds.
std::string figure(const Json& gate, const char* key) {
    if (!gate[key].is_number()) return "not measured";
    const double value = gate[key].get<double>();
    const bool seconds = gate["gate"].get<std::string>().starts_with("seconds");
    return seconds ? fmt::format("{:.1f} s", value) : fmt::format("{:.1f} %", 100.0 * value);
}

std::string gates(const Json& summary) {
    std::string text = "| gate | measured | bound | reached |\n|---|--:|--:|---|\n";
    for (const auto& gate : summary["gates"]) {
        const bool most = gate["gate"].get<std::string>().starts_with("seconds");
        text += fmt::format("| {} | {} | {} {} | {} |\n", gate["gate"].get<std::string>(),
                            figure(gate, "value"), most ? "at most" : "at least",
                            figure(gate, "bound"), gate["reached"].get<bool>() ? "yes" : "**no**");
    }
    const auto runs = summary["healthy_runs"].get<int>();
    if (runs > 0) {
        text += fmt::format("| false alarms in {} runs of healthy chips | {} | none | {} |\n", runs,
                            summary["healthy_runs_alarmed"].get<int>(),
                            summary["healthy_runs_alarmed"].get<int>() == 0 ? "yes" : "**no**");
    }
    return text + "\n";
}

std::string rows(const ProofResults& results) {
    std::string text =
        "| defect | class | plane | caught by, first to fail | and by | profile | after |\n"
        "|---|---|---|---|--:|---|--:|\n";
    for (const auto& result : results.defects) {
        if (!result.caught) continue;
        const auto& first = result.caught_by.front();
        text += fmt::format("| {} | {} | {} | {} {} | {} more | {} | {:.1f} s |\n", result.id,
                            result.family, result.plane, first.check, first.status,
                            result.caught_by.size() - 1, result.profile, result.caught_after_s);
    }
    text += "\n| not caught | class | plane | why |\n|---|---|---|---|\n";
    for (const auto& result : results.defects) {
        if (result.caught) continue;
        text += fmt::format("| {} | {} | {} | {} |\n", result.id, result.family, result.plane,
                            in_cell(result.miss_reason));
    }
    return text;
}

std::string words_of(const diagnosis::LeaveOneOut& diagnosis) {
    std::string text = fmt::format(
        "Diagnosis: of {} caught defects, each looked for by the signatures of all others, the "
        "class "
        "is among the first {} named {} times ({:.1f} %; promised: {:.0f} %).\n\n",
        diagnosis.asked, kCausesNamed, diagnosis.named, 100.0 * diagnosis.share(),
        100.0 * kDiagnosed);
    for (const auto& one : diagnosis.missed) text += fmt::format("- not: {}\n", one);
    return text + (diagnosis.missed.empty() ? "" : "\n");
}

Result<void> put_between(const std::string& path, std::string_view mark,
                         const std::string& generated) {
    auto page = read_file(path, kPageBytesMax);
    if (!page) return page.error();
    const auto begin = page->find(mark);
    const auto end = begin == std::string::npos ? begin : page->find(kEnd, begin);
    if (end == std::string::npos) {
        return Error{ErrorCode::kBadInput, "the page has lost the marks of its generated part",
                     path};
    }
    page->replace(begin + mark.size(), end - begin - mark.size(), generated);
    return write_file(path, *page);
}

std::string hashes_of(const ProofResults& results) {
    return fmt::format("\nChecks `{}`, criteria `{}`.\n\n", results.checks_hash,
                       results.criteria_hash);
}

}  // namespace

std::string detection_page(const Home& home) {
    return home.root + "/docs/detection.md";
}

Result<void> write_page(const std::string& path, const ProofResults& results,
                        const diagnosis::LeaveOneOut& diagnosis) {
    const Json document = to_json(results);
    const Json& summary = document["summary"];
    return put_between(path, kBegin,
                       hashes_of(results) + gates(summary) + words_of(diagnosis) +
                           totals(summary["by_plane"], "plane") +
                           totals(summary["by_class"], "class") + rows(results) + "\n");
}

Result<void> write_limits(const std::string& path, const ProofResults& results) {
    std::string text = hashes_of(results) +
                       "| kind | size | seen down to | not seen at | by |\n|---|---|--:|--:|---|\n";
    const auto size = [](const std::optional<double>& value, const char* otherwise) {
        return value ? fmt::format("{:.3g}", *value) : std::string(otherwise);
    };
    for (const auto& limit : results.limits) {
        text += fmt::format("| `{}` | {} | {} | {} | {} |\n", limit.kind, in_cell(limit.size),
                            size(limit.seen, "not seen"), size(limit.not_seen, "all were seen"),
                            limit.check.empty() ? "" : "`" + limit.check + "`");
    }
    return put_between(path, kLimitsBegin, text + "\n");
}

Result<void> write_healthy(const std::string& path, const ProofResults& results) {
    const Json summary = to_json(results)["summary"];
    const auto& bound = summary["false_alarm_share_at_most"];
    std::string text =
        hashes_of(results) +
        fmt::format(
            "{} runs, {} of them with an alarm: with 95 % confidence at most {:.2g} % of "
            "such runs alarm.\n\n| variant | runs | alarms | not asked | seconds of a run |\n"
            "|---|--:|--:|--:|--:|\n",
            summary["healthy_runs"].get<int>(), summary["healthy_runs_alarmed"].get<int>(),
            100.0 * (bound.is_number() ? bound.get<double>() : 1.0));
    for (const auto& [name, tally] : tallies_of(results.healthy)) {
        text += fmt::format("| {} | {} | {} | {} | {:.1f} |\n", name, tally.runs, tally.alarmed,
                            tally.broken, tally.seconds);
    }
    for (const auto& run : results.healthy) {
        for (const auto& alarm : run.alarms) {
            text += fmt::format("\n- {} at seed {}: {} {}", run.variant, run.seed, alarm.check,
                                alarm.reason);
        }
    }
    return put_between(path, kHealthyBegin, text + "\n");
}

}  // namespace ascertain::app
