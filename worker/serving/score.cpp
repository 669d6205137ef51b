#include "worker/serving/score.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>

#include <limits>
#include <vector>

namespace ascertain::serving {
namespace {

using training::TextScores;

// Logits of so many tokens exist at once: 600 MB in fp32 with a vocabulary of 150,000.
constexpr std::int64_t kChunkTokens = 1024;

TextScores on_cpu(const TextScores& scores) {
    return {scores.log_probabilities.to(at::kCPU), scores.likeliest.to(at::kCPU)};
}

TextScores row_by_row(const training::Model& model, const at::Tensor& tokens) {
    std::vector<at::Tensor> chosen;
    std::vector<at::Tensor> best;
    for (std::int64_t row = 0; row < tokens.size(0); ++row) {
        const TextScores scores = model.score(tokens.narrow(0, row, 1), kChunkTokens);
        chosen.push_back(scores.log_probabilities);
        best.push_back(scores.likeliest);
    }
    return {at::cat(chosen), at::cat(best)};
}

TextScores token_by_token(const training::Model& model, const at::Tensor& tokens) {
    const std::int64_t rows = tokens.size(0);
    const std::int64_t length = tokens.size(1);
    const std::int64_t prompt = std::max<std::int64_t>(1, length / 2);
    const at::TensorOptions options(model.device());
    std::vector<at::Tensor> chosen;
    std::vector<at::Tensor> best;
    if (prompt > 1) {
        chosen.push_back(at::full({rows, prompt - 1}, std::numeric_limits<float>::quiet_NaN(),
                                  options.dtype(at::kFloat)));
        best.push_back(at::full({rows, prompt - 1}, -1, options.dtype(at::kLong)));
    }
    training::KvCache cache;
    cache.capacity = length;
    at::Tensor logits = model.decode(tokens.narrow(1, 0, prompt), cache);
    for (std::int64_t place = prompt; place < length; ++place) {
        const at::Tensor target = tokens.narrow(1, place, 1);
        chosen.push_back(at::log_softmax(logits, -1).gather(1, target));
        best.push_back(logits.argmax(-1, true));
        if (place + 1 < length) logits = model.decode(target, cache);
    }
    return {at::cat(chosen, 1), at::cat(best, 1)};
}

}  // namespace

TextScores score(const training::Model& model, const at::Tensor& tokens, Way way) {
    const at::Tensor there = tokens.to(model.device());
    switch (way) {
        case Way::kWhole: return on_cpu(model.score(there, kChunkTokens));
        case Way::kAlone: return on_cpu(row_by_row(model, there));
        case Way::kDecode: return on_cpu(token_by_token(model, there));
    }
    return {};
}

}  // namespace ascertain::serving
