#include "decide/judge/attempts.hpp"

#include "decide/judge/status.hpp"

namespace ascertain::judge {

CheckVerdict judge_attempts(evidence::PlannedCheck planned,
                            const std::vector<evidence::Attempt>& attempts, bool device_answers,
                            const CriteriaSet& criteria) {
    CheckEvidence evidence;
    evidence.planned = std::move(planned);
    evidence.device_answers = device_answers;
    for (const auto& attempt : attempts) {
        Opinion said;
        if (attempt.outcome == evidence::Outcome::kCompleted) {
            said = opinion(criteria, attempt.check, attempt.observation);
        }
        evidence.attempts.push_back({attempt, "", evidence.attempts.size(), std::move(said)});
    }
    return judge_check(std::move(evidence));
}

}  // namespace ascertain::judge
