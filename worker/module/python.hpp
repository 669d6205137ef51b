// The user's module, which lives in Python, as the worker calls it: through the dispatcher.
#pragma once

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::module {

// What one pass gave: outputs, the loss, and gradients of parameters and inputs.
struct Values {
    std::vector<std::string> names;
    std::vector<at::Tensor> tensors;  // undefined where there is none, such as an absent gradient
    Json facts;                       // of worker/host/module.py: seconds, random, longest_sum ...
};

// How the module is run: "reference" (fp64 on the CPU), "twin" (its own precision in ideal
// arithmetic on the CPU), "eager", "compiled" or "graphed" on `device`. Replica 0 of the twin
// rounds to nearest, others differ by less than that. Returns {graphs, breaks, references ...}.
// Errors: kUnsupported where no user's module is loaded or this way of running is not offered,
// kBadInput, kDeviceUnavailable and kEnvironment with the user's file and line.
[[nodiscard]] Result<Json> prepare(const std::string& how, const std::string& device,
                                   std::uint64_t seed, int replica);

// One forward and backward pass of what prepare() made ready. Errors as above.
[[nodiscard]] Result<Values> run();

// [{module, reader, what}]: tensors that an eager pass reads and no operator wrote.
[[nodiscard]] Result<Json> bypassed();

}  // namespace ascertain::module
