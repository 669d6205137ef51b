// What kind of arithmetic an operator is, and hence how its outputs can be judged.
// docs/formulas.md#operator-rules says why each rule never condemns a legal arithmetic.
#pragma once

#include <c10/core/ScalarType.h>

#include <cstdint>
#include <string_view>

#include "worker/host/torch.hpp"

namespace ascertain::operators {

enum class Family {
    kMove,               // copies elements: every bit is known
    kElementwise,        // one result per element, rounded once
    kReduction,          // sums and norms: accumulated wide, rounded once
    kMean,               // sum rounded, then divided: two roundings are legal
    kGemm,               // matrix products: accumulated wide, rounded once
    kAttention,          // probabilities may be rounded to the inputs' dtype before they meet V
    kAttentionBackward,  // so may probabilities and score gradients
    kScatter,            // sums that may be accumulated in the output's dtype
    kLoss,               // log-probabilities may be rounded before they are averaged
    kNormalisation,      // softmax, layer and RMS norm: wide inside, rounded once
    kOptimizer,          // elementwise update of several tensors
    kRandom,             // draws numbers: nothing to compare with
    kOther,              // not in the table: judged as rounded once
};

// By the operator's name without namespace and overload; a trailing "_" (in place) does not matter.
[[nodiscard]] Family family_of(std::string_view op);
[[nodiscard]] std::string_view name_of(Family family);

// Whether results at one place of the first dimension depend on that place of the inputs alone, so
// that a sample of rows can be judged by itself.
[[nodiscard]] bool is_rowwise(Family family);

enum class Rule {
    kExact,       // exact_mismatches is 0
    kRounding,    // share_not_correctly_rounded
    kErrorRatio,  // error_ratio
    kBounded,     // bound_ratio: each error over what any legal arithmetic may err there
};
[[nodiscard]] std::string_view name_of(Rule rule);
// The metric that the rule judges.
[[nodiscard]] std::string_view metric_of(Rule rule);

// Below this many elements a share says nothing: one element more or less decides.
inline constexpr std::int64_t kShareElementsMin = 4096;

// The rule for one output of an operator.
[[nodiscard]] Rule rule_for(Family family, c10::ScalarType output, std::int64_t elements);

}  // namespace ascertain::operators
