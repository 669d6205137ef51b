// The sentences in which report and terminal say the same thing: verdict, scope, tally.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "decide/judge/verdict.hpp"

namespace ascertain::report {

// "NOT QUALIFIED": as people read it.
[[nodiscard]] std::string_view words_of(judge::VerdictWord word);

// How the required checks fared. A required id that no check answers counts as open.
struct Tally {
    std::size_t required = 0;
    std::size_t good = 0;
    std::size_t open = 0;
    std::size_t bad = 0;
    std::size_t waived = 0;
};
[[nodiscard]] Tally tally_of(const judge::Verdict& verdict);
// "Of 42 required checks 40 passed, 1 failed, 1 is open."
[[nodiscard]] std::string sentence(const Tally& tally);

// What the verdict speaks of, in one sentence: rung, devices, hours, profile, validity.
[[nodiscard]] std::string scope_sentence(const judge::Verdict& verdict);

// Why a verdict that says QUALIFIED cannot be believed (a required check that did not pass,
// blockers, nothing required, no device), or "". The judge never writes such a verdict; a file may
// say anything.
[[nodiscard]] std::string contradiction_in(const judge::Verdict& verdict);

// The first check of that id, worst first among devices; null when there is none.
[[nodiscard]] const judge::CheckVerdict* find_check(const judge::Verdict& verdict,
                                                    std::string_view id);

// Blockers of failing checks first, then the others, each group in the judge's order.
[[nodiscard]] std::vector<const judge::Blocker*> blockers_worst_first(
    const judge::Verdict& verdict);

// The names a campaign gives: its model's config, "8192 × ascend-910b2"; "" when it gives none.
[[nodiscard]] std::string model_name(const Json& campaign);
[[nodiscard]] std::string fleet_name(const Json& campaign);

struct Question {
    std::string_view key;    // "compute"
    std::string_view title;  // "Compute"
    std::string_view asks;   // the question in full
    judge::QuestionVerdict judge::Verdict::*answer;
};
// The five, in their order.
[[nodiscard]] const Question& question(std::size_t index);
inline constexpr std::size_t kQuestions = 5;

}  // namespace ascertain::report
