#include "worker/training/experts.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/sigmoid.h>
#include <ATen/ops/silu.h>
#include <ATen/ops/zeros.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

#include "base/random.hpp"

namespace ascertain::training {
namespace {

at::Tensor random_tensor(at::IntArrayRef shape, std::uint64_t stream) {
    at::Tensor made = at::empty(shape, at::kFloat);
    Random random(17, stream);
    float* values = made.mutable_data_ptr<float>();
    for (std::int64_t i = 0; i < made.numel(); ++i) values[i] = static_cast<float>(random.normal());
    return made;
}

// The rule of arXiv 2412.19437 section 2.1.2 by exhaustion: groups ordered by the sum of their two
// best biased scores (their best score when nothing is biased), then experts of those groups only.
std::set<std::int64_t> brute_force(const model::Moe& moe, const std::vector<float>& biased) {
    const std::int64_t size = moe.experts / moe.groups;
    std::vector<std::pair<float, std::int64_t>> groups;
    for (std::int64_t group = 0; group < moe.groups; ++group) {
        std::vector<float> own(biased.begin() + group * size, biased.begin() + (group + 1) * size);
        std::sort(own.rbegin(), own.rend());
        groups.emplace_back(moe.bias_balancing ? own[0] + own[1] : own[0], group);
    }
    std::sort(groups.rbegin(), groups.rend());
    std::vector<std::pair<float, std::int64_t>> candidates;
    for (std::int64_t i = 0; i < moe.topk_groups; ++i) {
        for (std::int64_t j = 0; j < size; ++j) {
            const std::int64_t expert = groups[static_cast<std::size_t>(i)].second * size + j;
            candidates.emplace_back(biased[static_cast<std::size_t>(expert)], expert);
        }
    }
    std::sort(candidates.rbegin(), candidates.rend());
    std::set<std::int64_t> chosen;
    for (std::int64_t i = 0; i < moe.topk; ++i) {
        chosen.insert(candidates[static_cast<std::size_t>(i)].second);
    }
    return chosen;
}

TEST(Experts, GroupLimitedChoiceEqualsExhaustion) {
    for (const bool balanced : {false, true}) {
        const model::Moe moe{.experts = 16,
                             .local_experts = 16,
                             .topk = 3,
                             .groups = 4,
                             .topk_groups = 2,
                             .bias_balancing = balanced};
        const at::Tensor scores = at::sigmoid(random_tensor({64, 16}, 1));
        const at::Tensor bias = balanced ? random_tensor({16}, 2).mul(0.1) : at::Tensor();
        const at::Tensor biased = balanced ? scores.add(bias) : scores;
        const at::Tensor chosen = choose_experts(moe, scores, bias);
        for (std::int64_t token = 0; token < 64; ++token) {
            const float* row = biased.const_data_ptr<float>() + token * 16;
            const std::int64_t* got = chosen.const_data_ptr<std::int64_t>() + token * 3;
            EXPECT_EQ(std::set<std::int64_t>(got, got + 3),
                      brute_force(moe, std::vector<float>(row, row + 16)));
        }
    }
}

TEST(Experts, WeightsAreUnbiasedScoresNormalisedThenScaled) {
    const model::Moe moe{.experts = 4, .topk = 2, .normalise_topk = true, .scaling_factor = 2.5};
    const at::Tensor scores = at::sigmoid(random_tensor({8, 4}, 3));
    const at::Tensor weights = choice_weights(moe, scores, choose_experts(moe, scores, {}));
    EXPECT_LT(weights.sum(1).sub(2.5).abs().max().item<float>(), 1e-6F);
}

// Every token through its experts one by one, against the sorted and grouped product.
TEST(Experts, GroupedProductEqualsTokenByToken) {
    Experts experts;
    experts.shape = {.experts = 4, .local_experts = 4, .topk = 2};
    experts.router = random_tensor({4, 16}, 4);
    experts.gate = random_tensor({4, 8, 16}, 5);
    experts.up = random_tensor({4, 8, 16}, 6);
    experts.down = random_tensor({4, 16, 8}, 7);
    const at::Tensor x = random_tensor({32, 16}, 8);
    Pass pass;
    const at::Tensor got = apply(experts, pass, x).added;
    const at::Tensor scores = router_scores(experts.shape, x.matmul(experts.router.t()));
    const at::Tensor chosen = choose_experts(experts.shape, scores, {});
    const at::Tensor weights = choice_weights(experts.shape, scores, chosen);
    for (std::int64_t token = 0; token < 32; ++token) {
        at::Tensor expected = at::zeros({16});
        for (std::int64_t slot = 0; slot < 2; ++slot) {
            const std::int64_t e = chosen[token][slot].item<std::int64_t>();
            const at::Tensor inner =
                at::silu(experts.gate[e].matmul(x[token])).mul(experts.up[e].matmul(x[token]));
            expected = expected.add(experts.down[e].matmul(inner).mul(weights[token][slot]));
        }
        EXPECT_LT(got[token].sub(expected).abs().max().item<float>(), 1e-4F);
    }
}

}  // namespace
}  // namespace ascertain::training
