// From the values of a tensor to a description of them, and back to values like them.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

#include "worker/operators/case.hpp"

namespace ascertain::operators {

// What family and scale the values of `tensor`, on any device, have. Looks at a sample of at most
// 65,536 elements where the tensor is larger and floating, at all of them otherwise. Values that
// are not finite are left out. docs/formulas.md#fills.
[[nodiscard]] Fill infer_fill(const at::Tensor& tensor);

// Values of that kind on the CPU, contiguous, of that shape and dtype: a pure function of the
// arguments. `stream` tells the tensors of one case apart. Beyond 1,048,573 elements (a prime, so
// that rows differ) draws repeat, which is what makes large cases cheap.
[[nodiscard]] at::Tensor make_values(const Fill& fill, at::IntArrayRef shape, at::ScalarType dtype,
                                     std::uint64_t seed, std::uint64_t stream);

// Whether values depend on where rows begin, so that they must be made in the shape of the view.
[[nodiscard]] bool is_structured(const Fill& fill);

}  // namespace ascertain::operators
