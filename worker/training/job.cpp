#include "worker/training/job.hpp"

#include <fmt/format.h>

#include "worker/training/task.hpp"

namespace ascertain::training {
namespace {

constexpr std::int64_t kSeedMax = (std::int64_t{1} << 53) - 1;

Error missing(std::string_view key) {
    return {ErrorCode::kBadInput, "is missing", std::string(key)};
}

}  // namespace

Result<std::int64_t> bounded_integer(const Json& params, std::string_view key, std::int64_t low,
                                     std::int64_t high, std::optional<std::int64_t> fallback) {
    if (fallback && !params.contains(key)) return *fallback;
    const Result<long long> value = integer_at(params, key, "params");
    if (!value) return value.error();
    if (*value >= low && *value <= high) return static_cast<std::int64_t>(*value);
    return Error{ErrorCode::kBadInput, fmt::format("{} is not within {} .. {}", *value, low, high),
                 fmt::format("params: {}", key)};
}

Result<Job> job_from_json(const Json& params) {
    Job job;
    if (!params.contains("architecture")) return missing("architecture");
    auto architecture = model::architecture_from_json(params["architecture"], "architecture");
    if (!architecture) return architecture.error();
    job.architecture = *std::move(architecture);
    const auto recipe = recipe_from_json(params.value("recipe", Json::object()), "recipe");
    if (!recipe) return recipe.error();
    job.recipe = *recipe;
    const Result<std::string> name = text_at(params, "dtype", "params");
    if (!name) return name.error();
    const auto dtype = dtype_from_name(*name);
    if (!dtype) return dtype.error();
    job.dtype = *dtype;
    const auto seed = bounded_integer(params, "seed", 0, kSeedMax, std::nullopt);
    if (!seed) return seed.error();
    job.seed = static_cast<std::uint64_t>(*seed);
    if (params.contains("tamper") && !params["tamper"].is_null()) {
        const auto tamper = tamper_from_json(params["tamper"]);
        if (!tamper) return tamper.error();
        job.tamper = *tamper;
    }
    if (job.architecture.vocab_size < kVocabulary) {
        return Error{ErrorCode::kUnsupported,
                     fmt::format("the task needs a vocabulary of {} tokens", kVocabulary),
                     "architecture: vocab_size"};
    }
    if (job.architecture.position.kind == model::PositionKind::kLearned &&
        job.architecture.position.length_max < job.recipe.sequence_length) {
        return Error{ErrorCode::kUnsupported,
                     fmt::format("{} learned positions are fewer than the recipe's sequence of {}",
                                 job.architecture.position.length_max, job.recipe.sequence_length),
                     "architecture: position.length_max"};
    }
    return job;
}

}  // namespace ascertain::training
