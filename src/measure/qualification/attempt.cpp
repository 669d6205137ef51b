#include "measure/qualification/attempt.hpp"

#include <fmt/format.h>

#include "base/assert.hpp"
#include "base/random.hpp"

namespace ascertain::qualification {

std::string_view name_of(Role role) {
    switch (role) {
        case Role::kMeasure: return "measure";
        case Role::kConfirm: return "confirm";
        case Role::kControl: return "control";
        case Role::kControlClean: return "control_clean";
    }
    ASCERTAIN_ASSERT(false);
    return {};
}

std::string_view name_of(Outcome outcome) {
    switch (outcome) {
        case Outcome::kCompleted: return "completed";
        case Outcome::kUnsupported: return "unsupported";
        case Outcome::kNoReference: return "no_reference";
        case Outcome::kDeviceError: return "device_error";
        case Outcome::kTimedOut: return "timed_out";
        case Outcome::kCrashed: return "crashed";
        case Outcome::kDeviceLost: return "device_lost";
        case Outcome::kSkipped: return "skipped";
        case Outcome::kHarnessError: return "harness_error";
    }
    ASCERTAIN_ASSERT(false);
    return {};
}

bool broke(const Attempt& attempt) {
    return attempt.outcome == Outcome::kTimedOut || attempt.outcome == Outcome::kCrashed ||
           attempt.outcome == Outcome::kDeviceLost;
}

std::uint64_t attempt_seed(std::uint64_t run_seed, std::string_view check, Role role, int number) {
    const std::string_view series =
        role == Role::kControlClean ? name_of(Role::kControl) : name_of(role);
    // FNV-1a (docs: base/text.hpp short_hash) of what tells this attempt from every other.
    std::uint64_t stream = 0xcbf29ce484222325ULL;
    for (const char c : fmt::format("{}/{}/{}", check, series, number)) {
        stream = (stream ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    constexpr int kBitsAbove53 = 64 - 53;
    return Random(run_seed, stream).next_u64() >> kBitsAbove53;
}

}  // namespace ascertain::qualification
