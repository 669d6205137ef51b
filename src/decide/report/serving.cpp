#include "decide/report/serving.hpp"

#include <fmt/format.h>

#include "decide/report/escape.hpp"
#include "decide/report/numbers.hpp"
#include "decide/report/parts.hpp"

namespace ascertain::report {
namespace {

std::string figure_or(const Json& value, std::string_view unit, std::string_view otherwise) {
    const auto known = number(value);
    return known ? figure_text(*known, unit)
                 : fmt::format(R"(<span class="missing">{}</span>)", otherwise);
}

// Mismatch at each length, beside what a healthy device of that precision shows.
std::string by_length(const Json& lengths) {
    if (!lengths.is_array() || lengths.empty()) return {};
    Table rows{"Mismatch by length of text",
               {"#Tokens", "#Mean difference of log-probabilities", "#Of a healthy twin"},
               {},
               ""};
    for (const Json& entry : lengths) {
        rows.rows_html.push_back(
            {figure_or(member(entry, "length"), "", "unknown"),
             figure_or(member(entry, "logprob_error_mean"), "nat", "unknown"),
             figure_or(member(entry, "logprob_error_mean_band"), "nat", "not asked")});
    }
    return table(rows);
}

// Mismatch in slices of what was written: by place along the text, or by probability.
std::string by_slice(const Json& slices, const std::string& label, const std::string& column) {
    if (!slices.is_array() || slices.empty()) return {};
    Table rows{label, {column, "#Tokens", "#Mean difference of log-probabilities"}, {}, ""};
    for (const Json& entry : slices) {
        const auto from = number(member(entry, "from"));
        const auto to = number(member(entry, "to"));
        rows.rows_html.push_back(
            {from && to ? fmt::format("{:g} to {:g}", *from, *to) : "unknown",
             figure_or(member(entry, "tokens"), "", "unknown"),
             figure_or(member(entry, "logprob_error_mean"), "nat", "no token")});
    }
    return table(rows);
}

// What a mismatch of that size did to reinforcement learning (docs/formulas.md#rollout).
std::string meaning(const RecordedAttempt& recorded) {
    const auto* mismatch = find_metric(recorded.attempt.observation, "rollout_error_mean");
    const auto* clipped = find_metric(recorded.attempt.observation, "clipped_share");
    if (mismatch == nullptr || !mismatch->value) return {};
    const double size = *mismatch->value;
    constexpr double kHarmless = 0.02;
    constexpr double kHurts = 0.3;
    const char* says = size <= kHarmless ? "left GRPO as it was in our trials"
                       : size <= kHurts
                           ? "made GRPO unstable in our trials; truncated importance sampling "
                             "repaired most of it"
                           : "kept GRPO from learning in our trials, and truncated importance "
                             "sampling did not help";
    const std::string cut =
        clipped != nullptr && clipped->value
            ? fmt::format(" Truncated importance sampling would cut the gradient of {} of tokens.",
                          figure_text(*clipped->value, "ratio"))
            : "";
    return fmt::format("<p>A mean mismatch of {} {}.{}</p>\n", figure_text(size, "nat"), says, cut);
}

std::string handoff_of(const RecordedAttempt& recorded) {
    const Json& detail = recorded.attempt.detail;
    const std::string tables =
        by_length(member(detail, "lengths")) +
        by_slice(member(detail, "positions"), "Mismatch along the text", "Share of the text") +
        by_slice(member(detail, "probabilities"), "Mismatch by probability of the token",
                 "Probability");
    if (tables.empty()) return {};
    const std::string quantisation = text(member(detail, "quantisation"));
    const std::string stored =
        quantisation.empty() ? "" : fmt::format(", weights in {}", escaped(quantisation, 100));
    return fmt::format("<h4>{} on {}, in {}{}</h4>\n{}<div class=\"multiples\">\n{}</div>\n",
                       code(recorded.attempt.check), code(recorded.attempt.device),
                       escaped(text(member(detail, "dtype")), 20), stored, meaning(recorded),
                       tables);
}

}  // namespace

std::string serving_pictures(const Material& material) {
    std::string html;
    for (const auto& check : material.verdict().checks) {
        if (check.question != "serve") continue;
        const RecordedAttempt* attempt = measured(material, check.id, check.device);
        if (attempt != nullptr) html += handoff_of(*attempt);
    }
    if (!html.empty()) return html;
    return not_asked("Not asked: no checkpoint was carried to a serving device.");
}

}  // namespace ascertain::report
