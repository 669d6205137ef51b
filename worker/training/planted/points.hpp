// Where a training framework has bugs of its own: the points of trainer and checkpoint at which
// planted defects act (docs/defects.md). None acts unless the device under test is the simulated
// chip and its defect file says so; the reference's side of a comparison is never touched.
#pragma once

#include <ATen/core/Tensor.h>

#include <vector>

#include "worker/training/model.hpp"
#include "worker/training/parameters.hpp"
#include "worker/training/planted/rules.hpp"

namespace ascertain::training {
struct Moments;
}

namespace ascertain::training::planted {

// A batch on its way to the model.
void at_data(Batch& batch, at::Device device);

// While it lives, some weights are other than the model's own: old ones, or wrongly converted ones.
class Weights {
public:
    // `point` is "parameters", which a training step computes with, or "rollout_weights".
    Weights(const char* point, const Parameters& parameters);
    Weights(const Weights&) = delete;
    Weights& operator=(const Weights&) = delete;
    ~Weights();

private:
    struct Replaced {
        at::Tensor value;
        at::Tensor own;
    };
    std::vector<Replaced> replaced_;
};

// After the forward pass: what is minimised and what is reported.
void at_loss(PassResult& result, at::Device device);
// A plain number, of the points "learning_rate", "loss_scale", "clip" (the limit) and "mtp" (the
// weight).
[[nodiscard]] double at_number(const char* point, double value, at::Device device);
// After the backward pass.
void at_gradients(Parameters& parameters);
// The norm of all gradients by which they will be clipped.
[[nodiscard]] at::Tensor at_grad_norm(const at::Tensor& norm, const Parameters& parameters);
// Around the optimizer's step: one that is not made, or twice, weights that do not move, state that
// is not kept as it should be.
class OptimizerStep {
public:
    OptimizerStep(const Parameters& parameters, const std::vector<Moments>& moments);
    OptimizerStep(const OptimizerStep&) = delete;
    OptimizerStep& operator=(const OptimizerStep&) = delete;
    ~OptimizerStep();

    // How often it is to be made.
    [[nodiscard]] int times() const { return times_; }

private:
    struct Kept {
        at::Tensor value;
        at::Tensor before;
    };
    struct After {
        Asked asked;
        at::Tensor value;
    };
    int times_ = 1;
    std::vector<Kept> left_out_;
    std::vector<After> after_;
};

// How often a router's bias is to move, before it does.
[[nodiscard]] int times_router_bias(const Parameters& parameters);

// Before held-out losses are measured.
void at_evaluate(at::Device device);
// Tensors about to be written to a checkpoint: what is written instead.
void at_checkpoint_save(std::vector<NamedTensor>& tensors, at::Device device);
// Tensors that a checkpoint was read into; changed in place.
void at_checkpoint_load(const std::vector<NamedTensor>& tensors, at::Device device);

}  // namespace ascertain::training::planted
