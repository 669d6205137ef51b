// The five questions, each answered in one sentence. Used inside this room only.
#pragma once

#include <string_view>

#include "base/json.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::judge {

// The answer that the checks of one question give together.
[[nodiscard]] QuestionVerdict answer_question(std::string_view question,
                                              const std::vector<CheckVerdict>& checks);

// What the projection says of the deadline. Below the fleet's rung it can refute, never qualify:
// refuted when even its high estimate is at most 1 - confidence.
struct DeadlineFinding {
    Weight weight = Weight::kInconclusive;
    std::string summary;
};
[[nodiscard]] DeadlineFinding judge_deadline(const Json& projection, const Json& campaign);

}  // namespace ascertain::judge
