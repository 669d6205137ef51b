#include "model/trial.hpp"

#include <gtest/gtest.h>

#include "model/parameters.hpp"
#include "model/testing.hpp"

namespace ascertain::model {
namespace {

using testing_support::kModelFiles;
using testing_support::model_of;

TEST(TrialScale, OfEveryConfigIsAValidSmallModelOfTheSameStructure) {
    for (const char* file : kModelFiles) {
        SCOPED_TRACE(file);
        const Architecture large = model_of(file);
        const auto trial = trial_scale(large, {});
        ASSERT_TRUE(trial.ok()) << trial.error().text();
        EXPECT_TRUE(validate(*trial).ok());
        EXPECT_LT(count_parameters(*trial).total, 600'000);
        EXPECT_EQ(trial->family, large.family);
        EXPECT_EQ(trial->attention.kind, large.attention.kind);
        EXPECT_EQ(trial->attention.kv_heads == trial->attention.heads,
                  large.attention.kv_heads == large.attention.heads);
        EXPECT_EQ(trial->attention.q_lora_rank > 0, large.attention.q_lora_rank > 0);
        EXPECT_EQ(trial->attention.qk_norm, large.attention.qk_norm);
        EXPECT_EQ(trial->attention.qkv_bias, large.attention.qkv_bias);
        EXPECT_EQ(trial->layers.size(), large.layers.size());
        EXPECT_EQ(trial->moe.router, large.moe.router);
        EXPECT_EQ(trial->moe.bias_balancing, large.moe.bias_balancing);
        EXPECT_EQ(trial->moe.shared_experts > 0, large.moe.shared_experts > 0);
        EXPECT_EQ(trial->moe.groups > 1, large.moe.groups > 1);
        EXPECT_EQ(trial->position.scaling, large.position.scaling);
        EXPECT_EQ(trial->tied_embeddings, large.tied_embeddings);
        EXPECT_EQ(trial->mtp_layers > 0, large.mtp_layers > 0);
    }
}

TEST(TrialScale, OfADeepseekModelHasTheMeasuredSizes) {
    // docs/formulas.md#trial-sizes: layer 0 dense, two MoE layers of 4 experts, 2 per token, 1
    // shared.
    const auto trial = trial_scale(model_of("deepseek-r1.json"), {});
    ASSERT_TRUE(trial.ok());
    const std::vector<LayerRun> layers{{LayerKind::kDense, 1}, {LayerKind::kMoe, 2}};
    EXPECT_EQ(trial->layers, layers);
    EXPECT_EQ(trial->moe.experts, 4);
    EXPECT_EQ(trial->moe.topk, 2);
    EXPECT_EQ(trial->moe.groups, 2);
    EXPECT_EQ(trial->moe.topk_groups, 1);
    EXPECT_EQ(trial->attention.head_dim, 32);
    EXPECT_EQ(trial->moe.shared_intermediate_size, 64);
    EXPECT_TRUE(trial->quantisation.method.empty());
    // With eight experts the choice inside the groups is free again: 4 groups of 2, 2 chosen.
    TrialSize eight;
    eight.experts = 8;
    EXPECT_EQ(trial_scale(model_of("deepseek-r1.json"), eight)->moe.groups, 4);
    EXPECT_EQ(trial_scale(model_of("deepseek-r1.json"), eight)->moe.topk_groups, 2);
}

TEST(TrialScale, OfADenseModelHasTheMeasuredSize) {
    // 3 layers of 96: q 96x96, k and v 48x96, o 96x96, head norms 2x24, MLP 3x96x256, norms 2x96.
    const auto trial = trial_scale(model_of("qwen3-8b.json"), {});
    ASSERT_TRUE(trial.ok());
    const std::int64_t layer = 2 * 96 * 96 + 2 * 48 * 96 + 48 + 3 * 96 * 256 + 2 * 96;
    EXPECT_EQ(count_parameters(*trial).total, 3 * layer + 2 * 32 * 96 + 96);
}

TEST(TrialScale, RefusesSizesThatDoNotFitTogether) {
    const auto where = [](const char* file, TrialSize size) {
        const auto trial = trial_scale(model_of(file), size);
        return trial.ok() ? std::string("nothing") : trial.error().where;
    };
    TrialSize one_layer;
    one_layer.layers = 1;
    EXPECT_EQ(where("deepseek-r1.json", one_layer), "deepseek-r1.json at trial size: layers");
    EXPECT_EQ(where("llama-2-7b.json", one_layer), "nothing");
    TrialSize odd;
    odd.head_dim = 25;
    EXPECT_EQ(where("qwen3-8b.json", odd), "qwen3-8b.json at trial size: attention.head_dim");
    EXPECT_EQ(where("gpt3-175b.json", odd), "nothing");  // no rope, so no pairs
    TrialSize heads;
    heads.kv_heads = 3;
    EXPECT_EQ(where("llama-3.1-8b.json", heads),
              "llama-3.1-8b.json at trial size: attention.kv_heads");
    TrialSize crowded;
    crowded.topk = 4;
    EXPECT_EQ(where("deepseek-r1.json", crowded),
              "deepseek-r1.json at trial size: moe.topk_groups");
    TrialSize nothing;
    nothing.hidden_size = 0;
    EXPECT_EQ(where("llama-2-7b.json", nothing), "llama-2-7b.json at trial size: hidden_size");
}

}  // namespace
}  // namespace ascertain::model
