// A check is one question put to devices, as a small pure state machine. It says what to ask next,
// or that it is done; it never waits, times, retries, seeds, corrupts or judges. The runner in
// qualification does all that, so that one interface serves a single GEMM, a tournament over links
// and a day of soak, and every check can be tested with canned answers.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/json.hpp"
#include "base/observation.hpp"
#include "base/units.hpp"

namespace ascertain::checks {

// The five questions of a verdict (docs/glossary.md).
enum class Question { kCompute, kEndure, kLearn, kFinish, kServe };

// How much time a qualification may take; larger profiles ask more and prove more.
enum class Profile { kQuick, kStandard, kFull };

// What a check is asked about: an operator with its cases, or nothing beyond the device itself.
struct Subject {
    std::string
        name;     // last part of the check's id, such as "mm"; empty when the check has no subject
    Json params;  // what the check needs to know of it (operator cases, an architecture)
};

// A device as the check sees it: its name ("npu:3") and what `describe` answered.
struct DeviceInfo {
    std::string name;
    Json description;
};

// Everything a check may depend on, fixed for one attempt. `devices` are those under test;
// index `devices.size()` addresses the reference.
struct Context {
    const Subject& subject;
    std::span<const DeviceInfo> devices;
    std::uint64_t seed = 0;  // below 2^53; another attempt, another seed
    Profile profile = Profile::kQuick;
    Seconds budget;  // about how long the whole attempt should take; none: the least that can fail

    [[nodiscard]] std::size_t reference() const { return devices.size(); }
};

// One protocol request to every member of a group (docs/protocol.md). Group requests carry the
// member's rank and the group's size, which the runner adds as params.rank and params.ranks.
struct Request {
    std::string kind;
    Json params;
    Seconds deadline;
    std::vector<std::size_t> members;  // indices into Context::devices, or Context::reference()
};

enum class AnswerKind { kResult, kError, kTimedOut, kCrashed };

// What one member answered to request number `request` of the last Ask. A check whose definition
// does not set `sees_failures` only ever gets kResult and kError: the runner deals with the rest.
struct Answer {
    std::size_t request = 0;
    std::size_t member = 0;
    AnswerKind kind = AnswerKind::kResult;
    Json result;             // kResult: the worker's result
    std::string error_kind;  // kError: see docs/protocol.md
    std::string message;     // anything but kResult: what happened, for people
    Seconds duration;
};

// Ask all these at once; `state` comes back with the answers.
struct Ask {
    Json state;
    std::vector<Request> requests;
};

// The question is answered: numbers, and what the report may show beside them.
struct Done {
    Observation observation;
    Json detail = Json::object();
};

// The question cannot be answered on this device: `unsupported` when the device says so itself,
// else the device or our own code failed while answering.
struct GiveUp {
    enum class Reason { kUnsupported, kNoReference, kDeviceError, kOutOfMemory, kHarnessError };
    Reason reason = Reason::kHarnessError;
    std::string message;
};

using Step = std::variant<Ask, Done, GiveUp>;

// The check itself: from its state and the answers to its last Ask to its next step. First call: a
// null state and no answers. Pure: the same arguments give the same step.
using StepFunction = Step (*)(const Context& context, const Json& state,
                              std::span<const Answer> answers);

// What the subjects of a check are.
enum class Subjects {
    kNone,
    kOperators,
    kParts,  // the same question again and again, for as long as it was asked for
};

// Whether a server (an address where a device's name stands) is asked. It only says what it says of
// text.
enum class Servers { kNot, kToo, kAlone };

// One row of the table in all.cpp.
struct Definition {
    std::string_view id;    // "ops.numerics"; with a subject "ops.numerics.mm"
    std::string_view asks;  // the question in one sentence, for `explain` and the report
    Question question = Question::kCompute;
    std::string_view family;  // controls run once per family, device and profile
    Subjects subjects = Subjects::kNone;
    Profile profile_min = Profile::kQuick;  // smallest profile that runs it
    bool required = true;                   // without a sound pass there is no QUALIFIED
    bool timing = false;         // judged on time: sporadic failure is noise, not FLAKY numerics
    bool sees_failures = false;  // wants kTimedOut and kCrashed answers
    bool together = false;       // asked of all ranks at once, not of each device by itself
    std::size_t ranks_min = 1;   // of a check that is asked together
    bool about_module = false;   // about a module the user brought: asked only where there is one
    std::string_view device_type = {};  // that alone has what it asks about; empty: all have
    Servers servers = Servers::kNot;
    std::string_view tamper;  // JSON of the hidden control's corruption; empty: it has no control
    Seconds cost;             // rough time of one attempt at quick on one device, for the estimate
    StepFunction step = nullptr;
};

// Every check there is, in the order in which a qualification runs them.
[[nodiscard]] std::span<const Definition> all();

// The definition whose id is `id` or a prefix of it up to a dot ("ops.numerics.mm" finds
// "ops.numerics"), or null.
[[nodiscard]] const Definition* find(std::string_view id);

// The GiveUp that a worker's error answer stands for (docs/protocol.md, error kinds).
[[nodiscard]] GiveUp give_up(const Answer& answer);

}  // namespace ascertain::checks
