// What a shell sees. Printed in `ascertain --help`, one black-box test each.
#pragma once

#include "base/error.hpp"
#include "decide/judge/verdict.hpp"

namespace ascertain::app {

inline constexpr int kExitDone = 0;  // QUALIFIED, or the asked thing was done
inline constexpr int kExitNotQualified = 1;
inline constexpr int kExitInconclusive = 2;
inline constexpr int kExitUsage = 64;        // bad command line
inline constexpr int kExitBadInput = 65;     // bad file; the message has file:line:column
inline constexpr int kExitUnavailable = 69;  // a device or plug-in that was named is not here
inline constexpr int kExitInternal = 70;     // a bug of ours; no verdict is valid
inline constexpr int kExitEvidence = 74;     // evidence cannot be written, or its hashes do not fit
inline constexpr int kExitInterrupted = 130;

[[nodiscard]] int exit_code(ErrorCode code);
[[nodiscard]] int exit_code(judge::VerdictWord verdict);

}  // namespace ascertain::app
