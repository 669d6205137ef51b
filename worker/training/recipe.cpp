#include "worker/training/recipe.hpp"

#include <fmt/format.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/text.hpp"

namespace ascertain::training {
namespace {

// One field: where it lives and what it may be.
struct Field {
    std::string_view name;
    std::int64_t Recipe::*integer = nullptr;
    double Recipe::*number = nullptr;
    double AdamwOptions::*adamw = nullptr;
    bool Recipe::*flag = nullptr;
    double low = 0.0;
    double high = 0.0;
};

constexpr double kCountMax = 1e9;

constexpr Field kFields[] = {
    {.name = "batch_sequences", .integer = &Recipe::batch_sequences, .low = 1, .high = 65536},
    {.name = "sequence_length", .integer = &Recipe::sequence_length, .low = 2, .high = 1048576},
    {.name = "learning_rate", .number = &Recipe::learning_rate, .low = 0, .high = 10},
    {.name = "warm_up_steps", .integer = &Recipe::warm_up_steps, .low = 0, .high = kCountMax},
    {.name = "total_steps", .integer = &Recipe::total_steps, .low = 1, .high = kCountMax},
    {.name = "final_learning_rate_share",
     .number = &Recipe::final_learning_rate_share,
     .low = 0,
     .high = 1},
    {.name = "beta1", .adamw = &AdamwOptions::beta1, .low = 0, .high = 0.999999},
    {.name = "beta2", .adamw = &AdamwOptions::beta2, .low = 0, .high = 0.999999},
    {.name = "epsilon", .adamw = &AdamwOptions::epsilon, .low = 1e-30, .high = 1},
    {.name = "weight_decay", .adamw = &AdamwOptions::weight_decay, .low = 0, .high = 10},
    {.name = "clip_norm", .number = &Recipe::clip_norm, .low = 1e-6, .high = 1e12},
    {.name = "router_bias_rate", .number = &Recipe::router_bias_rate, .low = 0, .high = 1},
    {.name = "mtp_weight", .number = &Recipe::mtp_weight, .low = 0, .high = 10},
    {.name = "recompute", .flag = &Recipe::recompute},
    {.name = "loss_chunk_tokens",
     .integer = &Recipe::loss_chunk_tokens,
     .low = 0,
     .high = kCountMax},
};

Result<void> read_field(const Field& field, const Json& document, std::string_view name,
                        Recipe& recipe) {
    if (field.flag != nullptr) {
        const Result<bool> value = flag_at(document, field.name, name);
        if (!value) return value.error();
        recipe.*field.flag = *value;
        return {};
    }
    double seen = 0.0;
    if (field.integer != nullptr) {
        const Result<long long> value = integer_at(document, field.name, name);
        if (!value) return value.error();
        recipe.*field.integer = *value;
        seen = static_cast<double>(*value);
    } else {
        const Result<double> value = number_at(document, field.name, name);
        if (!value) return value.error();
        (field.number != nullptr ? recipe.*field.number : recipe.adamw.*field.adamw) = *value;
        seen = *value;
    }
    if (seen >= field.low && seen <= field.high) return {};
    return Error{ErrorCode::kBadInput,
                 fmt::format("{} is not within {} .. {}", seen, field.low, field.high),
                 fmt::format("{}: {}", name, field.name)};
}

}  // namespace

Result<Recipe> recipe_from_json(const Json& document, std::string_view name) {
    if (!document.is_object()) {
        return Error{ErrorCode::kBadInput, "a recipe is an object", std::string(name)};
    }
    Recipe recipe;
    std::vector<std::string> names;
    for (const Field& field : kFields) names.emplace_back(field.name);
    for (const auto& member : document.items()) {
        bool known = false;
        for (const Field& field : kFields) {
            if (field.name != member.key()) continue;
            known = true;
            const Result<void> read = read_field(field, document, name, recipe);
            if (!read) return read.error();
        }
        if (!known) {
            return Error{ErrorCode::kBadInput, "unknown field" + did_you_mean(member.key(), names),
                         fmt::format("{}: {}", name, member.key())};
        }
    }
    return recipe;
}

Json to_json(const Recipe& recipe) {
    Json document = Json::object();
    for (const Field& field : kFields) {
        const std::string key(field.name);
        if (field.flag != nullptr) {
            document[key] = recipe.*field.flag;
        } else if (field.integer != nullptr) {
            document[key] = recipe.*field.integer;
        } else if (field.number != nullptr) {
            document[key] = recipe.*field.number;
        } else {
            document[key] = recipe.adamw.*field.adamw;
        }
    }
    return document;
}

}  // namespace ascertain::training
