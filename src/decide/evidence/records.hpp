// The bodies of evidence records: what was decided upon, foretold, asked, answered. Plain data, its
// JSON form in data/schema/record.schema.json. Everything the judge and the report know, they know
// from these.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/observation.hpp"
#include "base/result.hpp"

namespace ascertain::evidence {

// Kind "context": the first record of every session of a run.
struct SessionContext {
    std::string tool_version;
    std::string commit;
    std::vector<std::string> arguments;  // argv of the command
    std::string host;
    std::string system;              // kernel, distribution, processor
    std::string time_utc;            // ISO 8601
    Json campaign = Json::object();  // the campaign as read, and the hash of its text
    Json devices = Json::array();    // what `describe` answered, one entry per device
    Json software = Json::object();  // name → version
};

// Kind "required": fixed and written before the first check runs.
struct PlannedCheck {
    std::string id;        // "ops.numerics.mm"
    std::string device;    // "cpu", or "cpu,npu:0" for a group
    std::string question;  // compute | endure | learn | finish | serve
    std::string family;
    bool required = true;
    bool timing = false;
    bool has_control = false;
    double estimate_s = 0.0;
};
struct RequiredSet {
    std::string profile;  // quick | standard | full
    std::string rung;     // device | node | domain | eighth | fleet
    std::uint64_t seed = 0;
    std::vector<PlannedCheck> checks;   // required and optional, in order
    std::vector<std::string> left_out;  // "id: why" for everything filtered away or sampled out
    // What the set is about: "whole", or the part that a command asks alone: "compute", "learn",
    // "serve" …; a record without it is about the whole.
    std::string part = "whole";
};

// Kind "prediction": foretold before the measurement it is about. `check` and `metric` name what
// will be measured ("" when it is a projection nobody measures on this rung).
struct Prediction {
    std::string id;  // "ops.speed.mm.seconds_median"
    std::string check;
    std::string device;
    std::string metric;
    double value = 0.0;
    double low = 0.0;  // 80 % interval
    double high = 0.0;
    std::string unit;
    bool calibrated = false;  // rests on measurements of this device; only then does a miss block
    Json basis = Json::array();  // [{name, value, unit, kind, source}]
};

// Kind "attempt": one run of one check. The same check has several: measured, confirmed on another
// seed, and its hidden controls.
enum class Role { kMeasure, kConfirm, kControl, kControlClean };
enum class Outcome {
    kCompleted,    // there is an observation
    kUnsupported,  // the device says it does not offer this
    kNoReference,  // ran, but nothing trustworthy to compare with
    kDeviceError,  // the operator raised
    kTimedOut,
    kCrashed,       // the worker died
    kDeviceLost,    // no worker could be started again
    kSkipped,       // never started; `category` says why
    kHarnessError,  // our fault
};
struct Attempt {
    std::string check;
    std::string device;
    Role role = Role::kMeasure;
    int number = 1;  // 1 is the first try in its role
    std::uint64_t seed = 0;
    Outcome outcome = Outcome::kSkipped;
    std::string
        category;  // of a skip: device_absent | filtered | budget | interrupted | resources | …
    std::string message;  // for people; empty when completed
    Observation observation;
    Json detail = Json::object();  // what the report may draw: points, histograms, curves
    std::string reproduce;         // the shortest command that runs exactly this again
    std::string started_utc;
    double duration_s = 0.0;
    std::vector<std::string> blobs;  // names of blobs that belong to it (stderr, raw samples)
};

// Kind "plan" and "projection": the simulator's documents (ascertain.plan/1,
// ascertain.projection/1) as they are, under the key "document".

// Kind "interrupted" and "finished": how a session ended.
struct SessionEnd {
    bool complete = false;
    std::string reason;
    double duration_s = 0.0;
};

[[nodiscard]] std::string_view name_of(Role role);
[[nodiscard]] std::string_view name_of(Outcome outcome);

[[nodiscard]] Json to_json(const SessionContext& value);
[[nodiscard]] Json to_json(const RequiredSet& value);
[[nodiscard]] Json to_json(const Prediction& value);
[[nodiscard]] Json to_json(const Attempt& value);
[[nodiscard]] Json to_json(const SessionEnd& value);

// The reverse; a missing or mistyped field is kEvidence with the field's name. `name` is the
// record.
[[nodiscard]] Result<SessionContext> context_from_json(const Json& body, std::string_view name);
[[nodiscard]] Result<RequiredSet> required_from_json(const Json& body, std::string_view name);
[[nodiscard]] Result<Prediction> prediction_from_json(const Json& body, std::string_view name);
[[nodiscard]] Result<Attempt> attempt_from_json(const Json& body, std::string_view name);
[[nodiscard]] Result<SessionEnd> session_end_from_json(const Json& body, std::string_view name);

}  // namespace ascertain::evidence
