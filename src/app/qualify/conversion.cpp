#include "app/qualify/conversion.hpp"

#include "app/names.hpp"
#include "measure/qualification/filter.hpp"

namespace ascertain::app {
namespace {

evidence::Role to_evidence(qualification::Role role) {
    switch (role) {
        case qualification::Role::kMeasure: return evidence::Role::kMeasure;
        case qualification::Role::kConfirm: return evidence::Role::kConfirm;
        case qualification::Role::kControl: return evidence::Role::kControl;
        case qualification::Role::kControlClean: return evidence::Role::kControlClean;
    }
    ASCERTAIN_ASSERT(false);
}

qualification::Role to_measure(evidence::Role role) {
    switch (role) {
        case evidence::Role::kMeasure: return qualification::Role::kMeasure;
        case evidence::Role::kConfirm: return qualification::Role::kConfirm;
        case evidence::Role::kControl: return qualification::Role::kControl;
        case evidence::Role::kControlClean: return qualification::Role::kControlClean;
    }
    ASCERTAIN_ASSERT(false);
}

evidence::Outcome to_evidence(qualification::Outcome outcome) {
    switch (outcome) {
        case qualification::Outcome::kCompleted: return evidence::Outcome::kCompleted;
        case qualification::Outcome::kUnsupported: return evidence::Outcome::kUnsupported;
        case qualification::Outcome::kNoReference: return evidence::Outcome::kNoReference;
        case qualification::Outcome::kDeviceError: return evidence::Outcome::kDeviceError;
        case qualification::Outcome::kTimedOut: return evidence::Outcome::kTimedOut;
        case qualification::Outcome::kCrashed: return evidence::Outcome::kCrashed;
        case qualification::Outcome::kDeviceLost: return evidence::Outcome::kDeviceLost;
        case qualification::Outcome::kSkipped: return evidence::Outcome::kSkipped;
        case qualification::Outcome::kHarnessError: return evidence::Outcome::kHarnessError;
    }
    ASCERTAIN_ASSERT(false);
}

qualification::Outcome to_measure(evidence::Outcome outcome) {
    switch (outcome) {
        case evidence::Outcome::kCompleted: return qualification::Outcome::kCompleted;
        case evidence::Outcome::kUnsupported: return qualification::Outcome::kUnsupported;
        case evidence::Outcome::kNoReference: return qualification::Outcome::kNoReference;
        case evidence::Outcome::kDeviceError: return qualification::Outcome::kDeviceError;
        case evidence::Outcome::kTimedOut: return qualification::Outcome::kTimedOut;
        case evidence::Outcome::kCrashed: return qualification::Outcome::kCrashed;
        case evidence::Outcome::kDeviceLost: return qualification::Outcome::kDeviceLost;
        case evidence::Outcome::kSkipped: return qualification::Outcome::kSkipped;
        case evidence::Outcome::kHarnessError: return qualification::Outcome::kHarnessError;
    }
    ASCERTAIN_ASSERT(false);
}

}  // namespace

evidence::Attempt to_evidence(const qualification::Attempt& attempt) {
    return {.check = attempt.check,
            .device = attempt.device,
            .role = to_evidence(attempt.role),
            .number = attempt.number,
            .seed = attempt.seed,
            .outcome = to_evidence(attempt.outcome),
            .category = attempt.category,
            .message = attempt.message,
            .observation = attempt.observation,
            .detail = attempt.detail,
            .reproduce = attempt.reproduce,
            .started_utc = attempt.started_utc,
            .duration_s = attempt.duration.count,
            .blobs = {}};
}

qualification::Attempt to_measure(const evidence::Attempt& attempt) {
    qualification::Attempt result;
    result.check = attempt.check;
    result.device = attempt.device;
    result.role = to_measure(attempt.role);
    result.number = attempt.number;
    result.seed = attempt.seed;
    result.outcome = to_measure(attempt.outcome);
    result.category = attempt.category;
    result.message = attempt.message;
    result.observation = attempt.observation;
    result.detail = attempt.detail;
    result.reproduce = attempt.reproduce;
    result.started_utc = attempt.started_utc;
    result.duration = {attempt.duration_s};
    return result;
}

evidence::PlannedCheck to_evidence(const qualification::Item& item) {
    return {.id = item.id,
            .device = item.device,
            .question = std::string(qualification::name_of(item.definition->question)),
            .family = std::string(item.definition->family),
            .required = item.required,
            .timing = item.definition->timing,
            .has_control = item.has_control,
            .estimate_s = item.estimate.count};
}

qualification::Opinion to_measure(const judge::Opinion& opinion) {
    switch (opinion.holds) {
        case judge::Holds::kMet: return qualification::Opinion::kGood;
        case judge::Holds::kNotMet: return qualification::Opinion::kSuspect;
        case judge::Holds::kWeak: return qualification::Opinion::kUnknown;
    }
    ASCERTAIN_ASSERT(false);
}

}  // namespace ascertain::app
