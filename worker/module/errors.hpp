// How far a pass of the user's module is from fp64, beside how far healthy arithmetic is.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "worker/module/python.hpp"

namespace ascertain::module {

// docs/formulas.md#module-ratio.
struct TensorError {
    std::string name;
    double ratio = 0.0;          // RMS error over that of the worst twin, or of one ideal rounding
    double max_ratio = 0.0;      // the same of the largest errors
    double relative = 0.0;       // RMS error over RMS value
    double relative_twin = 0.0;  // the same of the worst twin
    double nonfinite = 0.0;      // elements finite on one side only
    std::string mismatch;        // "" or why it cannot be compared: absent, another shape or dtype
};

// What a pass is held against.
struct Yardstick {
    Values reference;           // fp64
    std::vector<Values> twins;  // at least one
};

// One entry per tensor of the reference, in its order. `device` is on the CPU.
[[nodiscard]] std::vector<TensorError> errors_of(const Yardstick& yardstick, const Values& device);

// The largest relative error of one rounding: 2^-8 for bf16, 2^-24 for fp32.
[[nodiscard]] double unit_roundoff(at::ScalarType dtype);

}  // namespace ascertain::module
