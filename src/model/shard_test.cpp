#include "model/shard.hpp"

#include <gtest/gtest.h>

#include "model/parameters.hpp"
#include "model/testing.hpp"

namespace ascertain::model {
namespace {

using testing_support::kModelFiles;
using testing_support::model_of;

TEST(ShardArchitecture, OfOneRankIsTheWholeModel) {
    for (const char* file : kModelFiles) {
        const Architecture a = model_of(file);
        EXPECT_EQ(shard_architecture(a, {}).value(), a) << file;
    }
}

TEST(ShardArchitecture, SplitsWhatIsSplitAndKeepsTheRest) {
    const Architecture a = model_of("deepseek-r1.json");
    const auto rank = shard_architecture(a, {.tp = 4, .ep = 16, .etp = 2});
    ASSERT_TRUE(rank.ok());
    EXPECT_EQ(rank->attention.heads, 32);
    EXPECT_EQ(rank->vocab_size, 32'320);
    EXPECT_EQ(rank->mlp.intermediate_size, 4608);
    EXPECT_EQ(rank->moe.local_experts, 16);
    EXPECT_EQ(rank->moe.experts, 256);
    EXPECT_EQ(rank->moe.expert_intermediate_size, 1024);
    EXPECT_EQ(rank->moe.shared_intermediate_size, 512);
    EXPECT_EQ(rank->hidden_size, 7168);
    EXPECT_EQ(rank->attention.kv_lora_rank, 512);
    EXPECT_TRUE(validate(*rank).ok());
}

TEST(ShardArchitecture, OfAllRanksTogetherHoldEveryMatrixOnce) {
    // TP 8 of a dense model: what is not a norm is held once, norms eight times.
    const Architecture a = model_of("llama-3.1-70b.json");
    const auto rank = shard_architecture(a, {.tp = 8});
    ASSERT_TRUE(rank.ok());
    const std::int64_t norms = 2 * 8192;
    EXPECT_EQ(8 * (block_parameters(*rank, Block::kDenseLayer) - norms),
              block_parameters(a, Block::kDenseLayer) - norms);
}

TEST(ShardArchitecture, RepeatsKeyValueHeadsWhenThereAreFewerThanRanks) {
    const Architecture a = model_of("qwen3-30b-a3b.json");  // 32 heads, 4 key-value heads
    EXPECT_EQ(shard_architecture(a, {.tp = 2})->attention.kv_heads, 2);
    EXPECT_EQ(shard_architecture(a, {.tp = 8})->attention.kv_heads, 1);
    EXPECT_TRUE(validate(*shard_architecture(a, {.tp = 8})).ok());
}

TEST(ShardArchitecture, NamesTheFieldThatDoesNotDivide) {
    const auto where = [](const char* file, const Shard& shard) {
        const auto rank = shard_architecture(model_of(file), shard);
        return rank.ok() ? std::string("nothing") : rank.error().where;
    };
    EXPECT_EQ(where("gpt3-175b.json", {.tp = 8}), "gpt3-175b.json: vocab_size");
    EXPECT_EQ(where("qwen2.5-7b.json", {.tp = 8}), "qwen2.5-7b.json: attention.heads");
    EXPECT_EQ(where("llama-3.1-8b.json", {.tp = 32}), "nothing");
    EXPECT_EQ(where("mixtral-8x7b.json", {.ep = 3}), "mixtral-8x7b.json: moe.local_experts");
    EXPECT_EQ(where("deepseek-v2-lite.json", {.etp = 3}),
              "deepseek-v2-lite.json: moe.expert_intermediate_size");
    EXPECT_EQ(where("llama-2-7b.json", {.etp = 2}), "llama-2-7b.json: etp");
    EXPECT_EQ(where("llama-2-7b.json", {.cp = -1}), "llama-2-7b.json: cp");
}

}  // namespace
}  // namespace ascertain::model
