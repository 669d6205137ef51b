// Evidence of a lower rung in a later run that asks the same of the same devices: what of it still
// holds, and what must be repeated, with why.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "decide/evidence/chain.hpp"
#include "decide/evidence/records.hpp"
#include "measure/qualification/attempt.hpp"
#include "measure/qualification/plan.hpp"

namespace ascertain::app {

struct LowerRung {
    std::string directory;
    std::string head;  // hash of its last record
    std::string rung;
    std::string profile;
    evidence::SessionContext context;  // of its last session
    std::string config_text;           // the model's config
    Json capture;                      // of the reference
    std::vector<evidence::Record> records;
};

// Reads a run directory and verifies it, records and blobs. Errors: kEvidence naming the first
// record that does not fit; kBadInput for a run that never fixed what it would ask.
[[nodiscard]] Result<LowerRung> read_lower_rung(const std::string& directory);

// What a later run must share with the lower rung before its answers can be asked for.
struct RunIdentity {
    std::string profile;
    Json campaign = Json::object();  // as in the context of a session
    std::string config_text;
    Json software = Json::object();
    std::string host;
    Json devices = Json::array();  // descriptions
};

// Why the questions would differ ("the profile was quick and is standard"); empty when they are the
// same, so that the lower rung's capture may be used again. Software and devices are not looked at.
[[nodiscard]] std::string other_question(const LowerRung& lower, const RunIdentity& now);

struct Reuse {
    // What goes into the new evidence, in the order of the old: ("prediction" | "attempt", body).
    // An attempt's detail says where it is from: reused {evidence_head, record}.
    std::vector<std::pair<std::string, Json>> records;
    std::vector<qualification::Attempt> attempts;
    std::vector<std::string> repeated;  // "ops.*, on npu:0: the driver was 24.1 and is 25.0"
    std::size_t checks = 0;             // planned checks that need not be asked again
};

// Pure. A device is the same when its host, its name there and all it says of itself are the same,
// whatever the campaign calls its node; software is the same when every version is. Skipped and
// broken attempts are not taken over.
[[nodiscard]] Reuse reuse(const LowerRung& lower, const RunIdentity& now,
                          const qualification::Plan& plan);

}  // namespace ascertain::app
