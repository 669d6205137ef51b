// From the attempts of one check to its status. Used inside this room only.
#pragma once

#include <string>
#include <vector>

#include "decide/evidence/records.hpp"
#include "decide/judge/criteria.hpp"
#include "decide/judge/opinion.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::judge {

// One attempt with the record it came from and what the criteria say of it.
struct JudgedAttempt {
    evidence::Attempt attempt;
    std::string record;      // id
    std::uint64_t sequence;  // place in the chain
    Opinion opinion;         // weak unless the attempt completed
};

// What else bears on one check.
struct CheckEvidence {
    evidence::PlannedCheck planned;
    std::vector<JudgedAttempt> attempts;  // measured and confirmed, of this check on this device
    std::vector<JudgedAttempt> controls;  // of its family on this device, both kinds
    bool device_answers = false;          // something else completed there
    std::string proof;                    // "proof:<hash>" when it has caught planted faults
    bool reference_is_device = false;     // a CPU under test: it would be compared with itself
};

// The worst of two weights: the one way in which weights are merged.
[[nodiscard]] Weight worst_of(Weight a, Weight b);

// Status, weight, reason, observation and records of one check. Pure, and the order of
// `attempts` and `controls` does not matter.
[[nodiscard]] CheckVerdict judge_check(CheckEvidence evidence);

// What a person can do about a status.
[[nodiscard]] std::string remedy_for(const CheckVerdict& check);

}  // namespace ascertain::judge
