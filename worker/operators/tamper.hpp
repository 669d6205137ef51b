// The hidden control: a device's answer, corrupted on purpose before it is judged.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/operators/inputs.hpp"

namespace ascertain::operators {

enum class TamperKind { kScale, kElement, kRound, kFlip, kNondeterministic, kSlow };

struct Tamper {
    TamperKind kind = TamperKind::kScale;
    double amount = 0.0;   // scale, element: relative change
    int bits = 0;          // round: explicit bits of the mantissa that stay, 0 to 51
    int bit = 0;           // flip: counted from the lowest
    double seconds = 0.0;  // slow: 0 to 10
};

// `params.tamper`, or nothing when it is absent. Errors: kBadInput naming the member.
[[nodiscard]] Result<std::optional<Tamper>> tamper_from(const Json& params);

// Changes the outputs, which are on the CPU, as docs/protocol.md says for each kind; the two kinds
// that belong to one request only (nondeterministic, slow) change one element and nothing.
void corrupt(const Tamper& tamper, std::vector<Output>& outputs);

}  // namespace ascertain::operators
