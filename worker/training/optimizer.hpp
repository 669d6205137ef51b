// AdamW on fp32 master weights, clipping by the global norm, and the learning rate's course.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "worker/training/parameters.hpp"
#include "worker/training/recipe.hpp"

namespace ascertain::training {

// The moments of one parameter, fp32 like its weights.
struct Moments {
    at::Tensor first;
    at::Tensor second;
    at::Tensor steps;  // fp32 scalar: updates made so far
};

class Adamw {
public:
    // `parameters` must outlive it. Cost: memory of two fp32 copies.
    Adamw(Parameters& parameters, const AdamwOptions& options);

    // One update with the gradients that the parameters hold, by the device's fused kernel. Weight
    // decay (decoupled, arXiv 1711.05101) applies to matrices only.
    void step(double learning_rate);

    // Beside parameters.trained().
    [[nodiscard]] const std::vector<Moments>& moments() const { return moments_; }
    void copy_from(const Adamw& other);

private:
    void update(double learning_rate);

    Parameters& parameters_;
    AdamwOptions options_;
    std::vector<Moments> moments_;
};

// What the formula says, docs/formulas.md#adamw, in fp64 with plain operations on the CPU: the
// reference for the fused kernel. All tensors are fp64 on the CPU; `moments.steps` is the count
// before the update. Changes `weight` and `moments`.
void adamw_reference(at::Tensor& weight, const at::Tensor& gradient, Moments& moments,
                     const AdamwOptions& options, double learning_rate, bool decays);

// Scales all gradients by min(1, limit / norm) on the device and returns the norm before, a scalar
// tensor. A parameter without a gradient (an expert no token chose) gets zeros.
at::Tensor clip_gradients(Parameters& parameters, double limit);

// Number of weight tensors, as they are on disk, whose gradient is zero throughout: a scalar
// tensor.
[[nodiscard]] at::Tensor count_unused(const Parameters& parameters);

// Of step 0, 1, ...
[[nodiscard]] double learning_rate_at(const Schedule& schedule, std::int64_t step);

}  // namespace ascertain::training
