// From the live arguments of a call to a case.
#pragma once

#include <ATen/core/function_schema.h>
#include <ATen/core/ivalue.h>

#include <optional>
#include <string>

#include "base/result.hpp"
#include "worker/operators/case.hpp"
#include "worker/operators/recorder.hpp"

namespace ascertain::operators {

// What tells calls apart: operator, dtypes, shapes, strides, scalars; no values. Cheap.
[[nodiscard]] std::string call_key(const c10::FunctionSchema& schema,
                                   c10::ArrayRef<const c10::IValue> inputs);

// The case of a call, with the fills of its tensors. Long lists of parallel tensors (of optimizers)
// are cut to one of each shape, elementwise calls to some rows; the cuts are part of the case.
// Errors: kUnsupported with the reason for arguments that a case cannot describe (complex or sparse
// tensors, objects).
[[nodiscard]] Result<Case> describe_call(const c10::FunctionSchema& schema,
                                         c10::ArrayRef<const c10::IValue> inputs);

// The product that the call is, where it is one.
[[nodiscard]] std::optional<Gemm> gemm_of(const c10::FunctionSchema& schema,
                                          c10::ArrayRef<const c10::IValue> inputs);

// Whether the operator computes anything: views, allocations and reads of a scalar do not.
[[nodiscard]] bool computes(const c10::FunctionSchema& schema);

}  // namespace ascertain::operators
