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

    bool operator==(const Recipe&) const = default;
};

// Reads {"learning_rate": 0.003, ...}; what is missing keeps its default. The members of `adamw`
// stand beside the others. Errors: kBadInput with "name: field" for unknown fields and values out
// of range.
[[nodiscard]] Result<Recipe> recipe_from_json(const Json& document, std::string_view name);
[[nodiscard]] Json to_json(const Recipe& recipe);

}  // namespace ascertain::training
