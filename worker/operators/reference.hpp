// What an operator should have given: fp64 on the CPU, and how far legal arithmetic may stray from
// it. docs/formulas.md#operator-references.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "worker/operators/family.hpp"
#include "worker/operators/inputs.hpp"

namespace ascertain::operators {

// One entry per output, in the order of outputs_of.
struct Reference {
    std::vector<at::Tensor> values;  // fp64, or the integer or bool dtype of the output
    // Intermediate roundings that are inherent in the family's fast kernels, where there are any:
    // per element the size of error that they can make, fp64; undefined where there are none.
    std::vector<at::Tensor> spread;
    // Root mean square error of an emulated kernel with those roundings; 0 where there are none.
    std::vector<double> spread_rms;
    // Error of plain fp32 accumulation in eight lanes, where the whole input is summed up; else 0.
    double lanes_error = 0.0;
    std::string_view kind;  // "fp64": the operator itself in fp64; "composite": written out by us
};

// Lanes of the plainest fp32 summation that anybody ships: one vector register.
inline constexpr std::int64_t kLanes = 8;

// The stack with floating tensors and dtype arguments in fp64.
[[nodiscard]] Stack lifted(const c10::FunctionSchema& schema, const Stack& stack);

// The stack with memory of its own, for a call that may write.
[[nodiscard]] Stack own_copy(const Stack& stack);

// The lifted stack with every floating element changed by a random relative 2^-24: what the
// operator makes of that is the size of error that any fp32 arithmetic is entitled to.
[[nodiscard]] Stack perturbed(const Stack& lifted_stack, std::uint64_t seed);

// The reference of one call. `stack` is lifted; `working` is the dtype that the device's kernel
// works in (of its first floating tensor). Throws what torch throws where fp64 is not possible.
[[nodiscard]] Reference reference_of(const Case& operator_case, const c10::OperatorHandle& op,
                                     const Stack& stack, c10::ScalarType working);

// Whether index outputs (of topk, sort, argmax ...) point at the same values: how many do not. Both
// int64 of the same shape, `values` the tensor they point into along `dimension`; `distinct` asks
// that no place comes twice.
[[nodiscard]] std::int64_t index_mismatches(const at::Tensor& values, std::int64_t dimension,
                                            const at::Tensor& got, const at::Tensor& expected,
                                            bool distinct);

}  // namespace ascertain::operators
