// generate: a model on this device writes on from given beginnings, token by token with its cache,
// and says how likely it held each token: the rollouts of reinforcement learning, and greedy text.
#include <ATen/ops/isfinite.h>

#include <c10/core/GradMode.h>

#include <string>
#include <vector>

#include "base/observation.hpp"
#include "worker/serving/published.hpp"
#include "worker/serving/requests.hpp"
#include "worker/serving/served.hpp"
#include "worker/serving/text.hpp"
#include "worker/training/job.hpp"
#include "worker/training/sampling.hpp"

namespace ascertain::serving {
namespace {

constexpr std::int64_t kNewTokensMax = 1 << 20;
constexpr std::int64_t kNoEnd = -1;  // no token: every text gets its whole length
constexpr std::uint64_t kSampleStream = 0x9e4e;

Metric count(const char* name, double value) {
    return {name, value, "count", 1, {}, {}, ""};
}

// What a trainer does between two updates: the weights that were move, in place, to those that are.
// They are first moved by `share` and something is written with them, so that whoever keeps a copy
// of old weights has kept the wrong ones.
void synchronise(training::Model& model, double share, const at::Tensor& prompts) {
    const c10::AutoGradMode no_gradients(false);
    std::vector<at::Tensor> right;
    for (const training::Parameter& parameter : model.parameters().all()) {
        right.push_back(parameter.value.detach().clone());
        parameter.value.mul_(1.0 + share);
    }
    const training::SampleOptions one_token{
        .response_tokens = 1, .end = kNoEnd, .greedy = true, .seed = 0, .stream = 0};
    static_cast<void>(training::sample(model, prompts.narrow(0, 0, 1), one_token));
    std::size_t place = 0;
    for (const training::Parameter& parameter : model.parameters().all()) {
        parameter.value.copy_(right[place++]);
    }
}

}  // namespace

Result<Json> generate(worker::Session& session, const Json& params) {
    const auto new_tokens =
        training::bounded_integer(params, "new_tokens", 1, kNewTokensMax, std::nullopt);
    if (!new_tokens) return new_tokens.error();
    const auto seed = training::bounded_integer(params, "seed", 0, (std::int64_t{1} << 53) - 1, 0);
    if (!seed) return seed.error();
    const auto served = served_from_json(session, params);
    if (!served) return served.error();
    const training::ThreadCount threads(served->side.threads);
    const auto prompts = text_from_json(params, served->model().architecture().vocab_size);
    if (!prompts) return prompts.error();
    const auto fits = reaches(served->model(), prompts->size(1) + *new_tokens);
    if (!fits) return fits.error();

    const training::RepeatableKernels repeatable;
    if (params.contains("after_update")) {
        const auto share = number_at(params, "after_update", "params");
        if (!share) return share.error();
        synchronise(*served->kept->model, *share, *prompts);
    }
    const training::SampleOptions options{.response_tokens = *new_tokens,
                                          .end = kNoEnd,
                                          .greedy = params.value("greedy", false),
                                          .seed = static_cast<std::uint64_t>(*seed),
                                          .stream = kSampleStream};
    const training::Rollout rollout = training::sample(served->model(), *prompts, options);
    at::Tensor logprobs = rollout.log_probabilities;
    if (served->tamper) {
        logprobs = training::tampered(logprobs.to(at::kFloat), *served->tamper);
    }
    const auto broken = at::isfinite(logprobs).logical_not().sum().item<std::int64_t>();
    const Observation observation{
        count("tokens", static_cast<double>(rollout.log_probabilities.numel())),
        count("nonfinite_logprobs", static_cast<double>(broken))};
    Json answer{{"observation", ascertain::to_json(observation)},
                {"tokens", whole_rows_of(rollout.tokens.contiguous())},
                {"logprobs", rows_of(logprobs)},
                {"quantisation", served->kept->quantisation}};
    if (params.value("hash", false)) answer["weights_hash"] = weights_hash(served->model());
    if (served->tamper) answer["tampered"] = true;
    return answer;
}

}  // namespace ascertain::serving
