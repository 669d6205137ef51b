// What went wrong, as a value. Libraries never print and never exit: they return an Error, and the
// application turns its code into an exit code and its message into one line on stderr.
#pragma once

#include <string>
#include <string_view>

namespace ascertain {

// Closed set. Each value says what a caller can do about it.
enum class ErrorCode {
    kUsage,              // the command line asks for something that does not exist; exit 64
    kBadInput,           // a file or value is malformed, contradictory or absurd; exit 65
    kDeviceUnavailable,  // a device or plug-in was named and is not here; exit 69
    kInternal,           // our own mistake; no verdict is valid; exit 70
    kEvidence,           // evidence cannot be written, or does not fit its hashes; exit 74
    kUnsupported,        // well-formed, but outside what this build or this device offers
    kOutOfRange,         // an argument lies outside the range written beside it
    kUnknownValue,       // a number that nobody measured or published is needed here
    kEnvironment,        // the machine failed us: no memory, no disk, no process
    kTimedOut,           // a deadline passed
    kInterrupted,        // the user asked us to stop; exit 130
};

// `message` is what went wrong and how to mend it; `where` is "file:line:column", a field path such
// as "config.json: num_attention_heads", or empty.
struct Error {
    ErrorCode code = ErrorCode::kInternal;
    std::string message;
    std::string where;

    // "where: message", or the message alone.
    [[nodiscard]] std::string text() const {
        return where.empty() ? message : where + ": " + message;
    }
};

[[nodiscard]] std::string_view name_of(ErrorCode code);

}  // namespace ascertain
