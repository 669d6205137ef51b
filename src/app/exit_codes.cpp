#include "app/exit_codes.hpp"

#include "base/assert.hpp"

namespace ascertain::app {

int exit_code(ErrorCode code) {
    switch (code) {
        case ErrorCode::kUsage: return kExitUsage;
        case ErrorCode::kBadInput:
        case ErrorCode::kOutOfRange:
        case ErrorCode::kUnsupported: return kExitBadInput;
        case ErrorCode::kDeviceUnavailable: return kExitUnavailable;
        case ErrorCode::kEvidence: return kExitEvidence;
        case ErrorCode::kInterrupted: return kExitInterrupted;
        case ErrorCode::kUnknownValue:
        case ErrorCode::kTimedOut: return kExitInconclusive;
        case ErrorCode::kInternal:
        case ErrorCode::kEnvironment: return kExitInternal;
    }
    ASCERTAIN_ASSERT(false);
}

int exit_code(judge::VerdictWord verdict) {
    switch (verdict) {
        case judge::VerdictWord::kQualified: return kExitDone;
        case judge::VerdictWord::kNotQualified: return kExitNotQualified;
        case judge::VerdictWord::kInconclusive: return kExitInconclusive;
    }
    ASCERTAIN_ASSERT(false);
}

}  // namespace ascertain::app
