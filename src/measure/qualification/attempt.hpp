// One run of one check, as it goes to evidence: decide/evidence/records.hpp has the same nouns, and
// app carries one to the other.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/observation.hpp"
#include "base/units.hpp"

namespace ascertain::qualification {

enum class Role {
    kMeasure,
    kConfirm,       // the same question with another seed
    kControl,       // the device's answers corrupted on purpose: must be judged failing
    kControlClean,  // the control's twin with the same seed and nothing corrupted: must pass
};

enum class Outcome {
    kCompleted,    // there is an observation
    kUnsupported,  // the device says it does not offer this
    kNoReference,  // ran, but nothing trustworthy to compare with
    kDeviceError,  // the operator raised
    kTimedOut,
    kCrashed,       // the worker died
    kDeviceLost,    // it had answered before, and no worker could be started again
    kSkipped,       // never started; `category` says why
    kHarnessError,  // our fault, or the reference's
};

// What the criteria say of an observation: decide's business, lent to measure as a callback.
enum class Opinion {
    kGood,     // every bound is met
    kSuspect,  // a bound is not met
    kUnknown,  // nothing can be said
};

struct Attempt {
    std::string check;
    std::string device;
    Role role = Role::kMeasure;
    int number = 1;  // 1 is the first try in its role
    std::uint64_t seed = 0;
    Outcome outcome = Outcome::kSkipped;
    // Of a skip: filtered | budget | no_case | resources | device_absent | device_lost |
    // plug_in_missing | version.
    std::string category{};
    std::string message{};  // for people; empty when completed
    Observation observation{};
    Json detail = Json::object();
    std::string reproduce{};
    std::string started_utc{};
    Seconds duration{};
    std::string stderr_text{};  // what a worker that died had printed

    // For deciding what comes next; not evidence.
    Opinion opinion = Opinion::kUnknown;  // of a completed one
    bool reference_failed = false;        // kHarnessError by the reference: worth another try
    bool earlier = false;                 // of an earlier session that is being resumed
};

[[nodiscard]] std::string_view name_of(Role role);
[[nodiscard]] std::string_view name_of(Outcome outcome);

// True for kTimedOut, kCrashed, kDeviceLost: the device did not answer.
[[nodiscard]] bool broke(const Attempt& attempt);

// The seed of an attempt: a pure function of the run's seed, the check, the role and the number,
// below 2^53. A control and its clean twin share one; devices share all, so that their answers can
// be compared bit by bit.
[[nodiscard]] std::uint64_t attempt_seed(std::uint64_t run_seed, std::string_view check, Role role,
                                         int number);

}  // namespace ascertain::qualification
