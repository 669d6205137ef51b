// What a proof found, as plain data and as `ascertain.proof/1` (data/schema/proof.schema.json).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "app/prove/catalogue.hpp"
#include "app/prove/exposure.hpp"
#include "app/prove/limits.hpp"
#include "base/json.hpp"

namespace ascertain::app {

// A check that failed on a chip.
struct FailedCheck {
    std::string check;
    std::string status;     // FAILED, FLAKY, TIMED_OUT …
    std::string criterion;  // id of what was not met; empty where the chip did not answer
    std::string reason;
};

// What became of one defect.
struct DefectResult {
    std::string id;
    std::string family;
    std::string plane;
    bool expressible = false;
    bool exercised = false;  // it fired at least once
    bool caught = false;
    std::vector<FailedCheck> caught_by;  // creditable checks that failed, the first one first
    std::string profile;                 // quick or standard: the last one it was shown to
    double seconds = 0.0;                // all it took, over both profiles
    double caught_after_s = 0.0;         // in the profile that caught it
    std::int64_t matched = 0;            // calls in which its conditions held
    std::int64_t fired = 0;              // calls in which it did something
    bool waiting = false;                // of a plane that no check looks at yet
    std::string miss_reason;             // empty when caught
};

// One healthy chip at one seed.
struct HealthyResult {
    std::string variant;
    std::uint64_t seed = 0;
    std::string profile;
    std::vector<FailedCheck> alarms;
    std::vector<std::string> broken;  // checks that our own code failed to ask
    double seconds = 0.0;
};

struct ProofResults {
    std::vector<DefectResult> defects;
    std::vector<HealthyResult> healthy;
    std::vector<DetectionLimit> limits;
    std::string checks_hash;
    std::string criteria_hash;
    double seconds = 0.0;
    std::string interrupted;  // how far it came; empty: to the end
    bool whole = false;       // everything in the shipped catalogue was asked for
};

// The checks that fail.
[[nodiscard]] std::vector<FailedCheck> failures_of(const Exposure& exposure);

// The result for a defect that was shown to the checks of `profile`; `earlier`: what quick found.
[[nodiscard]] DefectResult result_of(const CataloguedDefect& defect, const Exposure& exposure,
                                     const std::set<std::string>& creditable,
                                     const std::string& profile, const DefectResult* earlier);

// The result for a defect that cannot be armed, or that nothing here sets in motion.
[[nodiscard]] DefectResult not_shown(const CataloguedDefect& defect);

// The runs of one healthy variant. A run in which our own code failed to ask says nothing about the
// chip: it counts as broken alone.
struct HealthyTally {
    std::size_t runs = 0;
    std::size_t alarmed = 0;
    std::size_t broken = 0;
    double seconds = 0.0;  // of a run, on average, broken ones too
};
[[nodiscard]] std::map<std::string, HealthyTally> tallies_of(
    const std::vector<HealthyResult>& healthy);

// Upper bound, with 95 % confidence, on the share of runs that alarm when `alarms` of `runs` did
// (Clopper and Pearson, one-sided; docs/formulas.md#false-alarm-bound). 1 when there is no run.
[[nodiscard]] double alarm_bound(std::size_t alarms, std::size_t runs);

[[nodiscard]] Json to_json(const DefectResult& result);
[[nodiscard]] Json to_json(const HealthyResult& result);
[[nodiscard]] Json to_json(const ProofResults& results);
// The reverse of the first two; kEvidence when a field is missing or of another kind.
[[nodiscard]] Result<DefectResult> defect_result_from_json(const Json& body, std::string_view name);
[[nodiscard]] Result<HealthyResult> healthy_result_from_json(const Json& body,
                                                             std::string_view name);

}  // namespace ascertain::app
