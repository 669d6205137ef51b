#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "base/units.hpp"
#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

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
    const Json& decision = member(campaign, "decision");
    if (const auto seconds = first_number(decision, {"finish_within_s"})) {
        return *seconds / kSecondsPerDay;
    }
    const auto written = parse_duration(text(member(decision, "finish_within")));
    return written ? std::optional(written->count / kSecondsPerDay) : std::nullopt;
}

// A track from zero with the p10 to p90 band, the median and the deadline on it.
std::string finish_picture(const Range& days, const std::optional<double>& deadline) {
    if (!days.low || !days.mid || !days.high) {
        return not_asked("The finish date is unknown: the projection gives no p10, p50 and p90.");
    }
    const double scale = 100.0 / (1.08 * std::max({*days.high, deadline.value_or(0.0), 1e-9}));
    const auto at = [&](double value) { return std::clamp(value * scale, 0.0, 100.0); };
    const bool late = deadline && *days.mid > *deadline;
    std::string html = fmt::format(
        R"(<div class="range" aria-hidden="true"><span class="band" style="left:{:.2f}%;width:{:.2f}%"></span>)"
        R"(<span class="median {}" style="left:{:.2f}%"></span>)",
        at(*days.low), std::max(0.3, at(*days.high) - at(*days.low)), late ? "bad" : "",
        at(*days.mid));
    if (deadline) {
        html +=
            fmt::format(R"(<span class="deadline" style="left:{:.2f}%"></span>)", at(*deadline));
    }
    html += fmt::format(
        "</div>\n<p class=\"range-text\">Finished after <strong>{}</strong> (p50), p10 {}, p90 {}; "
        "deadline {}.</p>\n",
        figure_text(*days.mid, "d"), figure_text(*days.low, "d"), figure_text(*days.high, "d"),
        deadline ? figure_text(*deadline, "d") : std::string(kUnknown));
    return html;
}

std::string probability(const Json& projection) {
    const Json& chance = member(projection, "probability_of_deadline");
    const Range range = range_of(chance);
    const auto percent = [](const std::optional<double>& p) {
        return p ? fmt::format("{:.0f} %", *p * 100.0) : std::string("unknown");
    };
    const std::string decided = first_text(chance, {"decided_by"});
    return fmt::format("{} <span class=\"interval\">({} to {}{})</span>", percent(range.mid),
                       percent(range.low), percent(range.high),
                       decided.empty() ? "" : "; decided by " + escaped(decided, 300));
}

// Where the wall time goes: each loss hangs where the one before it ended, useful work last.
std::string waterfall(const Json& projection) {
    const Json& steps = member(member(projection, "goodput"), "waterfall");
    if (!steps.is_array() || steps.empty()) {
        return not_asked("Where the time goes is unknown: the projection has no waterfall.");
    }
    std::string html =
        "<h4>Where the wall time goes</h4>\n<table class=\"bars\"><thead><tr><th "
        "scope=\"col\">Share"
        "</th><th scope=\"col\" class=\"number\">Of wall time</th><th scope=\"col\"><span "
        "class=\"hidden\">Bar</span></th></tr></thead><tbody>\n";
    double begin = 0.0;
    for (const Json& step : steps) {
        const std::string name = first_text(step, {"name", "cause", "share", "what"});
        const auto share = first_number(step, {"share_ratio", "ratio", "share", "value"});
        const double width = std::clamp(share.value_or(0.0), 0.0, 1.0 - std::min(begin, 1.0));
        const bool useful = name.find("useful") != std::string::npos || name == "goodput";
        html += fmt::format(
            R"(<tr><th scope="row">{}</th><td class="number">{}</td><td class="track"><span class="bar {}" )"
            R"(style="margin-left:{:.2f}%;width:{:.2f}%"></span></td></tr>)"
            "\n",
            escaped(name.empty() ? "unnamed" : name, 80),
            share ? fmt::format("{:.2f} %", *share * 100.0) : std::string(kUnknown),
            useful ? "useful" : "loss", begin * 100.0, width * 100.0);
        begin += width;
    }
    return html + "</tbody></table>\n";
}

// How far each input alone moves the answer: bars about the middle, longest first.
std::string tornado(const Json& projection) {
    const Json& inputs = member(projection, "tornado");
    if (!inputs.is_array() || inputs.empty()) return {};
    const auto middle = range_of(member(projection, "finish_days")).mid;
    double low_end = middle.value_or(0.0);
    double high_end = low_end;
    const auto low_of = [](const Json& i) { return first_number(i, {"low_days", "low", "low_s"}); };
    const auto high_of = [](const Json& i) {
        return first_number(i, {"high_days", "high", "high_s"});
    };
    for (const Json& input : inputs) {
        const double a = low_of(input).value_or(low_end);
        const double b = high_of(input).value_or(high_end);
        low_end = std::min({low_end, a, b});
        high_end = std::max({high_end, a, b});
    }
    const double span = std::max(high_end - low_end, 1e-12);
    std::string html =
        "<h4>What moves the finish date</h4>\n<table class=\"bars\"><thead><tr><th "
        "scope=\"col\">Input"
        "</th><th scope=\"col\" class=\"number\">Finish, days</th><th scope=\"col\"><span "
        "class=\"hidden\">Bar</span></th></tr></thead><tbody>\n";
    for (const Json& input : inputs) {
        const auto a = low_of(input);
        const auto b = high_of(input);
        const double left = a && b ? (std::min(*a, *b) - low_end) / span * 100.0 : 0.0;
        const double width = a && b ? std::abs(*b - *a) / span * 100.0 : 0.0;
        const std::string kind = first_text(input, {"kind"});
        html += fmt::format(
            R"(<tr><th scope="row">{}{}</th><td class="number">{}</td><td class="track"><span class="bar )"
            R"(either" style="margin-left:{:.2f}%;width:{:.2f}%"></span></td></tr>)"
            "\n",
            escaped(first_text(input, {"name", "input"}), 100),
            kind.empty() ? "" : fmt::format(" <span class=\"kind\">{}</span>", escaped(kind, 40)),
            a && b ? fmt::format("{} to {}", readable(*a, ""), readable(*b, ""))
                   : std::string(kUnknown),
            left, width);
    }
    return html + "</tbody></table>\n";
}

std::string must_be_true(const Json& projection) {
    const Json& points = member(projection, "must_be_true");
    if (!points.is_array() || points.empty()) return {};
    std::string html = "<h4>What would have to be true</h4>\n<ul>\n";
    for (const Json& point : points) {
        std::string words =
            point.is_string() ? text(point) : first_text(point, {"text", "what", "name"});
        if (const auto needed = first_number(point, {"value", "needed"});
            needed && !point.is_string()) {
            words += ": " + readable(*needed, first_text(point, {"unit"}));
        }
        html += fmt::format("<li>{}</li>\n", escaped(words.empty() ? point.dump() : words));
    }
    return html + "</ul>\n";
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
    html += finish_picture(days, deadline_days(projection, material.campaign()));
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
    html += "</dl>\n<div class=\"columns\"><div>" + waterfall(projection) + "</div><div>" +
            tornado(projection) + "</div></div>\n";
    return html + must_be_true(projection) + provenance(projection);
}

}  // namespace ascertain::report
