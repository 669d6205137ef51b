// What all training requests have in common, read from their parameters.
#pragma once

#include <optional>

#include "base/json.hpp"
#include "base/result.hpp"
#include "model/architecture.hpp"
#include "worker/training/recipe.hpp"
#include "worker/training/tamper.hpp"

namespace ascertain::training {

struct Job {
    model::Architecture architecture;
    Recipe recipe;
    at::ScalarType dtype = at::kFloat;
    std::uint64_t seed = 0;
    std::optional<Tamper> tamper;

    // What the tamper does to gradients; empty without one.
    [[nodiscard]] GradientHook hook() const {
        return tamper ? tampering_hook(*tamper) : GradientHook();
    }
};

// Errors: kBadInput naming the member; kUnsupported for a dtype that is not offered, or an
// architecture that the task does not fit (vocabulary below kVocabulary, positions below the
// recipe's sequence).
[[nodiscard]] Result<Job> job_from_json(const Json& params);

// The integer member `key` within low .. high, or kBadInput; `fallback` where it is missing.
[[nodiscard]] Result<std::int64_t> bounded_integer(const Json& params, std::string_view key,
                                                   std::int64_t low, std::int64_t high,
                                                   std::optional<std::int64_t> fallback);

}  // namespace ascertain::training
