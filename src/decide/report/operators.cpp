#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

using judge::CheckVerdict;

constexpr std::size_t kMapRows = 24;  // more operators fold away; they are the better ones
constexpr std::size_t kChartRows = 20;
constexpr std::size_t kCharts = 6;
constexpr std::size_t kHistograms = 6;

// "ops.numerics.mm" asks `numerics` of the operator `mm`; "ops.coverage" asks of the whole device.
struct Asked {
    std::string what;
    std::string of;
};

Asked split(std::string_view id) {
    const auto first = id.find('.');
    if (first == std::string_view::npos) return {std::string(id), ""};
    const auto second = id.find('.', first + 1);
    if (second == std::string_view::npos) return {std::string(id.substr(first + 1)), ""};
    return {std::string(id.substr(first + 1, second - first - 1)),
            std::string(id.substr(second + 1))};
}

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

bool is_compute(const CheckVerdict& check) {
    return check.question == "compute";
}

// Adds what capture saw of the step: how often each operator runs, and those nobody asked about.
void add_captured(const Material& material, std::map<std::string, OperatorRow>& rows) {
    for (const auto& recorded : material.attempts) {
        const Json& captured = member(recorded.attempt.detail, "operators");
        if (!captured.is_array() || recorded.attempt.outcome != evidence::Outcome::kCompleted)
            continue;
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

// A value with its limit, for one metric.
struct Point {
    const CheckVerdict* check;
    const Metric* metric;
    Limit limit;
    double share = 0.0;  // of the limit
};

std::map<std::string, std::vector<Point>> points_by_metric(const judge::Verdict& verdict) {
    std::map<std::string, std::vector<Point>> points;
    for (const auto& check : verdict.checks) {
        if (!is_compute(check)) continue;
        for (const Limit& limit : limits_of(check.criterion.bound)) {
            const Metric* metric = find_metric(check.observation, limit.metric);
            if (metric == nullptr || !metric->value) continue;
            const auto share = share_of_limit(*metric->value, limit);
            if (share) points[limit.metric].push_back({&check, metric, limit, *share});
        }
    }
    for (auto& [name, list] : points) {
        std::ranges::stable_sort(list, std::greater{}, &Point::share);
    }
    return points;
}

Json optional_json(const std::optional<double>& value) {
    return value ? finite_or_null(*value) : Json();
}

std::string label_of(const CheckVerdict& check, bool several_devices) {
    const Asked asked = split(check.id);
    const std::string name = asked.of.empty() ? asked.what : asked.of;
    return several_devices ? fmt::format("{} on {}", name, check.device) : name;
}

std::string error_chart(const std::string& metric, const std::vector<Point>& points,
                        bool several_devices) {
    const std::string unit = points.front().metric->unit;
    Json rows = Json::array();
    Table numbers{"The numbers behind " + metric,
                  {"Check", "#Measured", "#Bound", "#Share of bound"},
                  {},
                  ""};
    for (const Point& point : points) {
        numbers.rows_html.push_back(
            {check_link(*point.check, label_of(*point.check, several_devices)),
             figure_text(*point.metric->value, unit), escaped(readable(point.limit, unit)),
             fmt::format("{:.3g}", point.share)});
        if (rows.size() == kChartRows) continue;
        rows.push_back({{"label", cleaned(label_of(*point.check, several_devices))},
                        {"value", finite_or_null(*point.metric->value)},
                        {"low", optional_json(point.metric->low)},
                        {"high", optional_json(point.metric->high)},
                        {"at_most", optional_json(point.limit.at_most)},
                        {"at_least", optional_json(point.limit.at_least)},
                        {"tone", class_of(tone_of(*point.check))}});
    }
    const std::size_t shown = rows.size();
    const auto over = std::ranges::count_if(points, [](const Point& p) { return p.share > 1.0; });
    const std::string more =
        shown < points.size() ? fmt::format(", the worst {} of {}", shown, points.size()) : "";
    return chart({.key = "error-" + metric,
                  .title = fmt::format("{}{}{}", metric,
                                       unit == "ratio" || unit.empty() ? "" : " in " + unit, more),
                  .summary = fmt::format(
                      "{} of {} values of {} miss their bound; the worst is {} at "
                      "{:.3g} times its bound.",
                      over, points.size(), metric, label_of(*points.front().check, several_devices),
                      points.front().share),
                  .drawing = {{"kind", "dots"}, {"log", true}, {"unit", unit}, {"rows", rows}},
                  .numbers = std::move(numbers),
                  .height_px = static_cast<int>(56 + 22 * shown)});
}

// The error histogram of an attempt: of its case with the largest error, or the attempt's own.
// Null when there is none.
const Json& histogram_in(const Json& detail) {
    const Json* found = &member(detail, "histogram");
    const Json& rows = member(detail, "rows");
    double worst = -1.0;
    for (std::size_t i = 0; rows.is_array() && i < rows.size(); ++i) {
        const Json& histogram = member(rows[i], "histogram");
        if (!histogram.is_object()) continue;
        double error = 0.0;
        for (const Json& metric : member(rows[i], "observation")) {
            if (text(member(metric, "metric")) != "error_max_ulp") continue;
            error = number(member(metric, "value")).value_or(std::numeric_limits<double>::max());
        }
        if (error <= worst) continue;
        worst = error;
        found = &histogram;
    }
    return *found;
}

std::string histogram_chart(const CheckVerdict& check, const Json& histogram) {
    const auto edges = numbers(member(histogram, "ulp_edges"));
    const auto counts = numbers(member(histogram, "counts"));
    if (counts.empty() || edges.size() < counts.size()) return {};
    std::optional<double> limit;
    for (const Limit& bound : limits_of(check.criterion.bound)) {
        if (bound.metric == "error_max_ulp") limit = bound.at_most;
    }
    Json labels = Json::array();
    Json heights = Json::array();
    Json beyond = Json::array();
    Table rows{"Errors of " + check.id, {"Error from", "#Elements"}, {}, ""};
    double total = 0.0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const double edge = edges[i].value_or(0.0);
        labels.push_back(readable(edge, ""));
        heights.push_back(optional_json(counts[i]));
        beyond.push_back(limit && edge >= *limit);
        total += counts[i].value_or(0.0);
        rows.rows_html.push_back({escaped(readable(edge, "ulp")),
                                  counts[i] ? figure_text(*counts[i], "count") : "unknown"});
    }
    return chart({.key = "histogram-" + check.id + "@" + check.device,
                  .title = check.id,
                  .summary = fmt::format("Errors of {} elements in units in the last place.",
                                         readable(total, "count")),
                  .drawing = {{"kind", "histogram"},
                              {"labels", labels},
                              {"counts", heights},
                              {"beyond", beyond},
                              {"x_label", "error from, ulp"},
                              {"y_label", "elements"}},
                  .numbers = std::move(rows),
                  .height_px = 180});
}

bool has_several_devices(const judge::Verdict& verdict) {
    return std::ranges::any_of(verdict.checks, [&](const CheckVerdict& check) {
        return check.device != verdict.checks.front().device;
    });
}

}  // namespace

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

std::string operator_errors(const Material& material) {
    const auto points = points_by_metric(material.verdict());
    if (points.empty())
        return not_asked("Not asked: no operator error was measured against a bound.");
    std::vector<std::pair<std::string, const std::vector<Point>*>> order;
    for (const auto& [metric, list] : points) order.emplace_back(metric, &list);
    std::ranges::stable_sort(order, std::greater{},
                             [](const auto& entry) { return entry.second->front().share; });
    const bool several = has_several_devices(material.verdict());
    std::string html =
        "<h4>Measured error against its bound</h4>\n<p class=\"note\">A dot is what was measured, "
        "the "
        "upright line its bound. Worst first; the scale is logarithmic.</p>\n<div "
        "class=\"multiples\">\n";
    for (std::size_t i = 0; i < order.size() && i < kCharts; ++i) {
        html += error_chart(order[i].first, *order[i].second, several);
    }
    html += "</div>\n";
    if (order.size() > kCharts) {
        html +=
            fmt::format("<p class=\"note\">{} more metrics are in the rows of the checks.</p>\n",
                        order.size() - kCharts);
    }
    return html;
}

std::string error_histograms(const Material& material) {
    std::string charts;
    std::size_t drawn = 0;
    for (const CheckVerdict* check : worst_first(material.verdict())) {
        if (!is_compute(*check) || drawn == kHistograms) continue;
        const RecordedAttempt* attempt = measured(material, check->id, check->device);
        if (attempt == nullptr) continue;
        const std::string one = histogram_chart(*check, histogram_in(attempt->attempt.detail));
        charts += one;
        drawn += one.empty() ? 0 : 1;
    }
    if (charts.empty()) return {};
    return "<h4>How the errors are spread</h4>\n<div class=\"multiples small\">\n" + charts +
           "</div>\n";
}

}  // namespace ascertain::report
