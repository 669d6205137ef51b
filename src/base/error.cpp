#include "base/error.hpp"

#include "base/assert.hpp"

namespace ascertain {

std::string_view name_of(ErrorCode code) {
    switch (code) {
        case ErrorCode::kUsage: return "usage";
        case ErrorCode::kBadInput: return "bad_input";
        case ErrorCode::kDeviceUnavailable: return "device_unavailable";
        case ErrorCode::kInternal: return "internal";
        case ErrorCode::kEvidence: return "evidence";
        case ErrorCode::kUnsupported: return "unsupported";
        case ErrorCode::kOutOfRange: return "out_of_range";
        case ErrorCode::kUnknownValue: return "unknown_value";
        case ErrorCode::kEnvironment: return "environment";
        case ErrorCode::kTimedOut: return "timed_out";
        case ErrorCode::kInterrupted: return "interrupted";
    }
    ASCERTAIN_ASSERT(false);
}

}  // namespace ascertain
