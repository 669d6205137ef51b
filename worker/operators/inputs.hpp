// The arguments of a case as torch takes them.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "worker/operators/case.hpp"

namespace ascertain::operators {

// The operator that a case calls. Errors: kUnsupported when this torch does not have it, kBadInput
// when the arguments do not fit its schema (where = "case: arguments[i]").
[[nodiscard]] Result<c10::OperatorHandle> find_operator(const Case& operator_case);

// Bytes that one set of the inputs takes, as described, on its device.
[[nodiscard]] double input_bytes(const Case& operator_case);

// The contents of all storages of a case, flat, on the CPU: a pure function of case and seed.
struct Inputs {
    std::vector<at::Tensor> storages;  // index: TensorSpec::storage, undefined where unused
};
[[nodiscard]] Inputs make_inputs(const Case& operator_case, std::uint64_t seed);

// 64-bit hash of everything in `inputs`, as 16 hexadecimal digits.
[[nodiscard]] std::string hash_of(const Inputs& inputs);
[[nodiscard]] std::string hash_of(const std::vector<at::Tensor>& tensors);

using Stack = std::vector<c10::IValue>;

// The stack of one call on `device`, with strides, offsets and aliasing as captured. It shares no
// memory with `inputs`: a call may write.
[[nodiscard]] Stack assemble(const Case& operator_case, const c10::FunctionSchema& schema,
                             const Inputs& inputs, at::Device device);
// The same on the CPU, on the memory of `inputs` itself: to be read only.
[[nodiscard]] Stack assemble_shared(const Case& operator_case, const c10::FunctionSchema& schema,
                                    const Inputs& inputs);

// What a call gave.
struct Output {
    std::string name;
    at::Tensor value;
};

// Results that are tensors, then the arguments that were written. Undefined tensors are left out;
// results that are views of written arguments are those arguments. `before` is the stack as it went
// in, `after` what the call left on it.
[[nodiscard]] std::vector<Output> outputs_of(const Case& operator_case,
                                             const c10::FunctionSchema& schema, const Stack& before,
                                             const Stack& after);

// Calls the operator, without autograd, and collects what it gave. Throws what torch throws.
[[nodiscard]] std::vector<Output> call(const Case& operator_case, const c10::OperatorHandle& op,
                                       const Stack& stack);

}  // namespace ascertain::operators
