// Detection limits: how small a fault of each kind the operator checks of the quick profile still
// see. docs/detection.md#limits.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "app/prove/bench.hpp"

namespace ascertain::app {

// A kind of fault whose size is one number.
struct FaultKind {
    std::string_view kind;       // of the defect language
    std::string_view operators;  // TOML list: where it is planted
    std::string_view when;       // TOML lines, "{}" stands for the size; may be empty
    std::string_view does;       // TOML lines after `kind`, likewise
    std::string_view size;       // what the number is, in words
    double gross;                // a size that any check should see
    double fine;                 // one that need not be seen
    bool whole = false;          // sizes are whole numbers; else they go by factors
    bool one_minus = false;      // the language wants 1 + size
};

[[nodiscard]] std::span<const FaultKind> fault_kinds();

// The defect file that plants `kind` at `size`.
[[nodiscard]] std::string document_of(const FaultKind& kind, double size);

struct DetectionLimit {
    std::string kind;
    std::string operators;
    std::string size;
    std::optional<double> seen;      // the finest size that was seen; empty: not even the gross one
    std::optional<double> not_seen;  // the grossest that was not; empty: even the fine one is
    std::string check;               // that saw the finest
    std::int64_t chips = 0;          // that were shown
    double seconds = 0.0;
};

// The finest size between `gross` and `fine` that `seen` says yes to, in at most `steps` questions
// after the two ends: the middle is halved, of logarithms unless `whole`. `seen` gives nothing when
// it was interrupted. Sizes are taken to be seen the better the grosser they are.
struct Bisection {
    std::optional<double> seen;
    std::optional<double> not_seen;
    bool interrupted = false;
};
[[nodiscard]] Bisection bisect(double gross, double fine, bool whole, int steps,
                               const std::function<std::optional<bool>(double)>& seen);

// Error: of expose; kInterrupted.
[[nodiscard]] Result<DetectionLimit> find_limit(const ProofBench& bench, const Baseline& baseline,
                                                std::uint64_t seed, const FaultKind& kind);

[[nodiscard]] Json to_json(const DetectionLimit& limit);

}  // namespace ascertain::app
