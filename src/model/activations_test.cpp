#include "model/activations.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "model/testing.hpp"

namespace ascertain::model {
namespace {

using testing_support::kModelFiles;
using testing_support::model_of;

constexpr ActivationOptions kStored{.flash_attention = false, .recompute = Recompute::kNone};
constexpr ActivationOptions kSelective{.flash_attention = false,
                                       .recompute = Recompute::kSelective};
constexpr ActivationOptions kFull{.flash_attention = false, .recompute = Recompute::kFull};

double saved(const Architecture& a, Block block, const Shard& shard, const Batch& batch,
             const ActivationOptions& options) {
    return total_size(saved_activations(a, block, shard, batch, options).value()).count;
}

// The GPT-3 layer of Korthikanti et al. 2022, arXiv 2205.05198: fp16, all three dropouts on.
struct Gpt {
    // The vocabulary is padded to 51,200, as the paper has it, to divide by t.
    Architecture model = pad_vocabulary(model_of("gpt3-175b.json"), 1024);
    Batch batch{.sequences = 1, .sequence_length = 2048};
    double s = 2048;
    double b = 1;
    double h = 12288;
    double a = 96;
    double t = 8;
    [[nodiscard]] double of(const Shard& shard, const ActivationOptions& options) const {
        return saved(model, Block::kDenseLayer, shard, batch, options);
    }
};

TEST(SavedActivations, OfAGptLayerAreEquation1) {
    // s b h (34 + 5 a s / h)
    const Gpt g;
    EXPECT_DOUBLE_EQ(g.of({}, kStored), g.s * g.b * g.h * (34 + 5 * g.a * g.s / g.h));
}

TEST(SavedActivations, OfAGptLayerUnderTensorParallelismAreEquation2) {
    // s b h (10 + 24 / t + 5 a s / (h t))
    const Gpt g;
    EXPECT_DOUBLE_EQ(g.of({.tp = 8}, kStored),
                     g.s * g.b * g.h * (10 + 24 / g.t + 5 * g.a * g.s / (g.h * g.t)));
}

TEST(SavedActivations, OfAGptLayerWithSequenceParallelismAreEquation4) {
    // s b h / t (34 + 5 a s / h)
    const Gpt g;
    EXPECT_DOUBLE_EQ(g.of({.tp = 8, .sequence_parallel = true}, kStored),
                     g.s * g.b * g.h / g.t * (34 + 5 * g.a * g.s / g.h));
}

TEST(SavedActivations, OfAGptLayerWithSelectiveRecomputeLoseTheQuadraticTerm) {
    // Equation 6: 34 s b h / t. Full recompute keeps the layer's input, 2 s b h.
    const Gpt g;
    EXPECT_DOUBLE_EQ(g.of({.tp = 8, .sequence_parallel = true}, kSelective),
                     34 * g.s * g.b * g.h / g.t);
    EXPECT_DOUBLE_EQ(g.of({.tp = 8}, kFull), 2 * g.s * g.b * g.h);
    EXPECT_DOUBLE_EQ(g.of({.tp = 8, .sequence_parallel = true}, kFull), 2 * g.s * g.b * g.h / g.t);
}

TEST(SavedActivations, OfFlashAttentionKeepOneNumberPerQuery) {
    const Gpt g;
    EXPECT_DOUBLE_EQ(g.of({}, {}), 34 * g.s * g.b * g.h + 4 * g.a * g.s * g.b);
}

TEST(SavedActivations, OfTheEndsAreThoseOfSection43) {
    // Embedding dropout s b h / t and head 4 s b h / t (1 + v / h), paper section 4.3.
    const Gpt g;
    ASSERT_EQ(g.model.vocab_size, 51'200);
    const Shard shard{.tp = 8, .sequence_parallel = true};
    EXPECT_DOUBLE_EQ(saved(g.model, Block::kEmbedding, shard, g.batch, kStored),
                     g.s * g.b * g.h / g.t);
    EXPECT_DOUBLE_EQ(saved(g.model, Block::kHead, shard, g.batch, kStored),
                     4 * g.s * g.b * g.h / g.t * (1 + 51'200 / g.h));
}

TEST(SavedActivations, OfALlamaLayerByHand) {
    // bf16, no dropout, h 4096, 32 query and 8 key-value heads of 128, MLP 14336, flash. Per token
    // in elements: two norm inputs and two linear inputs 4 h; q 4096, k and v 2 x 1024, context
    // 4096; gate, up and product 3 x 14336; and 32 fp32 log sums.
    const Architecture a = model_of("llama-3.1-8b.json");
    const double per_token = 2.0 * (4 * 4096 + 4096 + 2048 + 4096 + 3 * 14336) + 4.0 * 32;
    EXPECT_DOUBLE_EQ(saved(a, Block::kDenseLayer, {}, {.sequences = 2, .sequence_length = 512}, {}),
                     1024 * per_token);
}

TEST(SavedActivations, KeepLinearInputsInOneByteUnderFp8) {
    // Of the layer above, in elements: both linear inputs 2 h, the context and the MLP's product.
    const Architecture a = model_of("llama-3.1-8b.json");
    Batch batch{.sequences = 2, .sequence_length = 512};
    const double wide = saved(a, Block::kDenseLayer, {}, batch, {});
    batch.linear_dtype = Dtype::kFp8;
    EXPECT_DOUBLE_EQ(wide - saved(a, Block::kDenseLayer, {}, batch, {}),
                     1024.0 * (2 * 4096 + 4096 + 14336));
}

TEST(SavedActivations, OfAnR1LayerByHand) {
    // Per token in elements: 4 h; latents 2 x 1536 + 2 x 512; q and k 2 x 128 x 192, v and context
    // 2 x 128 x 128; eight copies of the row in and out of the experts, 8 x 3 x 2048 inside, the
    // shared expert 3 x 2048. In bytes: log sums 128 x 4, scores 256 x 4, routes 8 x 8.
    const Architecture a = model_of("deepseek-r1.json");
    const double elements = 4 * 7168 + 2 * 1536 + 2 * 512 + 2 * 128 * 192 + 2 * 128 * 128 +
                            8 * (2 * 7168 + 3 * 2048) + 3 * 2048;
    EXPECT_DOUBLE_EQ(saved(a, Block::kMoeLayer, {}, {.sequences = 1, .sequence_length = 4096}, {}),
                     4096 * (2.0 * elements + 128 * 4 + 256 * 4 + 8 * 8));
}

TEST(SavedActivations, NeverGrowWithRecomputeOrSharding) {
    for (const char* file : kModelFiles) {
        SCOPED_TRACE(file);
        const Architecture a = pad_vocabulary(model_of(file), 4);
        const Batch batch{.sequences = 1, .sequence_length = 1024};
        for (const Block block : kBlocks) {
            if (block_count(a, block) == 0) continue;
            const double whole = saved(a, block, {}, batch, kStored);
            EXPECT_LE(saved(a, block, {}, batch, kSelective), whole);
            EXPECT_LE(saved(a, block, {}, batch, kFull), saved(a, block, {}, batch, kSelective));
            const Shard tp{.tp = 4, .sequence_parallel = true};
            EXPECT_LE(saved(a, block, tp, batch, kStored), whole);
            EXPECT_LE(saved(a, block, {.cp = 4}, batch, kStored), whole);
        }
    }
}

TEST(SavedActivations, AreItemisedAndAllPositive) {
    const Architecture a = model_of("deepseek-r1.json");
    const auto list =
        saved_activations(a, Block::kMtp, {}, {.sequences = 1, .sequence_length = 64}, {});
    ASSERT_TRUE(list.ok());
    for (const SavedTensor& tensor : *list) {
        EXPECT_GT(tensor.size.count, 0.0) << tensor.name;
        EXPECT_FALSE(tensor.saved_by.empty()) << tensor.name;
        const auto same = [&](const SavedTensor& other) { return other.name == tensor.name; };
        EXPECT_EQ(std::ranges::count_if(*list, same), 1) << tensor.name;
    }
    // A block the model does not have saves nothing.
    EXPECT_EQ(saved(model_of("llama-2-7b.json"), Block::kMoeLayer, {},
                    {.sequences = 1, .sequence_length = 64}, {}),
              0.0);
}

}  // namespace
}  // namespace ascertain::model
