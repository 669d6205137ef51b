// What the failures of this run most resemble among the catalogued defects: verdict.context.causes,
// which app puts there (decide/diagnosis).
#include <fmt/format.h>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"

namespace ascertain::report {
namespace {

std::string cause_item(const Json& cause) {
    const auto likeness = number(member(cause, "likeness"));
    const std::string remedy = text(member(cause, "remedy"));
    return fmt::format(
        "<li><p class=\"what\">{} <span class=\"interval\">{}{}</span></p>\n<p>{}</p>\n"
        "<p class=\"remedy\"><strong>What helped:</strong> {}</p>\n"
        "<p class=\"sources\">Seen: {}</p></li>\n",
        code(text(member(cause, "id"))), escaped(text(member(cause, "class")), 60),
        likeness ? fmt::format(", {:.0f} % alike", 100.0 * *likeness) : "",
        escaped(text(member(cause, "summary")), 400),
        remedy.empty() ? std::string(R"(<span class="missing">no remedy is known</span>)")
                       : escaped(remedy, 400),
        escaped(text(member(cause, "source")), 400));
}

}  // namespace

std::string causes_section(const Material& material) {
    const Json& causes = member(material.verdict().context, "causes");
    if (!causes.is_array()) return {};
    std::string html = "<section id=\"causes\"><h2>What fails in the same way</h2>\n";
    const auto compared = number(member(material.verdict().context, "causes_compared"));
    const std::string among =
        compared ? fmt::format("{:.0f} catalogued defects", *compared) : "the catalogued defects";
    if (causes.empty()) {
        return html + fmt::format(
                          "<p>None of {} fails the same checks: this is something new, or several "
                          "things at once.</p></section>\n",
                          among);
    }
    html += fmt::format(
        "<p>Planted in the simulated chip, these of {} failed checks most like the ones that "
        "failed "
        "here. A likeness is a hint where to look, not a finding.</p>\n<ol>\n",
        among);
    for (const Json& cause : causes) html += cause_item(cause);
    return html + "</ol></section>\n";
}

}  // namespace ascertain::report
