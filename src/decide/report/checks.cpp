#include <fmt/format.h>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

using judge::CheckVerdict;

constexpr std::size_t kCasesShown = 8;

const Limit* limit_for(const std::vector<Limit>& limits, std::string_view metric) {
    for (const Limit& limit : limits) {
        if (limit.metric == metric) return &limit;
    }
    return nullptr;
}

// The value with its interval, linked to the record it comes from.
std::string value_cell(const Material& material, const CheckVerdict& check, const Metric& metric) {
    if (!metric.value) {
        return fmt::format(R"(<span class="missing">{}</span>)", escaped(readable(metric), 300));
    }
    std::string cell = figure_text(*metric.value, metric.unit);
    if (const RecordedAttempt* attempt = measured(material, check.id, check.device)) {
        cell = fmt::format(R"(<a class="value" href="#{}">{}</a>)",
                           anchor("record-", attempt->record->id()), cell);
    }
    if (metric.low && metric.high) {
        cell += fmt::format(" <span class=\"interval\">({} to {})</span>",
                            escaped(readable(*metric.low, metric.unit)),
                            escaped(readable(*metric.high, metric.unit)));
    }
    return cell;
}

// Every number of the check beside its bound, its formula and the record it comes from.
std::string numbers_table(const Material& material, const CheckVerdict& check) {
    if (check.observation.empty()) return not_asked("No number was measured.");
    const auto limits = limits_of(check.criterion.bound);
    Table list{"Numbers of " + check.id, {"Metric", "#Value", "#Samples", "#Bound"}, {}, ""};
    for (const Metric& metric : check.observation) {
        const Limit* limit = limit_for(limits, metric.metric);
        const std::string bound = limit == nullptr ? R"(<span class="absent">no bound</span>)"
                                                   : escaped(readable(*limit, metric.unit));
        list.rows_html.push_back({code(metric.metric) + formula_link(material, metric.metric),
                                  value_cell(material, check, metric),
                                  readable(static_cast<double>(metric.n), "count"), bound});
    }
    std::string missing;
    for (const Limit& limit : limits) {
        if (find_metric(check.observation, limit.metric) != nullptr) continue;
        missing +=
            fmt::format("<p class=\"missing\">{} has a bound ({}) and was not measured.</p>\n",
                        code(limit.metric), escaped(readable(limit, "")));
    }
    return table(list) + missing;
}

std::string proof_words(const std::string& proof) {
    if (proof == "control")
        return "A hidden corrupted control failed, as it must, and its clean twin passed.";
    if (proof.starts_with("proof:")) {
        return "It caught planted faults on the simulated chip (" + code(proof) + ").";
    }
    if (!proof.empty()) return code(proof);
    return R"(<span class="missing">Nothing shows that this check can fail.</span>)";
}

// One entry of `got` or `expected`: a number, or what stands there instead.
std::string entry(const Json& value) {
    if (const auto plain = number(value)) return figure_text(*plain, "");
    return value.is_null() ? "not finite"
                           : escaped(value.is_string() ? text(value) : value.dump(), 60);
}

// The operator cases behind the numbers, and the element of each that is furthest off.
std::string cases_table(const Material& material, const CheckVerdict& check) {
    const RecordedAttempt* attempt = measured(material, check.id, check.device);
    const Json& rows =
        attempt == nullptr ? member(Json(), "") : member(attempt->attempt.detail, "rows");
    if (!rows.is_array()) return {};
    Table list{
        "Cases of " + check.id, {"Case", "Judged by", "Furthest off", "#Got", "#Expected"}, {}, ""};
    for (const Json& row : rows) {
        if (list.rows_html.size() == kCasesShown) break;
        const std::string label = text(member(row, "label"));
        const Json& worst = member(row, "worst");
        std::string judged = escaped(text(member(row, "reference")), 40);
        if (const std::string why = text(member(row, "reason")); !why.empty()) {
            judged += fmt::format(R"( <span class="missing">{}</span>)", escaped(why, 200));
        }
        const Json& index = member(worst, "index");
        list.rows_html.push_back({code(label.empty() ? text(member(row, "case")) : label), judged,
                                  index.is_null() ? "" : code(index.dump()),
                                  worst.is_object() ? entry(member(worst, "got")) : "",
                                  worst.is_object() ? entry(member(worst, "expected")) : ""});
    }
    if (list.rows_html.empty()) return {};
    const std::size_t more = rows.size() - list.rows_html.size();
    return table(list) + (more == 0 ? std::string()
                                    : fmt::format("<p class=\"note\">{} more cases.</p>\n", more));
}

std::string details_of(const Material& material, const CheckVerdict& check) {
    std::string html =
        numbers_table(material, check) + cases_table(material, check) + "<dl class=\"facts\">\n";
    const auto fact = [&](std::string_view name, const std::string& value) {
        html += fmt::format("<div><dt>{}</dt><dd>{}</dd></div>\n", name, value);
    };
    const bool judged = !check.criterion.id.empty();
    fact("Criterion",
         judged ? code(check.criterion.id) : std::string(R"(<span class="missing">none</span>)"));
    fact("Its source",
         check.criterion.source.empty()
             ? std::string(R"(<span class="missing">not given</span>)")
             : escaped(check.criterion.source) + formula_link(material, check.criterion.source));
    fact("Proof", proof_words(check.proof));
    fact("Seed", fmt::format("{}", check.seed));
    fact("Records", record_links(material, check.records));
    html += "</dl>\n";
    for (const VendorScript& script : material.scripts) {
        if (script.check != check.id || script.device != check.device) continue;
        html += fmt::format(
            "<p class=\"command\">For the vendor, needs nothing but torch: <a "
            "href=\"{0}\">{0}</a></p>\n",
            escaped(script.file));
    }
    if (check.reproduce.empty()) return html;
    return html + fmt::format("<p class=\"command\">Run exactly this again: {}</p>\n",
                              code(check.reproduce));
}

std::string row_of(const Material& material, const CheckVerdict& check) {
    const Tone tone = tone_of(check);
    const std::string first = headline(check);
    std::string found;
    if (!check.reason.empty()) found += fmt::format("<p>{}</p>", prose(check.reason));
    if (!first.empty()) found += fmt::format("<p class=\"headline\">{}</p>", escaped(first));
    if (found.empty()) found = R"(<p class="missing">No reason and no bounded number.</p>)";
    return fmt::format(
        R"(<tr id="{}" class="{}" data-find="{}"><td>{}{}</td><th scope="row">{}<br><span class="device">{}</span></th>)"
        R"(<td>{}<details{}><summary>Numbers, criterion, command</summary>{}</details></td><td class="number">{}</td></tr>)"
        "\n",
        check_anchor(check.id, check.device), class_of(tone),
        escaped(fmt::format("{} {} {}", check.id, check.device, judge::name_of(check.status)), 300),
        mark(tone, judge::name_of(check.status)),
        check.required ? "" : R"(<br><span class="absent">optional</span>)", code(check.id),
        escaped(check.device, 120), found, tone == Tone::kBad ? " open" : "",
        details_of(material, check), figure_text(check.duration_s, "s"));
}

}  // namespace

std::string checks_section(const Material& material) {
    const auto order = worst_first(material.verdict());
    std::string html = fmt::format("<section id=\"checks\"><h2>Every check</h2>\n");
    if (order.empty()) return html + not_asked("No check was run.") + "</section>\n";
    html += fmt::format(
        "<p class=\"filter\" hidden><label>Show checks that contain <input type=\"search\" "
        "id=\"filter\" "
        "aria-controls=\"check-rows\" autocomplete=\"off\"></label> <output id=\"filter-count\" "
        "for=\"filter\">{0} of {0}</output></p>\n"
        "<div class=\"scroll\"><table class=\"checks\"><thead><tr><th scope=\"col\">Status</th><th "
        "scope=\"col\">Check</th><th scope=\"col\">What was found</th><th scope=\"col\" "
        "class=\"number\">Took</th></tr></thead>\n<tbody id=\"check-rows\">\n",
        order.size());
    for (const CheckVerdict* check : order) html += row_of(material, *check);
    return html + "</tbody></table></div></section>\n";
}

}  // namespace ascertain::report
