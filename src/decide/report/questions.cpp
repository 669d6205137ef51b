#include <fmt/format.h>

#include <algorithm>

#include "decide/report/escape.hpp"
#include "decide/report/parts.hpp"
#include "decide/report/sections.hpp"
#include "decide/report/serving.hpp"
#include "decide/report/wording.hpp"

namespace ascertain::report {
namespace {

// One shape per check of the question, worst first, each a link: the whole question at a glance.
std::string strip(const Material& material, std::string_view key) {
    std::string shapes;
    std::size_t n = 0;
    for (const auto* check : worst_first(material.verdict())) {
        if (check->question != key) continue;
        const std::string said =
            fmt::format("{} on {}: {}", check->id, check->device, judge::name_of(check->status));
        // Tab stops only where there is something to see; the others are reached by their rows.
        const bool stop = tone_of(*check) != Tone::kGood;
        shapes +=
            fmt::format(R"(<li><a class="{}"{} href="#{}" title="{}" aria-label="{}">{}</a></li>)",
                        class_of(tone_of(*check)), stop ? "" : R"( tabindex="-1")",
                        check_anchor(check->id, check->device), escaped(said), escaped(said),
                        mark_of(tone_of(*check)));
        ++n;
    }
    if (n == 0) return {};
    return fmt::format("<ul class=\"strip\" aria-label=\"{} checks, worst first\">{}</ul>\n", n,
                       shapes);
}

std::string words_of_status(const judge::QuestionVerdict& answer) {
    if (answer.status == "PASS" && answer.checks.empty()) return "PASS WITHOUT A CHECK";
    if (answer.status == "NOT_ASKED") return "NOT ASKED";
    return answer.status.empty() ? "UNKNOWN" : answer.status;
}

std::string picture(const Material& material, std::string_view key) {
    if (key == "compute") {
        return operator_map(material) + operator_errors(material) + error_histograms(material);
    }
    if (key == "endure") return endurance_pictures(material);
    if (key == "learn") return learning_pictures(material);
    if (key == "serve") return serving_pictures(material);
    return finishing_pictures(material) + plan_table(material);
}

}  // namespace

std::string questions_section(const Material& material) {
    std::string html = "<section id=\"questions\"><h2>The five questions</h2>\n";
    for (std::size_t i = 0; i < kQuestions; ++i) {
        const Question& asked = question(i);
        const judge::QuestionVerdict& answer = material.verdict().*asked.answer;
        html += fmt::format(
            "<section class=\"question\" id=\"{}\"><div "
            "class=\"question-head\"><h3>{}</h3>\n{}</div>\n"
            "<p class=\"asks\">{}</p>\n<p class=\"lead\">{}</p>\n{}{}</section>\n",
            asked.key, asked.title, mark(tone_of(answer), words_of_status(answer)), asked.asks,
            answer.summary.empty() ? R"(<span class="missing">Nothing was said about it.</span>)"
                                   : escaped(answer.summary),
            strip(material, asked.key), picture(material, asked.key));
    }
    return html + "</section>\n";
}

}  // namespace ascertain::report
