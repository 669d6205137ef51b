#include "decide/report/html.hpp"

#include <fmt/format.h>

#include "decide/report/assets.hpp"
#include "decide/report/escape.hpp"
#include "decide/report/material.hpp"
#include "decide/report/page.hpp"
#include "decide/report/sections.hpp"
#include "decide/report/wording.hpp"

namespace ascertain::report {
namespace {

std::string head(const Material& material) {
    const auto& verdict = material.verdict();
    const std::string model = model_name(material.campaign());
    const std::string fleet = fleet_name(material.campaign());
    return page_head(fmt::format("{}: {} on {}", words_of(verdict.verdict),
                                 model.empty() ? "a model" : model,
                                 fleet.empty() ? "devices" : fleet));
}

constexpr std::string_view kContents =
    "<nav aria-label=\"Contents\"><a href=\"#blockers\">Blockers</a> <a "
    "href=\"#compute\">Compute</a> "
    "<a href=\"#endure\">Endure</a> <a href=\"#learn\">Learn</a> <a href=\"#finish\">Finish</a> "
    "<a href=\"#serve\">Serve</a> <a href=\"#comparison\">Predicted</a> <a "
    "href=\"#checks\">Checks</a> "
    "<a href=\"#records\">Evidence</a></nav>\n";

std::string scripts(std::string_view chart_js) {
    return fmt::format("<script>\n{}\n</script>\n<script>\n{}\n</script>\n",
                       script_source(chart_js), script_source(kScript));
}

}  // namespace

std::string html(const ReportInput& input) {
    Material material = gather(input);
    material.scripts = vendor_scripts(material);
    std::string page = head(material);
    page += "<body>\n<main>\n" + verdict_banner(material);
    page += kContents;
    page += "<div class=\"columns\">" + blockers_section(material) + next_rung_section(material) +
            "</div>\n";
    page += causes_section(material);
    page += waivers_section(material);
    page += questions_section(material);
    page += comparison_section(material);
    page += checks_section(material);
    page += formulas_section(material);
    page += left_out_section(material);
    page += records_section(material);
    page +=
        "</main>\n<footer><p>Made by Ascertain from the evidence named above and nothing "
        "else.</p></footer>\n";
    return page + scripts(input.chart_js) + "</body>\n</html>\n";
}

}  // namespace ascertain::report
