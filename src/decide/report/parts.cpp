#include "decide/report/parts.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"

namespace ascertain::report {

using judge::CheckVerdict;
using judge::Status;
using judge::Weight;

Tone tone_of(judge::VerdictWord word) {
    switch (word) {
        case judge::VerdictWord::kQualified: return Tone::kGood;
        case judge::VerdictWord::kInconclusive: return Tone::kOpen;
        case judge::VerdictWord::kNotQualified: return Tone::kBad;
    }
    return Tone::kOpen;
}

Tone tone_of(const CheckVerdict& check) {
    if (check.status == Status::kFailed || check.weight == Weight::kFail) return Tone::kBad;
    if (check.status == Status::kWaived) return Tone::kNone;
    const bool passed = check.status == Status::kPassed && check.weight == Weight::kPass;
    return passed ? Tone::kGood : Tone::kOpen;
}

Tone tone_of(const judge::QuestionVerdict& question) {
    if (question.status == "FAIL") return Tone::kBad;
    if (question.status == "NOT_ASKED") return Tone::kNone;
    const bool passed = question.status == "PASS" && !question.checks.empty();
    return passed ? Tone::kGood : Tone::kOpen;
}

std::string_view class_of(Tone tone) {
    switch (tone) {
        case Tone::kGood: return "good";
        case Tone::kOpen: return "open";
        case Tone::kBad: return "bad";
        case Tone::kNone: return "none";
    }
    return "open";
}

std::string_view mark_of(Tone tone) {
    switch (tone) {
        case Tone::kGood: return "●";
        case Tone::kOpen: return "▲";
        case Tone::kBad: return "■";
        case Tone::kNone: return "○";
    }
    return "▲";
}

Tone tone_of(const judge::Comparison& comparison) {
    if (!comparison.measured) return Tone::kNone;
    if (comparison.inside) return Tone::kGood;
    return comparison.blocks ? Tone::kBad : Tone::kOpen;
}

std::string_view words_of(const judge::Comparison& comparison) {
    if (!comparison.measured) return "not measured";
    if (comparison.inside) return "inside";
    return comparison.blocks ? "outside, blocks" : "outside, not calibrated";
}

int attention(const judge::Comparison& comparison) {
    static constexpr int kByTone[] = {0, 2, 3, 1};
    return kByTone[static_cast<int>(tone_of(comparison))];
}

std::string headline(const CheckVerdict& check) {
    std::string best;
    double best_share = -1.0;
    for (const Limit& limit : limits_of(check.criterion.bound)) {
        const Metric* metric = find_metric(check.observation, limit.metric);
        if (metric == nullptr || !metric->value) continue;
        const double share = share_of_limit(*metric->value, limit).value_or(0.0);
        if (share <= best_share) continue;
        best_share = share;
        best = fmt::format("{} {} (bound {})", metric->metric,
                           readable(*metric->value, metric->unit), readable(limit, metric->unit));
    }
    return best;
}

int badness(const CheckVerdict& check) {
    static constexpr int kByTone[] = {1, 4, 6, 2};  // good, open, bad, none
    return kByTone[static_cast<int>(tone_of(check))] + (check.required ? 1 : 0);
}

std::vector<const CheckVerdict*> worst_first(const judge::Verdict& verdict) {
    std::vector<const CheckVerdict*> order;
    for (const auto& check : verdict.checks) order.push_back(&check);
    std::ranges::stable_sort(order, std::greater{},
                             [](const auto* check) { return badness(*check); });
    return order;
}

std::string mark(Tone tone, std::string_view word) {
    return fmt::format(R"(<span class="mark {}"><span aria-hidden="true">{}</span> {}</span>)",
                       class_of(tone), mark_of(tone), escaped(word));
}

std::string code(std::string_view text) {
    return fmt::format("<code>{}</code>", escaped(text));
}

std::string prose(std::string_view text) {
    std::string html;
    bool typed = false;
    for (const char c : escaped(text)) {
        if (c != '`') {
            html += c;
            continue;
        }
        html += typed ? "</code>" : "<code>";
        typed = !typed;
    }
    return typed ? html + "</code>" : html;
}

std::string figure_text(double value, std::string_view unit) {
    return fmt::format(R"(<data value="{0}" title="{0} {1}">{2}</data>)", exact(value),
                       escaped(unit), escaped(readable(value, unit)));
}

std::string check_anchor(std::string_view id, std::string_view device) {
    return anchor("check-", fmt::format("{}@{}", id, device));
}

std::string check_link(const CheckVerdict& check, std::string_view shown) {
    return fmt::format(R"(<a href="#{}">{}</a>)", check_anchor(check.id, check.device),
                       escaped(shown));
}

std::string record_link(const Material& material, std::string_view id) {
    const auto found = material.by_id.find(id);
    if (found == material.by_id.end()) {
        return fmt::format(R"(<span class="missing">record {} is not in this evidence</span>)",
                           escaped(id, 80));
    }
    const Record& record = *found->second;
    return fmt::format(R"(<a class="record" href="#{}">record {}</a>)", anchor("record-", id),
                       record.sequence);
}

std::string record_links(const Material& material, const std::vector<std::string>& ids) {
    if (ids.empty()) return R"(<span class="missing">no record</span>)";
    std::string links;
    for (const auto& id : ids) links += (links.empty() ? "" : ", ") + record_link(material, id);
    return links;
}

std::string table(const Table& content) {
    std::string html = fmt::format(
        R"(<div class="scroll" role="group" aria-label="{}" tabindex="0"><table class="{}"><thead><tr>)",
        escaped(content.label), content.style);
    std::vector<bool> numeric;
    for (const auto& column : content.columns) {
        numeric.push_back(column.starts_with('#'));
        html +=
            fmt::format(R"(<th scope="col"{}>{}</th>)", numeric.back() ? R"( class="number")" : "",
                        escaped(numeric.back() ? column.substr(1) : column));
    }
    html += "</tr></thead>\n<tbody>\n";
    for (const auto& row : content.rows_html) {
        html += "<tr>";
        for (std::size_t i = 0; i < row.size(); ++i) {
            const bool right = i < numeric.size() && numeric[i];
            html += fmt::format("<{0}{1}>{2}</{3}>", i == 0 ? R"(th scope="row")" : "td",
                                right ? R"( class="number")" : "", row[i], i == 0 ? "th" : "td");
        }
        html += "</tr>\n";
    }
    return html + "</tbody></table></div>\n";
}

std::string bars_head(std::string_view title, std::string_view names, std::string_view values) {
    return fmt::format(
        "<h4>{}</h4>\n<table class=\"bars\"><thead><tr><th scope=\"col\">{}</th><th scope=\"col\" "
        "class=\"number\">{}</th><th scope=\"col\"><span "
        "class=\"hidden\">Bar</span></th></tr></thead>"
        "<tbody>\n",
        title, names, values);
}

std::string bar_row(const std::string& name_html, const std::string& value_html,
                    std::string_view style, double left, double width) {
    return fmt::format(
        R"(<tr><th scope="row">{}</th><td class="number">{}</td><td class="track"><span class="bar {}" )"
        R"(style="margin-left:{:.2f}%;width:{:.2f}%"></span></td></tr>)"
        "\n",
        name_html, value_html, style, left * 100.0, width * 100.0);
}

std::string chart(const Chart& content) {
    const std::string id = anchor("chart-", content.key);
    return fmt::format(
        R"(<figure class="chart"><figcaption>{1}</figcaption>
<div class="canvas" style="height:{4}px"><canvas id="{0}" role="img" aria-label="{2}"></canvas></div>
<script type="application/json" data-chart="{0}">{3}</script>
<details class="numbers"><summary>The numbers</summary>{5}</details></figure>
)",
        id, escaped(content.title), escaped(content.summary), script_json(content.drawing),
        content.height_px, table(content.numbers));
}

std::string not_asked(std::string_view what) {
    return fmt::format(R"(<p class="not-asked"><span aria-hidden="true">○</span> {}</p>)"
                       "\n",
                       escaped(what));
}

}  // namespace ascertain::report
