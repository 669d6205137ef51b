// From what went wrong to the error kinds of docs/protocol.md.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::worker {

// What the exception in flight means: kUnsupported for an operator that the device does not offer,
// kEnvironment for memory that is not there, kDeviceUnavailable for an operator that raised,
// kInternal for the rest. Call it inside a catch block only. The message is without the backtrace.
[[nodiscard]] Error error_in_flight();

// The kind a core reads: kUnsupported "unsupported", kEnvironment "out_of_memory",
// kDeviceUnavailable "device_error", kUnknownValue "no_reference", kUsage, kBadInput and
// kOutOfRange "invalid_request", everything else "internal".
[[nodiscard]] std::string_view kind_of(ErrorCode code);

// {"kind": ..., "message": ...}
[[nodiscard]] Json failure_document(const Error& error);

// Runs `work` and turns what it throws into an Error; `where` is what the error names as its place.
template <typename Work>
[[nodiscard]] auto guarded(std::string_view where, Work work) -> Result<decltype(work())> {
    try {
        if constexpr (std::is_void_v<decltype(work())>) {
            work();
            return {};
        } else {
            return work();
        }
    } catch (...) {
        Error error = error_in_flight();
        error.where = where;
        return error;
    }
}

}  // namespace ascertain::worker
