#include "decide/judge/questions.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "decide/judge/status.hpp"

namespace ascertain::judge {
namespace {

constexpr double kConfidenceByDefault = 0.9;

std::optional<double> number_in(const Json& document, const char* outer, const char* inner) {
    if (!document.is_object()) return std::nullopt;
    const auto group = document.find(outer);
    if (group == document.end() || !group->is_object()) return std::nullopt;
    const auto value = group->find(inner);
    if (value == group->end() || !value->is_number()) return std::nullopt;
    return value->get<double>();
}

std::string tally(const std::vector<const CheckVerdict*>& asked) {
    const auto passed = std::ranges::count_if(
        asked, [](const CheckVerdict* check) { return check->weight == Weight::kPass; });
    return fmt::format("{} of {} check{} passed", passed, asked.size(),
                       asked.size() == 1 ? "" : "s");
}

}  // namespace

QuestionVerdict answer_question(std::string_view question,
                                const std::vector<CheckVerdict>& checks) {
    QuestionVerdict answer;
    std::vector<const CheckVerdict*> asked;
    for (const auto& check : checks) {
        if (check.question != question) continue;
        if (std::ranges::find(answer.checks, check.id) == answer.checks.end()) {
            answer.checks.push_back(check.id);
        }
        asked.push_back(&check);
    }
    if (asked.empty()) return {"NOT_ASKED", "No check of this run asked it.", {}};
    // Optional checks explain; where there are none but them, nothing was required to pass.
    std::vector<const CheckVerdict*> required;
    std::ranges::copy_if(asked, std::back_inserter(required),
                         [](const CheckVerdict* check) { return check->required; });
    const auto& deciding = required.empty() ? asked : required;
    Weight weight = required.empty() ? Weight::kInconclusive : Weight::kPass;
    const CheckVerdict* worst = nullptr;
    for (const auto* check : deciding) {
        if (worst == nullptr || check->weight > worst->weight) worst = check;
        const bool refutes = check->required || check->weight != Weight::kFail;
        weight = worst_of(weight, refutes ? check->weight : Weight::kInconclusive);
    }
    answer.status = std::string(name_of(weight));
    answer.summary = tally(deciding);
    if (worst->weight != Weight::kPass) {
        answer.summary += fmt::format("; worst: {} on {} is {} ({})", worst->id, worst->device,
                                      name_of(worst->status), worst->reason);
    }
    answer.summary += ".";
    return answer;
}

DeadlineFinding judge_deadline(const Json& projection, const Json& campaign) {
    if (!projection.is_object()) return {Weight::kInconclusive, "The run holds no projection."};
    const auto high = number_in(projection, "probability_of_deadline", "high");
    const auto low = number_in(projection, "probability_of_deadline", "low");
    std::string summary;
    if (const auto days = number_in(projection, "finish_days", "p50")) {
        summary = fmt::format("Projected to finish in {:.0f} days (median). ", *days);
    }
    if (!low || !high) {
        return {Weight::kInconclusive, summary + "The chance to meet the deadline is unknown."};
    }
    const double confidence =
        number_in(campaign, "decision", "confidence").value_or(kConfidenceByDefault);
    summary += fmt::format(
        "The chance to meet the deadline lies between {:.0f} % and {:.0f} %; {:.0f} "
        "% is wanted. A projection can refute, not qualify.",
        100.0 * *low, 100.0 * *high, 100.0 * confidence);
    const bool refuted = *high <= 1.0 - confidence;
    return {refuted ? Weight::kFail : Weight::kInconclusive, std::move(summary)};
}

}  // namespace ascertain::judge
