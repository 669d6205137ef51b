// The hidden control of the training requests: a gradient that is changed on purpose.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/training/trainer.hpp"

namespace ascertain::training {

enum class TamperKind { kScale, kElement, kRound, kFlip };

struct Tamper {
    TamperKind kind = TamperKind::kScale;
    double amount = 0.0;    // scale, element
    std::int64_t bits = 0;  // round: mantissa bits that are kept, 1 .. 23
    std::int64_t bit = 0;   // flip: 0 .. 31
};

// {"kind": "scale", "amount": 0.001} and so on, docs/protocol.md. Errors: kBadInput.
[[nodiscard]] Result<Tamper> tamper_from_json(const Json& document);

// `gradient` (fp32) changed.
[[nodiscard]] at::Tensor tampered(const at::Tensor& gradient, const Tamper& tamper);

// Changes the gradient of one parameter, the one with the largest norm when it is first called, and
// of the same parameter from then on.
[[nodiscard]] GradientHook tampering_hook(const Tamper& tamper);

}  // namespace ascertain::training
