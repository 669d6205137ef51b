// How the trial trains, as data.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::training {

// arXiv 1711.05101.
struct AdamwOptions {
    double beta1 = 0.9;
    double beta2 = 0.95;
    double epsilon = 1e-8;
    double weight_decay = 0.1;

    bool operator==(const AdamwOptions&) const = default;
};

// A learning rate's course: linear warm-up to the peak, then a cosine to a share of it.
struct Schedule {
    double peak = 0.0;
    std::int64_t warm_up_steps = 0;
    std::int64_t total_steps = 1;
    double final_share = 1.0;
};

// Supervised fine-tuning on demonstrations, after pre-training.
struct SftRecipe {
    std::int64_t steps = 0;  // 0: none
    std::int64_t batch_sequences = 64;
    double learning_rate = 1e-3;
    std::int64_t warm_up_steps = 10;
    double noise = 0.18;  // share of the demonstrated values that are replaced

    bool operator==(const SftRecipe&) const = default;
};

// Reinforcement on a reward that can be checked: GRPO, arXiv 2402.03300, with one update per batch.
struct GrpoRecipe {
    std::int64_t updates = 0;  // 0: none
    std::int64_t prompts = 32;
    std::int64_t samples = 8;  // per prompt
    double learning_rate = 1.5e-4;
    std::int64_t warm_up_steps = 5;
    double kl_coefficient = 0.0;  // of the divergence from the model that fine-tuning left
    double importance_cap = 2.0;  // of the ratio trainer over sampler

    bool operator==(const GrpoRecipe&) const = default;
};

// The defaults are the recipe that docs/formulas.md#trial-recipe tells the trials of.
struct Recipe {
    std::int64_t batch_sequences = 16;
    std::int64_t sequence_length = 64;
    double learning_rate = 3e-3;  // peak
    std::int64_t warm_up_steps = 20;
    std::int64_t total_steps = 1000;  // where the cosine ends, however many steps are run
    double final_learning_rate_share = 0.1;
    AdamwOptions adamw;
    double clip_norm = 1.0;
    double router_bias_rate = 0.01;
    double mtp_weight = 0.3;
    bool recompute = false;
    std::int64_t loss_chunk_tokens = 0;  // 0: all at once
    SftRecipe sft;
    GrpoRecipe grpo;
    std::int64_t accuracy_problems = 1000;  // held-out ones, sampled after each later stage

    // Of pre-training.
    [[nodiscard]] Schedule schedule() const {
        return {learning_rate, warm_up_steps, total_steps, final_learning_rate_share};
    }

    bool operator==(const Recipe&) const = default;
};

// Reads {"learning_rate": 0.003, ...}; what is missing keeps its default. Members of `adamw`
// stand beside the others, those of `sft` and `grpo` are "sft_steps" and so on. Errors: kBadInput
// with "name: field" for unknown fields and values out of range.
[[nodiscard]] Result<Recipe> recipe_from_json(const Json& document, std::string_view name);
[[nodiscard]] Json to_json(const Recipe& recipe);

}  // namespace ascertain::training
