#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <map>

#include "decide/report/asked.hpp"
#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

using judge::CheckVerdict;

constexpr std::size_t kChartRows = 20;
constexpr std::size_t kCharts = 6;
constexpr std::size_t kHistograms = 6;

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
            // A lower bound asks for enough (samples, memory); only upper ones bound errors.
            if (metric == nullptr || !metric->value || !limit.at_most) continue;
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
    std::optional<double> limit = number(member(histogram, "legal_ulp"));
    for (const Limit& bound : limits_of(check.criterion.bound)) {
        if (bound.metric == "error_max_ulp") limit = bound.at_most;
    }
    const std::string band =
        limit ? fmt::format(" Up to {} none is wrong by itself; what lies beyond is marked.",
                            readable(*limit, "ulp"))
              : " No element is judged by itself here: their root mean square is.";
    Json labels = Json::array();
    Json heights = Json::array();
    Json beyond = Json::array();
    Table rows{"Errors of " + check.id, {"Error from", "#Elements"}, {}, ""};
    double total = 0.0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const double edge = edges[i].value_or(0.0);
        labels.push_back(readable(edge, ""));
        heights.push_back(optional_json(counts[i]));
        beyond.push_back(limit && edge > 0.0 && edge >= *limit);
        total += counts[i].value_or(0.0);
        rows.rows_html.push_back({escaped(readable(edge, "ulp")),
                                  counts[i] ? figure_text(*counts[i], "count") : "unknown"});
    }
    return chart({.key = "histogram-" + check.id + "@" + check.device,
                  .title = check.id,
                  .summary = fmt::format(
                      "Errors of {} elements in units in the last place.{} Judged by {}: {}",
                      readable(total, "count"), band, check.criterion.id, check.criterion.source),
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
