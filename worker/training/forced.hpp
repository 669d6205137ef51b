// The teacher-forced comparison: the reference trains; at chosen steps device and reference are
// given the same weights and the same batches, and everything that comes out is compared. It sees
// in seconds what loss curves never show.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/observation.hpp"
#include "model/architecture.hpp"
#include "worker/training/locate.hpp"
#include "worker/training/recipe.hpp"
#include "worker/training/sides.hpp"
#include "worker/training/trainer.hpp"

namespace ascertain::training {

struct ForcedPlan {
    model::Architecture architecture;
    Recipe recipe;
    std::vector<std::int64_t> steps;  // ascending; of the reference's training
    std::int64_t batches = 8;         // at each step
    std::uint64_t seed = 0;
    Side device;
    Side twin;
    GradientHook hook;  // changes the device's gradients; empty: none
};

// One batch at one step.
struct ForcedPoint {
    std::int64_t step = 0;
    std::int64_t batch = 0;
    double loss_device = 0.0;  // nats
    double loss_reference = 0.0;
    double loss_twin = 0.0;
    double grad_norm_device = 0.0;
    double grad_norm_reference = 0.0;
    double grad_norm_twin = 0.0;
    double gradient_error = 0.0;  // of all gradients as one vector, relative
    std::string worst_tensor;
};

// The worst of one weight tensor over all points.
struct ForcedTensor {
    std::string name;
    double relative_error = 0.0;
    double one_minus_cosine = 0.0;
    double one_minus_cosine_twin = 0.0;
};

struct ForcedResult {
    Observation observation;
    std::vector<ForcedPoint> points;
    std::vector<ForcedTensor> tensors;  // largest relative error first
    std::optional<Located> located;     // the first module that differs, where one clearly does
};

// docs/formulas.md#forced-comparison says what each metric is. `progress` gets shares of the whole.
[[nodiscard]] ForcedResult compare_forced(const ForcedPlan& plan,
                                          const std::function<void(double)>& progress);

}  // namespace ascertain::training
