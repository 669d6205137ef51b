// The part of failure.hpp that knows nothing of torch.
#include "worker/host/failure.hpp"

namespace ascertain::worker {

std::string_view kind_of(ErrorCode code) {
    switch (code) {
        case ErrorCode::kUnsupported: return "unsupported";
        case ErrorCode::kEnvironment: return "out_of_memory";
        case ErrorCode::kDeviceUnavailable: return "device_error";
        case ErrorCode::kUnknownValue: return "no_reference";
        case ErrorCode::kUsage:
        case ErrorCode::kBadInput:
        case ErrorCode::kOutOfRange: return "invalid_request";
        case ErrorCode::kInternal:
        case ErrorCode::kEvidence:
        case ErrorCode::kTimedOut:
        case ErrorCode::kInterrupted: return "internal";
    }
    return "internal";
}

Json failure_document(const Error& error) {
    return {{"kind", kind_of(error.code)}, {"message", error.text()}};
}

}  // namespace ascertain::worker
