// Where in the model two sides first part: the modules in the order in which they run, forward,
// then backward, then the gradients of the weights.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "worker/training/model.hpp"

namespace ascertain::training {

struct Located {
    std::string module;  // "layers.1.attention", or the weight tensor's name
    std::string phase;   // "forward", "backward" or "weight_gradient"
    double relative_error = 0.0;
    double relative_error_twin = 0.0;  // of a healthy side at the same place
};

// A module is suspect where the device's output is farther from the reference's than so many times
// a healthy twin's, or than this outright.
inline constexpr double kSuspectFactor = 10.0;
inline constexpr double kSuspectFloor = 1e-6;

// The weights of the three models are equal. Runs the batch once more on each, with the reference's
// expert choices, `hook` on the device's gradients. Nothing where no module is suspect. Cost: three
// passes and a copy of every module's output.
[[nodiscard]] std::optional<Located> locate(Model& reference, Model& twin, Model& device,
                                            const Batch& batch, const PassOptions& options,
                                            const std::function<void(Parameters&)>& hook);

}  // namespace ascertain::training
