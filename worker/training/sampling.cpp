#include "worker/training/sampling.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/zeros.h>

#include <cmath>

#include "base/random.hpp"
#include "worker/training/planted/points.hpp"
#include "worker/training/planted/sampler.hpp"

namespace ascertain::training {
namespace {

// Where `share` falls on the cumulated probabilities; the last token with any where rounding leaves
// it beyond all.
std::int64_t drawn_token(const double* log_probabilities, std::int64_t count, double share) {
    double sum = 0.0;
    std::int64_t last = 0;
    for (std::int64_t token = 0; token < count; ++token) {
        const double probability = std::exp(log_probabilities[token]);
        if (probability > 0.0) last = token;
        sum += probability;
        if (share < sum) return token;
    }
    return last;
}

std::int64_t likeliest_token(const double* log_probabilities, std::int64_t count) {
    std::int64_t best = 0;
    for (std::int64_t token = 1; token < count; ++token) {
        if (log_probabilities[token] > log_probabilities[best]) best = token;
    }
    return best;
}

}  // namespace

Rollout sample(const Model& model, const at::Tensor& prompts, const SampleOptions& options) {
    const std::int64_t rows = prompts.size(0);
    const std::int64_t vocabulary = model.architecture().vocab_size;
    Rollout rollout;
    const at::Tensor response =
        at::zeros({rows, options.response_tokens}, at::TensorOptions().dtype(at::kLong));
    rollout.log_probabilities =
        at::zeros({rows, options.response_tokens}, at::TensorOptions().dtype(at::kDouble));
    rollout.drawn =
        at::zeros({rows, options.response_tokens}, at::TensorOptions().dtype(at::kFloat));
    auto* tokens = response.mutable_data_ptr<std::int64_t>();
    auto* log_probabilities = rollout.log_probabilities.mutable_data_ptr<double>();
    auto* drawn = rollout.drawn.mutable_data_ptr<float>();

    std::vector<Random> randoms;
    for (std::int64_t row = 0; row < rows; ++row) {
        randoms.emplace_back(options.seed, options.stream + static_cast<std::uint64_t>(row));
    }
    std::vector<bool> ended(static_cast<std::size_t>(rows), false);
    const planted::Weights weights("rollout_weights", model.parameters());
    KvCache cache;
    cache.capacity = prompts.size(1) + options.response_tokens;
    at::Tensor next = prompts;
    for (std::int64_t step = 0; step < options.response_tokens; ++step) {
        const std::int64_t length = cache.length;
        planted::at_kv_cache(cache, model.device());
        const at::Tensor logits = model.decode(next.to(model.device()), cache);
        cache.length = length + next.size(1);  // whatever a defect made of it
        const at::Tensor received =
            planted::at_rollout_logits(logits.to(at::kCPU, at::kDouble), model.device());
        const at::Tensor host = at::log_softmax(received, -1).contiguous();
        next = at::zeros({rows, 1}, prompts.options());
        auto* next_tokens = next.mutable_data_ptr<std::int64_t>();
        bool all_ended = true;
        for (std::int64_t row = 0; row < rows; ++row) {
            const auto own = static_cast<std::size_t>(row);
            const double share = randoms[own].uniform();
            if (ended[own]) continue;
            const double* choices = host.const_data_ptr<double>() + row * vocabulary;
            const std::int64_t token = options.greedy ? likeliest_token(choices, vocabulary)
                                                      : drawn_token(choices, vocabulary, share);
            const std::int64_t place = row * options.response_tokens + step;
            next_tokens[row] = token;
            tokens[place] = token;
            log_probabilities[place] = choices[token];
            drawn[place] = 1.0F;
            ended[own] = token == options.end;
            all_ended = all_ended && ended[own];
        }
        planted::at_tokens_to_host(response, step, model.device());
        if (all_ended) break;
    }
    planted::at_rollout_log_probabilities(rollout.log_probabilities, model.device());
    rollout.tokens = at::cat({prompts, response}, 1);
    return rollout;
}

}  // namespace ascertain::training
