// The stages after pre-training: supervised fine-tuning on demonstrations, then reinforcement on a
// reward that can be checked, and how often the model is right.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "worker/training/model.hpp"
#include "worker/training/recipe.hpp"

namespace ascertain::training {

// How often `right` of `problems` answers earned the reward, with Wilson's 95 % interval.
struct Accuracy {
    std::int64_t right = 0;
    std::int64_t problems = 0;
    double share = 0.0;
    double low = 0.0;
    double high = 0.0;
};
[[nodiscard]] Accuracy accuracy_of(std::int64_t right, std::int64_t problems);

// One answer to each of the first `problems` held-out problems, drawn at temperature 1 or greedily.
[[nodiscard]] Accuracy measure_accuracy(const Model& model, std::int64_t problems, bool greedy,
                                        std::uint64_t seed);

// later - earlier with its 95 % interval; the two rest on independent samples.
struct Gain {
    double share = 0.0;
    double low = 0.0;
    double high = 0.0;
};
[[nodiscard]] Gain gain(const Accuracy& earlier, const Accuracy& later);

using StageProgress = std::function<void(std::int64_t step)>;

struct SftReport {
    std::vector<double> losses;  // nats per answer token, one per step
};
// Trains in place with a fresh optimizer.
SftReport fine_tune(Model& model, const Recipe& recipe, std::uint64_t seed,
                    const StageProgress& progress);

// One number per update.
struct GrpoReport {
    std::vector<double> rewards;      // mean over the batch
    std::vector<double> grad_norms;   // before clipping
    std::vector<double> divergences;  // KL from the model before, estimator k3, nats per token
    std::vector<double> mismatches;   // mean |log p of the trainer - of the sampler| per token
};
// docs/formulas.md#grpo. Trains in place with a fresh optimizer; router biases stay.
GrpoReport reinforce(Model& model, const Recipe& recipe, std::uint64_t seed,
                     const StageProgress& progress);

}  // namespace ascertain::training
