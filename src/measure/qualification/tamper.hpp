// How a hidden control is made: the request asks the worker to corrupt the device's answer
// (docs/protocol.md), or the answer is corrupted here, on its way to the check.
#pragma once

#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::qualification {

// {"kind": "answer", "patch": [...]} applies an RFC 6902 patch to the result;
// {"kind": "drop_operator"} removes the first operator that computes from result.operators, in all
// its phases. Every other kind is the worker's.
[[nodiscard]] bool is_ours(const Json& tamper);

// `result` corrupted as `tamper`, which is ours, says. Error kInternal when there is nothing to
// corrupt, for then the control would be clean.
[[nodiscard]] Result<Json> corrupted(const Json& tamper, Json result);

// True for requests whose params may carry a tamper.
[[nodiscard]] bool is_measuring(std::string_view request);

}  // namespace ascertain::qualification
