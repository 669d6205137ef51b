#include "decide/report/fleets.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/page.hpp"
#include "decide/report/parts.hpp"

namespace ascertain::report {
namespace {

constexpr std::string_view kUnknown = R"(<span class="missing">unknown</span>)";

struct Range {
    std::optional<double> low, mid, high;
};

Range range_of(const Json& object, std::string_view low, std::string_view mid,
               std::string_view high) {
    return {number(member(object, low)), number(member(object, mid)), number(member(object, high))};
}

Range days_of(const Json& row) {
    return range_of(member(member(row, "projection"), "finish_days"), "p10", "p50", "p90");
}

Range money_of(const Json& row) {
    return range_of(member(member(row, "projection"), "cost_usd"), "p10", "p50", "p90");
}

std::string words_of(const Range& range, std::string_view unit, std::string_view never) {
    if (!range.mid) return std::string(kUnknown);
    std::string words = fmt::format("<strong>{}</strong>", figure_text(*range.mid, unit));
    words += fmt::format(" <span class=\"interval\">({} to {})</span>",
                         range.low ? escaped(readable(*range.low, unit)) : std::string(never),
                         range.high ? escaped(readable(*range.high, unit)) : std::string(never));
    return words;
}

// Answers in the order of the projection's own words.
Tone tone_of_answer(std::string_view answer) {
    if (answer == "LIKELY") return Tone::kGood;
    return answer == "UNLIKELY" ? Tone::kBad : Tone::kOpen;
}

std::string answer_of(const Json& row) {
    const Json& projection = member(row, "projection");
    if (!projection.is_object()) return mark(Tone::kBad, "REFUSED");
    const std::string answer = text(member(projection, "answer"));
    return mark(tone_of_answer(answer), answer.empty() ? "UNKNOWN" : answer);
}

std::string chance_of(const Json& row) {
    const Range chance = range_of(member(member(row, "projection"), "probability_of_deadline"),
                                  "low", "mid", "high");
    if (!chance.mid) return std::string(kUnknown);
    return fmt::format("{:.0f} % <span class=\"interval\">({:.0f} to {:.0f})</span>",
                       100.0 * *chance.mid, 100.0 * chance.low.value_or(0.0),
                       100.0 * chance.high.value_or(1.0));
}

std::string name_of_row(const Json& row) {
    std::string name = escaped(text(member(row, "chips")), 120);
    const auto delivered = number(member(row, "delivered_ratio"));
    if (delivered && *delivered < 1.0)
        name += fmt::format(" <span class=\"kind\">{:.0f} % delivered</span>", 100.0 * *delivered);
    return name;
}

// All rows on one scale: 8 % beyond the latest p90 that there is, or the deadline.
double furthest_of(const Json& rows, const std::optional<double>& deadline) {
    double furthest = deadline.value_or(0.0);
    for (const Json& row : rows) {
        const Range days = days_of(row);
        for (const auto& value : {days.low, days.mid, days.high})
            furthest = std::max(furthest, value.value_or(0.0));
    }
    return std::max(1.08 * furthest, 1e-9);
}

// The p10 to p90 band with its median, and the deadline; a band without an end runs off the track.
std::string track(const Range& days, const std::optional<double>& deadline, double furthest) {
    if (!days.low || !days.mid) return std::string(kUnknown);
    const auto at = [&](double value) { return std::clamp(100.0 * value / furthest, 0.0, 100.0); };
    const bool late = deadline && *days.mid > *deadline;
    const double end = days.high ? at(*days.high) : 100.0;
    std::string html = fmt::format(
        R"(<div class="range" aria-hidden="true"><span class="band{}" style="left:{:.2f}%;width:{:.2f}%"></span>)"
        R"(<span class="median {}" style="left:{:.2f}%"></span>)",
        days.high ? "" : " endless", at(*days.low), std::max(0.3, end - at(*days.low)),
        late ? "bad" : "", at(*days.mid));
    if (deadline)
        html +=
            fmt::format(R"(<span class="deadline" style="left:{:.2f}%"></span>)", at(*deadline));
    return html + "</div>";
}

std::string dates_chart(const Json& rows, const std::optional<double>& deadline) {
    const double furthest = furthest_of(rows, deadline);
    std::string html =
        "<table class=\"fleets\"><thead><tr><th scope=\"col\">Fleet</th><th scope=\"col\" "
        "class=\"number\">Finished after, days: p50 (p10 to p90)</th><th scope=\"col\">From the "
        "start</th></tr></thead><tbody>\n";
    for (const Json& row : rows) {
        const Range days = days_of(row);
        html += fmt::format(
            "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td><td class=\"dates\">{}</td>"
            "</tr>\n",
            name_of_row(row), words_of(days, "d", "never"), track(days, deadline, furthest));
    }
    html += "</tbody></table>\n<p class=\"note\">";
    if (deadline) html += fmt::format("Dashed: the deadline, {}. ", figure_text(*deadline, "d"));
    return html + fmt::format(
                      "The bar goes from p10 to p90, the line is p50; the track ends at "
                      "{:.0f} days. A bar that fades has no p90: more than a tenth of the "
                      "histories do not finish.</p>\n",
                      furthest);
}

std::string plural(std::size_t count, std::string_view what) {
    return fmt::format("{} {}", count, what);
}

std::size_t count_of(const Json& row, std::string_view key) {
    const Json& list = member(row, key);
    return list.is_array() ? list.size() : 0;
}

// "1,470 (994 to 2,160) tokens/s a device, 704 devices, 0.38 USD a million".
std::string serving_of(const Json& row) {
    const Json& serving = member(row, "serving");
    if (!serving.is_object()) {
        const std::string why = text(member(row, "serving_refused_because"));
        return why.empty() ? std::string(kUnknown)
                           : fmt::format("<span class=\"missing\">{}</span>", escaped(why, 200));
    }
    const Range rate = range_of(member(serving, "output_tokens_per_s"), "low", "mid", "high");
    std::string html = escaped(text(member(serving, "chip")), 80) + ": ";
    html += rate.mid ? words_of(rate, "", "") + " tokens/s a device" : std::string(kUnknown);
    if (const Range devices = range_of(member(serving, "devices_needed"), "low", "mid", "high");
        devices.mid)
        html += "; " + words_of(devices, "", "") + " devices";
    if (const Range price =
            range_of(member(serving, "usd_per_million_output_tokens"), "low", "mid", "high");
        price.mid)
        html += "; " + words_of(price, "USD", "") + " a million tokens";
    return html;
}

std::string answers_table(const Json& rows) {
    Table list{"Answers",
               {"Fleet", "Deadline met?", "#P(in time), %", "#Cost", "Serving", "Rests on"},
               {},
               ""};
    for (const Json& row : rows) {
        list.rows_html.push_back({name_of_row(row), answer_of(row), chance_of(row),
                                  words_of(money_of(row), "USD", "unknown"), serving_of(row),
                                  fmt::format("{}, {}, {}", plural(count_of(row, "known"), "known"),
                                              plural(count_of(row, "guessed"), "guessed"),
                                              plural(count_of(row, "unknown"), "unknown"))});
    }
    return table(list);
}

std::string knowledge(const Json& row, std::string_view key, std::string_view title,
                      std::string_view detail) {
    const Json& list = member(row, key);
    if (!list.is_array() || list.empty())
        return fmt::format("<h4>{}</h4>\n<p class=\"note\">Nothing.</p>\n", title);
    std::string html = fmt::format("<h4>{} ({})</h4>\n<ul>\n", title, list.size());
    for (const Json& one : list) {
        const std::string kind = text(member(one, "kind"));
        html += fmt::format("<li>{}{}: {}</li>\n", code(text(member(one, "what"))),
                            kind.empty()
                                ? std::string()
                                : fmt::format(" <span class=\"kind\">{}</span>", escaped(kind, 40)),
                            escaped(text(member(one, detail)), 300));
    }
    return html + "</ul>\n";
}

std::string plans_of(const Json& row) {
    const Json& stages = member(row, "stages");
    std::string html;
    if (!stages.is_array()) return html;
    for (const Json& stage : stages) {
        const Json& parts = member(stage, "trained_by");
        if (!parts.is_array()) continue;
        for (const Json& part : parts) {
            const auto step = number(member(part, "step_s"));
            html += fmt::format(
                "<li>{} on {}: {}{}</li>\n", escaped(text(member(stage, "kind")), 40),
                escaped(text(member(part, "chip")), 80), escaped(text(member(part, "plan")), 120),
                step ? ", " + figure_text(*step, "s") + " a step" : std::string());
        }
        const std::string answers = text(member(stage, "answers_by"));
        if (!answers.empty())
            html += fmt::format("<li>its answers are written by {}</li>\n", escaped(answers, 80));
    }
    return html.empty() ? html : "<ul>\n" + html + "</ul>\n";
}

std::string fleet_section(const Json& row) {
    std::string html = fmt::format("<article class=\"question\"><h3>{}</h3>\n", name_of_row(row));
    const std::string refused = text(member(row, "refused_because"));
    if (!refused.empty()) html += not_asked("Refused: " + refused);
    const Json& chance = member(member(row, "projection"), "probability_of_deadline");
    const std::string decided = text(member(chance, "decided_by"));
    const std::string settled = text(member(chance, "settled_by"));
    if (!decided.empty()) {
        html += fmt::format("<p>Decided by <strong>{}</strong>{}.</p>\n", escaped(decided, 200),
                            settled.empty() ? "" : "; settled by " + escaped(settled, 200));
    }
    html += plans_of(row);
    html += "<div class=\"columns\"><div>" + knowledge(row, "unknown", "Unknown", "reason") +
            knowledge(row, "guessed", "Guessed", "source") + "</div><div>" +
            knowledge(row, "known", "Known", "source") + "</div></div></article>\n";
    return html;
}

std::string facts(const Json& comparison, const std::optional<double>& deadline) {
    std::string html = "<dl class=\"facts\">\n";
    const auto fact = [&](std::string_view name, const std::string& value) {
        html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", name, value);
    };
    fact("Campaign", code(text(member(comparison, "campaign"))));
    fact("Model", code(text(member(comparison, "model"))));
    fact("Deadline", deadline ? figure_text(*deadline, "d") : std::string(kUnknown));
    const auto budget = number(member(comparison, "budget_usd"));
    fact("Budget", budget ? figure_text(*budget, "USD") : std::string(kUnknown));
    const auto confidence = number(member(comparison, "confidence"));
    fact("Wanted confidence",
         confidence ? fmt::format("{:.0f} %", 100.0 * *confidence) : std::string(kUnknown));
    return html + "</dl>\n";
}

}  // namespace

std::string fleets_page(const Json& comparison) {
    const Json& given = member(comparison, "rows");
    const Json rows = given.is_array() ? given : Json::array();
    const auto deadline = number(member(comparison, "deadline_days"));
    const std::string title =
        fmt::format("{} {}, one campaign", rows.size(), rows.size() == 1 ? "fleet" : "fleets");
    std::string page = page_head(title);
    page += fmt::format("<body>\n<main>\n<h1>{}</h1>\n", title);
    page += facts(comparison, deadline);
    page += "<section><h2>When it would be finished</h2>\n" + dates_chart(rows, deadline) +
            "</section>\n<section><h2>Answers</h2>\n" + answers_table(rows) +
            "</section>\n<section><h2>What each answer rests on</h2>\n";
    for (const Json& row : rows) page += fleet_section(row);
    return page +
           "</section>\n</main>\n<footer><p>Made by ascertain compare: projections, nothing was "
           "measured for them here.</p></footer>\n</body>\n</html>\n";
}

}  // namespace ascertain::report
