// The verdict: what the evidence allows to be said, why, and what would change it. Plain data; its
// JSON form is `ascertain.verdict/1`, data/schema/verdict.schema.json. Report and application read
// it; only the judge makes it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/observation.hpp"
#include "decide/evidence/records.hpp"

namespace ascertain::judge {

// What became of one check (docs/glossary.md). UNTESTED is the starting value and never a pass.
enum class Status {
    kUntested,
    kPassed,
    kFailed,      // bound not met, confirmed on another seed
    kFlaky,       // met and not met under the same question
    kMistrusted,  // bound met, but the evidence is weak: no proof, a control that did not fail, too
                  // few samples
    kUnsupported,
    kSkipped,
    kTimedOut,
    kDeviceLost,
    kCrashed,
    kHarnessError,
    kWaived,
};

// What a status does to the verdict. Ordered: the worst of the required set decides.
enum class Weight { kPass, kInconclusive, kFail };

enum class VerdictWord { kQualified, kInconclusive, kNotQualified };

struct Criterion {
    std::string id;      // "ops.numerics.rounding"
    Json bound;          // [{metric, at_most?, at_least?, equals?}], every one must be met
    std::string source;  // where the bound comes from
};

struct CheckVerdict {
    std::string id;
    std::string device;
    std::string question;
    Status status = Status::kUntested;
    Weight weight = Weight::kInconclusive;
    bool required = true;
    std::string reason;  // one sentence for people; never empty unless PASSED
    std::uint64_t seed = 0;
    std::string reproduce;
    double duration_s = 0.0;
    Observation observation;
    Criterion criterion;
    std::string proof;  // "control", "proof:<hash>", or "" when nothing shows that it can fail
    std::vector<std::string> records;  // ids of the evidence records this rests on
};

struct Blocker {
    std::string check;
    std::string reason;
    std::string remedy;
    std::vector<std::string> records;
};

struct Scope {
    std::string rung;
    std::vector<std::string> devices;
    double hours = 0.0;  // device-hours measured
    Json software = Json::object();
    std::string valid_until;  // ISO 8601; empty when nothing is qualified
    // "whole", or the part of the question that was put: then QUALIFIED speaks of these devices and
    // this part alone, never of a fleet.
    std::string part = "whole";

    [[nodiscard]] bool is_whole() const { return part == "whole"; }
};

struct NextRung {
    std::string rung;
    std::optional<double> device_hours;  // absent when unknown, with the reason in `settles`
    std::vector<std::string> settles;
};

struct QuestionVerdict {
    std::string status;  // the worst weight in words: PASS | INCONCLUSIVE | FAIL | NOT_ASKED
    std::string summary;
    std::vector<std::string> checks;
};

// A measured number beside what was foretold of it.
struct Comparison {
    evidence::Prediction prediction;
    std::optional<double> measured;
    bool inside = false;  // within [low, high]
    bool blocks = false;  // outside, and the prediction was calibrated
    std::string record;
};

struct Waiver {
    std::string check;
    std::string by;
    std::string until;  // ISO 8601 date; past it the waiver is void
    std::string why;
};

struct Verdict {
    VerdictWord verdict = VerdictWord::kInconclusive;
    Scope scope;
    NextRung next_rung;
    std::string profile;
    std::vector<Blocker> blockers;
    std::vector<Waiver> waivers;
    QuestionVerdict compute, endure, learn, finish, serve;
    std::vector<std::string> required;
    std::vector<CheckVerdict> checks;
    std::vector<Comparison> comparisons;
    Json context = Json::object();
    Json projection = Json();  // ascertain.projection/1 or null
};

[[nodiscard]] std::string_view name_of(Status status);
[[nodiscard]] std::string_view name_of(Weight weight);
[[nodiscard]] std::string_view name_of(VerdictWord word);

[[nodiscard]] Json to_json(const Verdict& verdict);

}  // namespace ascertain::judge
