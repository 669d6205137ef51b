#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <initializer_list>
#include <limits>

#include "base/units.hpp"
#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

constexpr std::size_t kTornadoRows = 8;
constexpr std::string_view kUnknown = R"(<span class="missing">unknown</span>)";

std::optional<double> first_number(const Json& object,
                                   std::initializer_list<std::string_view> keys) {
    for (const auto key : keys) {
        if (const auto value = number(member(object, key))) return value;
    }
    return std::nullopt;
}

std::string first_text(const Json& object, std::initializer_list<std::string_view> keys) {
    for (const auto key : keys) {
        const std::string value = text(member(object, key));
        if (!value.empty()) return value;
    }
    return {};
}

struct Range {
    std::optional<double> low, mid, high;
};

Range range_of(const Json& object) {
    return {first_number(object, {"p10", "low"}), first_number(object, {"p50", "mid"}),
            first_number(object, {"p90", "high"})};
}

// "81 d (74 d to 95 d)"; what is missing is said.
std::string words_of(const Range& range, std::string_view unit) {
    if (!range.mid) return std::string(kUnknown);
    std::string words = figure_text(*range.mid, unit);
    if (range.low && range.high) {
        words +=
            fmt::format(" <span class=\"interval\">({} to {})</span>",
                        escaped(readable(*range.low, unit)), escaped(readable(*range.high, unit)));
    }
    return words;
}

// The campaign's deadline in days: as the projection gives it, else as the campaign does.
std::optional<double> deadline_days(const Json& projection, const Json& campaign) {
    if (const auto days = first_number(projection, {"deadline_days"})) return days;
    const auto seconds = first_number(member(campaign, "decision"), {"finish_within_s"});
    return seconds ? std::optional(*seconds / kSecondsPerDay) : std::nullopt;
}

// A track from zero with the p10 to p90 band, the median and the deadline on it.
std::string finish_picture(const Range& days, const std::optional<double>& deadline,
                           const std::string& why) {
    if (!days.low || !days.mid) {
        return not_asked("The finish date is unknown: " +
                         (why.empty() ? std::string("the projection gives no p10 and p50") : why) +
                         ".");
    }
    const double furthest =
        std::max({days.high.value_or(*days.mid * 1.5), deadline.value_or(0.0), 1e-9});
    const double scale = 100.0 / (1.08 * furthest);
    const auto at = [&](double value) { return std::clamp(value * scale, 0.0, 100.0); };
    const bool late = deadline && *days.mid > *deadline;
    const double end = days.high ? at(*days.high) : 100.0;  // without a p90 the band has no end
    std::string html = fmt::format(
        R"(<div class="range" aria-hidden="true"><span class="band" style="left:{:.2f}%;width:{:.2f}%"></span>)"
        R"(<span class="median {}" style="left:{:.2f}%"></span>)",
        at(*days.low), std::max(0.3, end - at(*days.low)), late ? "bad" : "", at(*days.mid));
    if (deadline) {
        html +=
            fmt::format(R"(<span class="deadline" style="left:{:.2f}%"></span>)", at(*deadline));
    }
    const std::string late_end =
        days.high ? figure_text(*days.high, "d")
                  : fmt::format(R"(<span class="missing">unknown: {}</span>)",
                                escaped(why.empty() ? "no reason given" : why, 300));
    return html +
           fmt::format(
               "</div>\n<p class=\"range-text\">Finished after <strong>{}</strong> (p50), p10 "
               "{}, p90 {}; deadline (dashed) {}.</p>\n",
               figure_text(*days.mid, "d"), figure_text(*days.low, "d"), late_end,
               deadline ? figure_text(*deadline, "d") : std::string(kUnknown));
}

std::string probability(const Json& projection) {
    const Json& chance = member(projection, "probability_of_deadline");
    const Range range = range_of(chance);
    const auto percent = [](const std::optional<double>& p) {
        return p ? fmt::format("{:.0f} %", *p * 100.0) : std::string("unknown");
    };
    const std::string decided = first_text(chance, {"decided_by"});
    const std::string why = first_text(chance, {"reason"});
    if (!range.mid) {
        return fmt::format(R"(<span class="missing">unknown{}</span>)",
                           why.empty() ? "" : ": " + escaped(why, 300));
    }
    return fmt::format("{} <span class=\"interval\">({} to {}{})</span>", percent(range.mid),
                       percent(range.low), percent(range.high),
                       decided.empty() ? "" : "; decided by " + escaped(decided, 300));
}

// Where the wall time goes: each loss hangs where the one before it ended, useful work last.
std::string waterfall(const Json& projection) {
    const Json& parts = member(member(projection, "goodput"), "waterfall");
    if (!parts.is_array() || parts.empty()) {
        return not_asked("Where the time goes is unknown: the projection has no waterfall.");
    }
    std::string html = bars_head("Where the wall time goes", "Share", "Of wall time");
    std::string useful;
    double begin = 0.0;
    double useful_ratio = 0.0;
    for (const Json& part : parts) {
        std::string name = first_text(part, {"name"});
        const auto ratio = first_number(part, {"ratio", "share_ratio"});
        const std::string value =
            ratio ? fmt::format("{:.2f} %", *ratio * 100.0) : std::string(kUnknown);
        const double width = std::clamp(ratio.value_or(0.0), 0.0, std::max(0.0, 1.0 - begin));
        if (name == "useful") {
            useful_ratio = width;
            useful = value;
            continue;
        }
        std::ranges::replace(name, '_', ' ');
        html += bar_row(escaped(name.empty() ? "unnamed" : name, 80), value, "loss", begin, width);
        begin += width;
    }
    if (!useful.empty()) {
        html += bar_row("useful", useful, "useful", begin, std::min(useful_ratio, 1.0 - begin));
    }
    return html + std::string(kBarsEnd);
}

// The same losses by what caused them, the largest first.
std::string lost_to(const Json& projection) {
    const Json& parts = member(member(projection, "goodput"), "lost_to");
    if (!parts.is_array() || parts.empty()) return {};
    std::vector<std::pair<double, std::string>> causes;
    double all = 0.0;
    for (const Json& part : parts) {
        const double ratio = first_number(part, {"ratio"}).value_or(0.0);
        if (ratio <= 0.0) continue;
        causes.emplace_back(ratio, first_text(part, {"name"}));
        all += ratio;
    }
    if (causes.empty()) return {};
    std::ranges::stable_sort(causes, std::greater<>(), &std::pair<double, std::string>::first);
    std::string html =
        bars_head("Work done twice and time down, by cause", "Cause", "Of wall time");
    for (auto& [ratio, name] : causes) {
        std::ranges::replace(name, '_', ' ');
        html += bar_row(escaped(name.empty() ? "unnamed" : name, 80),
                        fmt::format("{:.2f} %", ratio * 100.0), "loss", 0.0, ratio / all);
    }
    return html + std::string(kBarsEnd);
}

// How far each input alone moves the answer: bars between the two finish dates, longest first.
std::string tornado(const Json& projection) {
    const Json& inputs = member(projection, "tornado");
    if (!inputs.is_array() || inputs.empty()) return {};
    struct Bar {
        const Json* input;
        std::optional<double> low, high;
    };
    std::vector<Bar> bars;
    double low_end = std::numeric_limits<double>::max();
    double high_end = 0.0;
    for (const Json& input : inputs) {
        const auto a = first_number(input, {"finish_days_at_low"});
        const auto b = first_number(input, {"finish_days_at_high"});
        bars.push_back({&input, a, b});
        for (const auto& end : {a, b}) {
            low_end = std::min(low_end, end.value_or(low_end));
            high_end = std::max(high_end, end.value_or(high_end));
        }
    }
    const double span = std::max(high_end - low_end, 1e-9);
    std::string html = bars_head("What moves the finish date", "Input", "Finish, days");
    std::size_t shown = 0;
    for (const Bar& bar : bars) {
        if (shown++ == kTornadoRows) break;
        const std::string kind = first_text(*bar.input, {"kind"});
        const std::string settled = first_text(*bar.input, {"settled_by"});
        std::string name = escaped(first_text(*bar.input, {"name"}), 100);
        if (!kind.empty())
            name += fmt::format(" <span class=\"kind\">{}</span>", escaped(kind, 40));
        if (!settled.empty()) {
            name +=
                fmt::format("<br><span class=\"kind\">settled by {}</span>", escaped(settled, 100));
        }
        const bool known = bar.low && bar.high;
        const double left = known ? std::min(*bar.low, *bar.high) - low_end : 0.0;
        const double width = known ? std::abs(*bar.high - *bar.low) : 0.0;
        html += bar_row(
            name,
            known ? fmt::format("{:.3g} to {:.3g}", *bar.low, *bar.high) : std::string(kUnknown),
            "either", left / span, width / span);
    }
    html += kBarsEnd;
    if (bars.size() <= kTornadoRows) return html;
    return html + fmt::format("<p class=\"note\">{} more inputs move it less.</p>\n",
                              bars.size() - kTornadoRows);
}

// "restart_s: at most 360 s (now 600 s)"; an open blocker has nothing but its reason.
std::string requirement(const Json& point) {
    const std::string unit = first_text(point, {"unit"});
    const auto needed = first_number(point, {"needed"});
    const auto now = first_number(point, {"now"});
    std::string direction = first_text(point, {"direction"});
    std::ranges::replace(direction, '_', ' ');
    const std::string why = first_text(point, {"reason"});
    std::string line = code(first_text(point, {"name"})) + ": ";
    if (needed) {
        line += fmt::format("{} <strong>{}</strong> ", escaped(direction, 20),
                            figure_text(*needed, unit));
    }
    if (now)
        line += fmt::format("<span class=\"interval\">(now {})</span> ", figure_text(*now, unit));
    if (!why.empty()) line += fmt::format("<span class=\"missing\">{}</span>", escaped(why, 300));
    if (!needed && why.empty()) line += kUnknown;
    return line;
}

std::string must_be_true(const Json& projection) {
    const Json& points = member(projection, "must_be_true");
    if (!points.is_array() || points.empty()) return {};
    std::string html = "<h4>What would have to be true</h4>\n<ul>\n";
    for (const Json& point : points) html += fmt::format("<li>{}</li>\n", requirement(point));
    return html + "</ul>\n";
}

// Finish dates of all histories.
std::string date_histogram(const Json& projection) {
    const Json& histogram = member(member(projection, "finish_days"), "histogram");
    const auto edges = numbers(member(histogram, "edges_days"));
    const auto counts = numbers(member(histogram, "histories"));
    if (counts.empty() || edges.size() <= counts.size()) return {};
    const auto deadline = first_number(projection, {"deadline_days"});
    Json labels = Json::array();
    Json heights = Json::array();
    Json beyond = Json::array();
    Table rows{"Finish dates", {"Finished after", "#Histories"}, {}, ""};
    for (std::size_t i = 0; i < counts.size(); ++i) {
        const double edge = edges[i].value_or(0.0);
        labels.push_back(readable(std::round(edge), ""));
        heights.push_back(finite_or_null(counts[i].value_or(0.0)));
        beyond.push_back(deadline && edge >= *deadline);
        rows.rows_html.push_back(
            {escaped(readable(edge, "d")), figure_text(counts[i].value_or(0.0), "count")});
    }
    return chart({.key = "finish-dates",
                  .title = "Finish dates of all histories; red is past the deadline",
                  .summary = "How the finish dates of the simulated histories are spread, in days.",
                  .drawing = {{"kind", "histogram"},
                              {"labels", labels},
                              {"counts", heights},
                              {"beyond", beyond},
                              {"linear", true},
                              {"x_label", "days from the start"},
                              {"y_label", "histories"}},
                  .numbers = std::move(rows),
                  .height_px = 220});
}

std::string provenance(const Json& projection) {
    const Json& inputs = member(projection, "provenance");
    if (!inputs.is_array() || inputs.empty()) return {};
    Table list{"What the projection rests on", {"Input", "#Value", "Kind", "Source"}, {}, ""};
    for (const Json& input : inputs) {
        const auto value = first_number(input, {"value"});
        const std::string kind = first_text(input, {"kind"});
        list.rows_html.push_back(
            {escaped(first_text(input, {"name", "input"}), 200),
             value ? figure_text(*value, first_text(input, {"unit"})) : std::string(kUnknown),
             kind.empty() ? std::string(kUnknown)
                          : fmt::format("<span class=\"kind\">{}</span>", escaped(kind, 40)),
             escaped(first_text(input, {"source"}), 300)});
    }
    return fmt::format(
        "<details><summary>What the projection rests on: {} inputs</summary>{}</details>\n",
        list.rows_html.size(), table(list));
}

}  // namespace

std::string finishing_pictures(const Material& material) {
    const Json& projection = material.projection_document();
    if (!projection.is_object() || projection.empty()) {
        return not_asked("Not asked: the large run was not simulated.");
    }
    const Range days = range_of(member(projection, "finish_days"));
    std::string html = "<h4>When it would be finished</h4>\n";
    html += finish_picture(days, deadline_days(projection, material.campaign()),
                           first_text(member(projection, "finish_days"), {"reason"}));
    html += "<dl class=\"facts\">\n";
    const auto fact = [&](std::string_view name, const std::string& value) {
        html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", name, value);
    };
    fact("P(deadline met)", probability(projection));
    fact("Cost", words_of(range_of(member(projection, "cost_usd")), "USD"));
    fact("Energy", words_of(range_of(member(projection, "energy_kwh")), "kWh"));
    const Json& step = member(projection, "step");
    fact("One step", words_of({first_number(step, {"low_s"}),
                               first_number(step, {"step_s", "seconds", "value"}),
                               first_number(step, {"high_s"})},
                              "s"));
    if (material.projection != nullptr)
        fact("From", record_link(material, material.projection->id()));
    html += "</dl>\n<div class=\"columns\"><div>" + waterfall(projection) + lost_to(projection) +
            "</div><div>" + tornado(projection) + "</div></div>\n";
    return html + date_histogram(projection) + timeline_picture(projection) +
           must_be_true(projection) + provenance(projection);
}

}  // namespace ascertain::report
