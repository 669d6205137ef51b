// A run of the trial's pre-training: model, optimizer, data and their position, one step at a time.
#pragma once

#include <cstdint>
#include <functional>

#include "worker/training/model.hpp"
#include "worker/training/optimizer.hpp"
#include "worker/training/recipe.hpp"
#include "worker/training/task.hpp"

namespace ascertain::training {

struct StepReport {
    double loss = 0.0;                  // next-token loss before the update, nats
    double grad_norm = 0.0;             // of all gradients, before clipping
    std::int64_t unused_gradients = 0;  // weight tensors whose gradient was zero throughout
};

// Called between the backward pass and clipping: where a planted fault sits.
using GradientHook = std::function<void(Parameters&)>;

class Trainer {
public:
    // Weights and data depend on options.seed alone.
    Trainer(const model::Architecture& architecture, const Recipe& recipe,
            const ModelOptions& options);
    Trainer(const Trainer&) = delete;
    Trainer& operator=(const Trainer&) = delete;

    StepReport step(const GradientHook& hook);
    // Mean loss over held-out batches 0 .. batches - 1 each; no gradient. Tokens of one batch count
    // alike, so the mean of the list is the loss over all of them.
    [[nodiscard]] std::vector<double> held_out_losses(std::int64_t batches) const;

    // The step that step() would make next.
    [[nodiscard]] std::int64_t position() const { return position_; }
    // Goes on at another step; whoever loads a checkpoint fills model() and optimizer() first.
    void resume_at(std::int64_t position) { position_ = position; }
    [[nodiscard]] std::uint64_t seed() const { return seed_; }
    [[nodiscard]] Model& model() { return model_; }
    [[nodiscard]] const Model& model() const { return model_; }
    [[nodiscard]] Adamw& optimizer() { return optimizer_; }
    [[nodiscard]] const Adamw& optimizer() const { return optimizer_; }
    [[nodiscard]] const Recipe& recipe() const { return recipe_; }

private:
    Recipe recipe_;
    std::uint64_t seed_;
    Model model_;
    Adamw optimizer_;
    std::int64_t position_ = 0;
};

// How the recipe wants a pass made.
[[nodiscard]] PassOptions pass_options(const Recipe& recipe);

// One forward and backward pass; afterwards the parameters hold the gradients of this batch alone.
// Under fp16 the loss is scaled by 2^12 for the backward pass and the gradients back: smaller
// activations' gradients would be zero.
PassResult compute_gradients(Model& model, const Batch& batch, const PassOptions& options);

// Multiplies every trained weight by 1 + size * z with its own standard normal z: a replica of the
// same run, as far away as another order of summation would be. `replica` chooses the numbers.
void perturb(Parameters& parameters, double size, std::uint64_t seed, std::uint64_t replica);

}  // namespace ascertain::training
