#include "worker/training/recipe.hpp"

#include <fmt/format.h>

#include <string>
#include <variant>
#include <vector>

#include "base/text.hpp"

namespace ascertain::training {
namespace {

// One field: its name, where it lives and what it may be.
using Value = std::variant<std::int64_t*, double*, bool*>;
struct Field {
    std::string_view name;
    Value (*in)(Recipe&);
    double low;
    double high;
};

constexpr double kCountMax = 1e9;

constexpr Field kFields[] = {
    {"batch_sequences", [](Recipe& r) { return Value(&r.batch_sequences); }, 1, 65536},
    {"sequence_length", [](Recipe& r) { return Value(&r.sequence_length); }, 2, 1048576},
    {"learning_rate", [](Recipe& r) { return Value(&r.learning_rate); }, 0, 10},
    {"warm_up_steps", [](Recipe& r) { return Value(&r.warm_up_steps); }, 0, kCountMax},
    {"total_steps", [](Recipe& r) { return Value(&r.total_steps); }, 1, kCountMax},
    {"final_learning_rate_share", [](Recipe& r) { return Value(&r.final_learning_rate_share); }, 0,
     1},
    {"beta1", [](Recipe& r) { return Value(&r.adamw.beta1); }, 0, 0.999999},
    {"beta2", [](Recipe& r) { return Value(&r.adamw.beta2); }, 0, 0.999999},
    {"epsilon", [](Recipe& r) { return Value(&r.adamw.epsilon); }, 1e-30, 1},
    {"weight_decay", [](Recipe& r) { return Value(&r.adamw.weight_decay); }, 0, 10},
    {"clip_norm", [](Recipe& r) { return Value(&r.clip_norm); }, 1e-6, 1e12},
    {"router_bias_rate", [](Recipe& r) { return Value(&r.router_bias_rate); }, 0, 1},
    {"mtp_weight", [](Recipe& r) { return Value(&r.mtp_weight); }, 0, 10},
    {"loss_chunk_tokens", [](Recipe& r) { return Value(&r.loss_chunk_tokens); }, 0, kCountMax},
    {"sft_steps", [](Recipe& r) { return Value(&r.sft.steps); }, 0, kCountMax},
    {"sft_batch_sequences", [](Recipe& r) { return Value(&r.sft.batch_sequences); }, 1, 65536},
    {"sft_learning_rate", [](Recipe& r) { return Value(&r.sft.learning_rate); }, 0, 10},
    {"sft_warm_up_steps", [](Recipe& r) { return Value(&r.sft.warm_up_steps); }, 0, kCountMax},
    {"sft_noise", [](Recipe& r) { return Value(&r.sft.noise); }, 0, 1},
    {"grpo_updates", [](Recipe& r) { return Value(&r.grpo.updates); }, 0, kCountMax},
    {"grpo_prompts", [](Recipe& r) { return Value(&r.grpo.prompts); }, 1, 65536},
    {"grpo_samples", [](Recipe& r) { return Value(&r.grpo.samples); }, 2, 4096},
    {"grpo_learning_rate", [](Recipe& r) { return Value(&r.grpo.learning_rate); }, 0, 10},
    {"grpo_warm_up_steps", [](Recipe& r) { return Value(&r.grpo.warm_up_steps); }, 0, kCountMax},
    {"grpo_kl_coefficient", [](Recipe& r) { return Value(&r.grpo.kl_coefficient); }, 0, 100},
    {"grpo_importance_cap", [](Recipe& r) { return Value(&r.grpo.importance_cap); }, 1, 1e9},
    {"accuracy_problems", [](Recipe& r) { return Value(&r.accuracy_problems); }, 1, 4000},
    {"recompute", [](Recipe& r) { return Value(&r.recompute); }, 0, 1},
};

template <typename T, typename Read>
Result<double> stored(const Result<Read>& read, T& value) {
    if (!read) return read.error();
    value = static_cast<T>(*read);
    return static_cast<double>(value);
}

// Reads one member into its place and returns it as a number.
Result<double> read_value(const Value& place, const Json& document, std::string_view field,
                          std::string_view name) {
    if (auto* const* flag = std::get_if<bool*>(&place)) {
        return stored(flag_at(document, field, name), **flag);
    }
    if (auto* const* integer = std::get_if<std::int64_t*>(&place)) {
        return stored(integer_at(document, field, name), **integer);
    }
    return stored(number_at(document, field, name), **std::get_if<double*>(&place));
}

Result<void> read_field(const Field& field, const Json& document, std::string_view name,
                        Recipe& recipe) {
    const Result<double> seen = read_value(field.in(recipe), document, field.name, name);
    if (!seen) return seen.error();
    if (*seen >= field.low && *seen <= field.high) return {};
    return Error{ErrorCode::kBadInput,
                 fmt::format("{} is not within {} .. {}", *seen, field.low, field.high),
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
    Recipe copy = recipe;  // fields give places to write to
    for (const Field& field : kFields) {
        std::visit([&](auto* value) { document[std::string(field.name)] = *value; },
                   field.in(copy));
    }
    return document;
}

}  // namespace ascertain::training
