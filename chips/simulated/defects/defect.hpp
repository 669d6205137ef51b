// One planted fault of the simulated chip: where it sits, when it acts, what it does.
// docs/defects.md says what each field means.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"

namespace ascertain::simulated::defects {

enum class Phase { kAny, kForward, kBackward };
enum class Layout { kAny, kContiguous, kTransposed };

enum class Effect {
    kScale,
    kFlipBit,
    kRoundPartialSums,
    kNondeterministicOrder,
    kDropTail,
    kZeroOutput,
    kStaleOutput,
    kShiftElements,
    kSaturate,
    kRaise,
    kFallBack,
    kSleep,
    kHang,
    kCrash,
};

struct Where {
    std::string op;                  // name without namespace and overload; '*' is a wildcard
    std::vector<std::string> names;  // the operators that `op` matches
    Phase phase = Phase::kAny;
    std::string dtype;  // of the first floating tensor; "": any
    Layout layout = Layout::kAny;
    // Of the first floating tensor with dimensions that the operator reduces over: the first
    // factor of a matrix product.
    std::int64_t k_at_least = 0;
    std::int64_t last_dim_multiple_of = 1;
    std::int64_t elements_at_least = 0;
};

struct When {
    std::int64_t after_calls = 0;  // so many matching calls go by first
    std::int64_t every = 1;        // then each so-manieth
    std::int64_t times = 0;        // at most so often; 0: no limit
    double probability = 1.0;      // of those, drawn from `seed` and the call's number
    std::uint64_t seed = 0;
};

struct Does {
    Effect effect = Effect::kScale;
    double factor = 1.0;        // scale
    double limit = 0.0;         // saturate
    double duration_s = 0.0;    // sleep
    std::int64_t bit = 0;       // flip_bit: 0 is the lowest
    std::int64_t element = -1;  // flip_bit; -1: drawn from the seed
    std::int64_t elements = 0;  // drop_tail, shift_elements
    std::int64_t chunk = 0;     // round_partial_sums, nondeterministic_order
    std::string message;        // raise
};

struct Defect {
    std::string id;
    std::string summary;
    std::string source;
    Where where;
    When when;
    Does does;
};

// The defects of a document. `path` is what errors call it; `operators` are the names that exist.
// Errors: kBadInput, with path:line:column, for anything that does not read well, an operator that
// is not there, an effect that the operator cannot have.
[[nodiscard]] Result<std::vector<Defect>> read_defects(std::string_view text,
                                                       const std::string& path,
                                                       const std::vector<std::string>& operators);

}  // namespace ascertain::simulated::defects
