#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "decide/report/asked.hpp"
#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

using judge::CheckVerdict;

constexpr std::size_t kMapRows = 24;  // more operators fold away; they are the better ones

std::string without_namespace(std::string_view name) {
    const auto colons = name.rfind("::");
    return std::string(colons == std::string_view::npos ? name : name.substr(colons + 2));
}

struct OperatorRow {
    std::map<std::string, const CheckVerdict*> cells;  // worst answer to each question
    std::optional<double> share_of_step;
    std::optional<double> count;
    std::string without_case;  // why the operator was captured and not asked about
    int badness = 0;
};

// Adds what the first capture saw of the step: how often each operator runs, and those nobody asked
// about. Its controls and other devices' captures show the same step again.
void add_captured(const Material& material, std::map<std::string, OperatorRow>& rows) {
    for (const auto& recorded : material.attempts) {
        const Json& captured = member(recorded.attempt.detail, "operators");
        const bool measured = recorded.attempt.role == evidence::Role::kMeasure &&
                              recorded.attempt.outcome == evidence::Outcome::kCompleted;
        if (!captured.is_array() || !measured) continue;
        for (const Json& entry : captured) {
            const std::string name = without_namespace(text(member(entry, "name")));
            if (name.empty() || member(entry, "compute") == Json(false)) continue;
            OperatorRow& row = rows[name];
            const auto share = number(member(entry, "share_of_step"));
            const auto count = number(member(entry, "count"));
            if (share) row.share_of_step = row.share_of_step.value_or(0.0) + *share;
            if (count) row.count = row.count.value_or(0.0) + *count;
            const std::string why = text(member(entry, "without_case_reason"));
            if (!why.empty()) row.without_case = why;
        }
        return;
    }
}

std::map<std::string, OperatorRow> operator_rows(const Material& material,
                                                 std::vector<std::string>& columns) {
    std::map<std::string, OperatorRow> rows;
    for (const auto& check : material.verdict().checks) {
        if (!is_compute(check)) continue;
        const Asked asked = split(check.id);
        if (asked.of.empty()) continue;
        OperatorRow& row = rows[asked.of];
        const CheckVerdict*& cell = row.cells[asked.what];
        if (cell == nullptr || badness(check) > badness(*cell)) cell = &check;
        row.badness = std::max(row.badness, badness(check));
        if (std::ranges::find(columns, asked.what) == columns.end()) columns.push_back(asked.what);
    }
    add_captured(material, rows);
    for (auto& [name, row] : rows) {
        if (row.cells.empty()) row.badness = 3;  // captured, never asked: above every pass
    }
    return rows;
}

std::string cell_of(const OperatorRow& row, const std::string& column) {
    const auto found = row.cells.find(column);
    if (found == row.cells.end()) return R"(<span class="absent">not asked</span>)";
    const CheckVerdict& check = *found->second;
    const Tone tone = tone_of(check);
    return fmt::format(R"(<a class="cell {}" href="#{}"><span aria-hidden="true">{}</span> {}</a>)",
                       class_of(tone), check_anchor(check.id, check.device), mark_of(tone),
                       judge::name_of(check.status));
}

std::vector<std::string> map_row(const std::string& name, const OperatorRow& row,
                                 const std::vector<std::string>& columns) {
    std::string title = code(name);
    if (row.cells.empty()) {
        title += fmt::format(
            R"(<br><span class="missing">{}</span>)",
            escaped(row.without_case.empty() ? "no check asks about it" : row.without_case, 200));
    }
    const std::string share = row.share_of_step
                                  ? fmt::format("{:.1f} %", *row.share_of_step * 100.0)
                                  : std::string(R"(<span class="absent">unknown</span>)");
    std::vector<std::string> cells{title, share};
    for (const auto& column : columns) cells.push_back(cell_of(row, column));
    return cells;
}

// The checks that ask of the device as a whole, in one line above the map.
std::string asked_of_device(const judge::Verdict& verdict) {
    std::string line;
    for (const CheckVerdict* check : worst_first(verdict)) {
        if (!is_compute(*check) || !split(check->id).of.empty()) continue;
        line += fmt::format("{}{} {}", line.empty() ? "" : " · ",
                            check_link(*check, split(check->id).what),
                            mark(tone_of(*check), judge::name_of(check->status)));
    }
    return line.empty() ? line : "<p>Asked of the whole device: " + line + "</p>\n";
}

}  // namespace

Asked split(std::string_view id) {
    const auto first = id.find('.');
    if (first == std::string_view::npos) return {std::string(id), ""};
    const auto second = id.find('.', first + 1);
    // A battery asks about the device as a whole, by many operators.
    const bool battery = id.substr(first + 1).starts_with("battery.");
    if (second == std::string_view::npos || battery) return {std::string(id.substr(first + 1)), ""};
    return {std::string(id.substr(first + 1, second - first - 1)),
            std::string(id.substr(second + 1))};
}

bool is_compute(const CheckVerdict& check) {
    return check.question == "compute";
}

std::string operator_map(const Material& material) {
    std::vector<std::string> columns;
    const auto rows = operator_rows(material, columns);
    std::string html = asked_of_device(material.verdict());
    if (rows.empty()) return html + not_asked("Not asked: no operator was checked.");
    std::vector<std::pair<std::string, const OperatorRow*>> order;
    for (const auto& [name, row] : rows) order.emplace_back(name, &row);
    std::ranges::stable_sort(order, [](const auto& a, const auto& b) {
        if (a.second->badness != b.second->badness) return a.second->badness > b.second->badness;
        return a.second->share_of_step.value_or(-1.0) > b.second->share_of_step.value_or(-1.0);
    });
    Table shown{"Operators, worst first", {"Operator", "#Share of step"}, {}, "map"};
    shown.columns.insert(shown.columns.end(), columns.begin(), columns.end());
    Table folded = shown;
    for (const auto& [name, row] : order) {
        Table& target = shown.rows_html.size() < kMapRows ? shown : folded;
        target.rows_html.push_back(map_row(name, *row, columns));
    }
    html += fmt::format("<h4>Operator map: {} rows, worst first</h4>\n", rows.size());
    html += table(shown);
    if (!folded.rows_html.empty()) {
        html += fmt::format("<details><summary>{} more operators</summary>{}</details>\n",
                            folded.rows_html.size(), table(folded));
    }
    return html;
}

}  // namespace ascertain::report
