// The defects of the fabric plane: what an armed rule does to the collectives of the simulated
// chip. docs/defects.md has the effects; one process is one rank.
#pragma once

#include <ATen/core/Tensor.h>

#include <functional>

#include "base/result.hpp"
#include "worker/collectives/fabric.hpp"

namespace ascertain::collectives::planted {

// Reads the file that ASCERTAIN_DEFECTS names, before the first request. Its rules act on `device`
// alone, and replace those of an earlier call. Errors: those of reading it.
[[nodiscard]] Result<void> arm(at::Device device);

// One collective as rules see it.
struct Moment {
    Fabric& fabric;
    Kind kind;
    bool overlapped = false;  // the device computes meanwhile
};

// Runs one collective with what the armed rules do to it. `in` has any strides; it is sent in
// logical order. `out` is flat and on the CPU. Throws what the fabric throws and what a rule
// raises.
void run(const Moment& moment, const at::Tensor& in, at::Tensor& out);

}  // namespace ascertain::collectives::planted
