// The records of a run, put in order for the judge. Used inside this room only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "decide/evidence/chain.hpp"
#include "decide/judge/status.hpp"

namespace ascertain::judge {

struct Foretold {
    evidence::Prediction prediction;
    std::string record;
    std::uint64_t sequence = 0;
};

// A run as the judge sees it. `problems` is everything that keeps it from being trusted whole.
struct Run {
    std::optional<evidence::SessionContext> context;  // of the last session
    Json devices = Json::array();                     // of every session
    std::string profile;
    std::string rung;
    std::string part = "whole";                   // what the required set is about
    std::vector<evidence::PlannedCheck> planned;  // no check twice on one device
    std::vector<std::string> left_out;
    std::vector<Foretold> predictions;
    std::vector<JudgedAttempt> attempts;  // with their opinions, in the order of the chain
    std::optional<evidence::SessionEnd> end;
    Json projection = Json();
    std::string last_time_utc;
    std::string oldest_reused_utc;  // of answers taken over from another run; empty: none
    std::vector<Blocker> problems;
};

[[nodiscard]] Run read_run(const std::vector<evidence::Record>& records,
                           const CriteriaSet& criteria);

}  // namespace ascertain::judge
