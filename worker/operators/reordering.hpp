// How far two orders of the same additions may lie apart, for operators whose order a device
// declares to be any: docs/formulas.md#reordering.
#pragma once

#include <vector>

#include "worker/operators/inputs.hpp"

namespace ascertain::operators {

// Whether the operator adds at indices, and the device declares that these additions come in any
// order.
[[nodiscard]] bool may_come_in_any_order(const Case& operator_case);

// Per output of the call and element of it, fp64: what two runs may differ by. `host` is the stack
// on the CPU. Throws what torch throws where fp64 is not possible. Cost: two runs in fp64.
[[nodiscard]] std::vector<at::Tensor> reordering_bounds(const Case& operator_case,
                                                        const c10::OperatorHandle& op,
                                                        const Stack& host);

// The largest difference between two runs over its bound; 0 where all bits agree, infinite where
// one run alone is finite or the bound is 0.
[[nodiscard]] double reordering_ratio(const std::vector<at::Tensor>& bounds,
                                      const std::vector<at::Tensor>& one,
                                      const std::vector<at::Tensor>& other);

}  // namespace ascertain::operators
