// Cases for the tests of this folder.
#pragma once

#include <string>
#include <vector>

#include "worker/operators/case.hpp"

namespace ascertain::operators::testing {

// A contiguous tensor of standard normal values in memory of its own.
inline TensorSpec tensor(std::vector<std::int64_t> shape, c10::ScalarType dtype,
                         std::int64_t storage) {
    TensorSpec spec;
    spec.dtype = dtype;
    spec.shape = std::move(shape);
    spec.storage = storage;
    spec.strides.assign(spec.shape.size(), 1);
    for (std::size_t i = spec.shape.size(); i-- > 1;) {
        spec.strides[i - 1] = spec.strides[i] * spec.shape[i];
    }
    spec.fill.low = -6.0;
    spec.fill.high = 6.0;
    return spec;
}

inline Case call_of(std::string op, std::vector<Argument> arguments) {
    Case made;
    made.op = std::move(op);
    made.phase = "forward";
    made.arguments = std::move(arguments);
    return made;
}

inline Case matrix_product(std::int64_t m, std::int64_t k, std::int64_t n, c10::ScalarType dtype) {
    return call_of("aten::mm", {tensor({m, k}, dtype, 0), tensor({k, n}, dtype, 1)});
}

}  // namespace ascertain::operators::testing
