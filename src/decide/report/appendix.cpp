#include <fmt/format.h>

#include <set>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

// The anchor a citation means: what follows "formulas.md#", else its own name with hyphens.
std::string cited_anchor(std::string_view citation) {
    constexpr std::string_view kPage = "formulas.md#";
    const auto page = citation.find(kPage);
    if (page != std::string_view::npos) {
        const auto begin = page + kPage.size();
        const auto end = citation.find_first_of(" ,;)", begin);
        return std::string(
            citation.substr(begin, end == std::string_view::npos ? end : end - begin));
    }
    std::string name(citation);
    for (char& c : name) c = c == '_' ? '-' : c;
    return name;
}

const Formula* cited(const Material& material, std::string_view citation) {
    const std::string name = cited_anchor(citation);
    for (const Formula& formula : material.input.formulas) {
        if (formula.anchor == name) return &formula;
    }
    return nullptr;
}

std::string summary_of(const Record& record) {
    const Json& body = record.body;
    const auto join = [](std::initializer_list<std::string> parts) {
        std::string line;
        for (const auto& part : parts) {
            if (!part.empty()) line += (line.empty() ? "" : ", ") + part;
        }
        return line;
    };
    std::string line;
    if (record.kind == "attempt") {
        line = join({text(member(body, "check")), text(member(body, "device")),
                     text(member(body, "role")), text(member(body, "outcome")),
                     text(member(body, "category")), text(member(body, "message"))});
    } else if (record.kind == "prediction") {
        const auto value = number(member(body, "value"));
        line = join({text(member(body, "id")),
                     value ? readable(*value, text(member(body, "unit"))) : std::string()});
    } else if (record.kind == "context") {
        line = join({text(member(body, "host")), text(member(body, "system")),
                     "ascertain " + text(member(body, "tool_version"))});
    } else if (record.kind == "required") {
        line = join({text(member(body, "profile")), text(member(body, "rung")),
                     fmt::format("{} checks", member(body, "checks").size())});
    } else if (record.kind == "plan" || record.kind == "projection") {
        line = text(member(member(body, "document"), "schema"));
    } else {
        line = text(member(body, "reason"));
    }
    return escaped(line.empty() ? "nothing that can be said in one line" : line, 240);
}

std::string why_unreadable(const Material& material, const Record& record) {
    for (const Unreadable& unreadable : material.unreadable) {
        if (unreadable.record != &record) continue;
        return fmt::format(R"( <span class="missing">not of its kind's form: {}</span>)",
                           escaped(unreadable.why, 300));
    }
    return {};
}

}  // namespace

std::string formula_link(const Material& material, std::string_view citation) {
    const Formula* formula = cited(material, citation);
    if (formula == nullptr) return {};
    return fmt::format(R"( <a class="formula" href="#{}" title="{}">formula</a>)",
                       anchor("formula-", formula->anchor), escaped(formula->title, 200));
}

std::string formulas_section(const Material& material) {
    std::set<std::string> used;
    const auto use = [&](std::string_view citation) {
        if (const Formula* formula = cited(material, citation)) used.insert(formula->anchor);
    };
    for (const auto& check : material.verdict().checks) {
        use(check.criterion.source);
        for (const Metric& metric : check.observation) use(metric.metric);
    }
    if (used.empty()) return {};
    std::string html = "<section id=\"formulas\"><h2>Formulas</h2>\n";
    for (const Formula& formula : material.input.formulas) {
        if (!used.contains(formula.anchor)) continue;
        html += fmt::format("<article id=\"{}\"><h3>{}</h3><p class=\"prose\">{}</p></article>\n",
                            anchor("formula-", formula.anchor), escaped(formula.title),
                            escaped(formula.text));
    }
    return html + "</section>\n";
}

std::string left_out_section(const Material& material) {
    std::string html = "<section id=\"left-out\"><h2>What was left out</h2>\n";
    if (!material.required) {
        return html + not_asked("Unknown: the evidence holds no required set.") + "</section>\n";
    }
    const auto& left_out = material.required->left_out;
    if (left_out.empty())
        return html + "<p>Nothing: every check there is was asked.</p></section>\n";
    html += "<ul>\n";
    for (const auto& line : left_out) html += fmt::format("<li>{}</li>\n", escaped(line, 300));
    return html + "</ul></section>\n";
}

std::string records_section(const Material& material) {
    const auto& records = material.input.records;
    std::string html = "<section id=\"records\"><h2>Evidence</h2>\n";
    if (records.empty()) return html + not_asked("There is no record.") + "</section>\n";
    html += fmt::format(
        "<p>{} records, each holding the hash of the one before; <code>ascertain evidence "
        "verify</code> "
        "recomputes them and <code>ascertain evidence show {}</code> prints one. The last hash is "
        "<code class=\"hash\">{}</code>.</p>\n<details><summary>All {} records</summary>\n"
        "<div class=\"scroll\"><table><thead><tr><th scope=\"col\">Record</th><th "
        "scope=\"col\">Kind</th>"
        "<th scope=\"col\">What</th><th scope=\"col\">Written</th><th "
        "scope=\"col\">Hash</th></tr></thead>"
        "\n<tbody>\n",
        records.size(), escaped(records.front().id()), escaped(records.back().hash, 80),
        records.size());
    for (const Record& record : records) {
        html += fmt::format(
            R"(<tr id="{}"><th scope="row">{}</th><td>{}</td><td>{}{}</td><td>{}</td><td><code class="hash" title="{}">{}</code></td></tr>)"
            "\n",
            anchor("record-", record.id()), record.sequence, escaped(record.kind, 40),
            summary_of(record), why_unreadable(material, record), escaped(record.time_utc, 40),
            escaped(record.hash, 80), escaped(record.hash.substr(0, 12)));
    }
    return html + "</tbody></table></div></details></section>\n";
}

std::vector<Formula> formulas_from_markdown(std::string_view markdown) {
    std::vector<Formula> sections;
    while (!markdown.empty()) {
        const auto end = markdown.find('\n');
        std::string_view line = markdown.substr(0, end);
        markdown.remove_prefix(end == std::string_view::npos ? markdown.size() : end + 1);
        const std::size_t level = line.find_first_not_of('#');
        const bool heading = (level == 2 || level == 3) && line[level] == ' ';
        if (!heading) {
            if (!sections.empty()) sections.back().text += std::string(line) + "\n";
            continue;
        }
        std::string title(line.substr(level + 1));
        std::string name;
        const auto brace = title.rfind("{#");
        if (brace != std::string::npos && title.back() == '}') {
            name = title.substr(brace + 2, title.size() - brace - 3);
            title.resize(title.find_last_not_of(' ', brace - 1) + 1);
        } else {
            for (const char c : title) {
                const auto byte = static_cast<unsigned char>(c);
                if (std::isalnum(byte) != 0)
                    name += static_cast<char>(std::tolower(byte));
                else if ((c == ' ' || c == '-') && !name.ends_with('-'))
                    name += '-';
            }
        }
        sections.push_back({name, title, ""});
    }
    return sections;
}

}  // namespace ascertain::report
