#include "model/parameters.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "model/testing.hpp"

namespace ascertain::model {
namespace {

using testing_support::kModelFiles;
using testing_support::model_of;

struct Published {
    const char* file;
    std::int64_t total;
    std::int64_t active_without_embedding;
    std::int64_t active;
    std::int64_t mtp_extra;
    double announced;         // as the publisher rounds it
    double announced_active;  // 0: nobody announced one
    double rounding;          // relative distance that rounding, or the stated gap, explains
};

// data/models/README.md, counted there by other code from the same configs.
constexpr Published kPublished[] = {
    {"deepseek-v3.json", 671'026'419'200, 36'625'618'432, 37'552'297'472, 11'610'068'224, 671e9,
     36.6e9, 0.001},
    {"deepseek-r1.json", 671'026'419'200, 36'625'618'432, 37'552'297'472, 11'610'068'224, 671e9,
     36.6e9, 0.001},
    {"deepseek-v2-lite.json", 15'706'484'224, 2'451'435'008, 2'661'150'208, 0, 15.7e9, 2.4e9, 0.03},
    {"llama-2-7b.json", 6'738'415'616, 6'607'343'616, 6'738'415'616, 0, 6.74e9, 0, 0.002},
    {"llama-2-70b.json", 68'976'648'192, 68'714'504'192, 68'976'648'192, 0, 68.98e9, 0, 0.001},
    {"llama-3.1-8b.json", 8'030'261'248, 7'504'924'672, 8'030'261'248, 0, 8.03e9, 0, 0.001},
    {"llama-3.1-70b.json", 70'553'706'496, 69'503'033'344, 70'553'706'496, 0, 70.6e9, 0, 0.001},
    {"llama-3.1-405b.json", 405'853'388'800, 403'752'042'496, 405'853'388'800, 0, 405.9e9, 0,
     0.001},
    {"qwen2.5-7b.json", 7'615'616'512, 7'070'619'136, 7'615'616'512, 0, 7.61e9, 0, 0.001},
    {"qwen3-8b.json", 8'190'735'360, 7'568'405'504, 8'190'735'360, 0, 8.19e9, 0, 0.001},
    {"qwen3-30b-a3b.json", 30'532'122'624, 3'041'867'776, 3'353'032'704, 0, 30.5e9, 0, 0.002},
    {"qwen3-235b-a22b.json", 235'093'634'560, 21'568'433'664, 22'190'763'520, 0, 235e9, 22e9, 0.02},
    {"mixtral-8x7b.json", 46'702'792'704, 12'748'853'248, 12'879'925'248, 0, 46.7e9, 0, 0.001},
    {"kimi-k2.json", 1'026'408'232'448, 31'687'095'808, 32'861'500'928, 0, 1.04e12, 32e9, 0.014},
    {"gpt3-175b.json", 174'604'259'328, 174'579'093'504, 174'604'259'328, 0, 174.6e9, 0, 0.001},
    {"pangu-ultra-moe-718b.json", 719'092'830'720, 39'190'909'440, 40'370'557'440, 12'443'328'000,
     718e9, 39e9, 0.006},
};

TEST(CountParameters, EqualsTheCountsPublishedForEveryConfig) {
    ASSERT_EQ(std::size(kPublished), std::size(kModelFiles));
    for (const Published& row : kPublished) {
        SCOPED_TRACE(row.file);
        const ParameterCounts counts = count_parameters(model_of(row.file));
        EXPECT_EQ(counts.total, row.total);
        EXPECT_EQ(counts.active_without_embedding, row.active_without_embedding);
        EXPECT_EQ(counts.active, row.active);
        EXPECT_EQ(counts.mtp_extra, row.mtp_extra);
        EXPECT_NEAR(static_cast<double>(counts.total) / row.announced, 1.0, row.rounding);
        if (row.announced_active <= 0.0) continue;
        EXPECT_NEAR(static_cast<double>(counts.active_without_embedding) / row.announced_active,
                    1.0, row.rounding);
    }
}

TEST(CountParameters, NonEmbeddingCountsMatchTheModelCards) {
    // Qwen's cards: 6.53B (2.5-7B), 6.95B (3-8B), 29.9B (3-30B-A3B), 234B (3-235B-A22B) without
    // embedding and head.
    const std::pair<const char*, double> cards[] = {{"qwen2.5-7b.json", 6.53e9},
                                                    {"qwen3-8b.json", 6.95e9},
                                                    {"qwen3-30b-a3b.json", 29.9e9},
                                                    {"qwen3-235b-a22b.json", 234e9}};
    for (const auto& [file, card] : cards) {
        const ParameterCounts counts = count_parameters(model_of(file));
        const auto inner = static_cast<double>(counts.total - counts.embedding - counts.head);
        EXPECT_NEAR(inner / card, 1.0, 0.002) << file;
    }
}

TEST(CountParameters, OfATinyModelByHand) {
    Architecture a;
    a.vocab_size = 10;
    a.hidden_size = 4;
    a.layers = {{LayerKind::kDense, 2}};
    a.attention.heads = 2;
    a.attention.kv_heads = 1;
    a.attention.head_dim = 2;
    a.attention.v_head_dim = 2;
    a.attention.qk_norm = true;
    a.attention.qkv_bias = true;
    a.mlp.intermediate_size = 8;
    a.position.length_max = 16;
    ASSERT_TRUE(validate(a).ok());
    // Layer: norms 2*4; q 4*4+4, k and v 2*4+2 each, o 4*4; q and k norms 2*2; MLP 3*4*8.
    const std::int64_t layer = 8 + 20 + 10 + 10 + 16 + 4 + 96;
    EXPECT_EQ(block_parameters(a, Block::kDenseLayer), layer);
    ParameterCounts counts = count_parameters(a);
    EXPECT_EQ(counts.total, 2 * layer + 40 + 4 + 40);
    EXPECT_EQ(counts.embedding, 40);
    EXPECT_EQ(counts.head, 40);
    // Multiplied: 16 + 8 + 8 + 16 + 96 per layer.
    EXPECT_EQ(counts.multiplied, 2 * 144 + 40);

    a.tied_embeddings = true;  // one table fewer, and it now is the head too
    counts = count_parameters(a);
    EXPECT_EQ(counts.total, 2 * layer + 40 + 4);
    EXPECT_EQ(counts.active_without_embedding, counts.total);
    EXPECT_EQ(counts.multiplied, 2 * 144 + 40);

    a.norm.sandwich = true;  // two more norms of 4 in each layer
    EXPECT_EQ(block_parameters(a, Block::kDenseLayer), layer + 8);
}

TEST(Tensors, OfABlockAddUpToItsCountAndHaveDistinctRoles) {
    for (const char* file : kModelFiles) {
        const Architecture a = model_of(file);
        for (const Block block : kBlocks) {
            if (block_count(a, block) == 0) continue;
            std::int64_t sum = 0;
            const auto list = tensors(a, block);
            for (std::size_t i = 0; i < list.size(); ++i) {
                EXPECT_GT(list[i].elements(), 0) << file << " " << list[i].role;
                sum += list[i].elements();
                for (std::size_t j = 0; j < i; ++j) EXPECT_NE(list[i].role, list[j].role) << file;
            }
            EXPECT_EQ(sum, block_parameters(a, block));
        }
    }
}

}  // namespace
}  // namespace ascertain::model
