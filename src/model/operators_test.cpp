#include "model/operators.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <tuple>

#include "model/testing.hpp"

namespace ascertain::model {
namespace {

using testing::HasSubstr;
using testing_support::kModelFiles;
using testing_support::model_of;

bool is_gemm(const Operator& op) {
    return op.kind == OperatorKind::kGemm || op.kind == OperatorKind::kGroupedGemm;
}

// FLOPs of products and attention over the whole model without MTP.
double matmul_flops(const Architecture& a, const std::vector<Operator>& list, bool causal) {
    double sum = 0.0;
    for (const Operator& op : list) {
        if (op.block == Block::kMtp || !(is_gemm(op) || op.kind == OperatorKind::kAttention))
            continue;
        const auto times = static_cast<double>(block_count(a, op.block) * op.count);
        sum += times * (causal ? op.flops_causal : op.flops);
    }
    return sum;
}

const Operator& find(const std::vector<Operator>& list, Block block, Phase phase,
                     std::string_view name, Gradient gradient = Gradient::kNone) {
    for (const Operator& op : list) {
        if (op.block == block && op.phase == phase && op.name == name && op.gradient == gradient) {
            return op;
        }
    }
    ADD_FAILURE() << "no operator " << name;
    static const Operator none;
    return none;
}

TEST(Operators, AddUpToSixNAndTheAttentionTermForEveryConfig) {
    for (const char* file : kModelFiles) {
        SCOPED_TRACE(file);
        const Architecture a = model_of(file);
        const std::int64_t length = 2048;
        const auto list = operators(a, {}, {.sequences = 2, .sequence_length = length});
        ASSERT_TRUE(list.ok());
        const double tokens = 2.0 * static_cast<double>(length);
        const FlopsPerToken expected = flops_per_token(a, length);
        EXPECT_NEAR(matmul_flops(a, *list, false) / tokens / expected.full, 1.0, 1e-12);
        EXPECT_NEAR(matmul_flops(a, *list, true) / tokens / expected.causal, 1.0, 1e-12);
    }
}

TEST(FlopsPerToken, EqualsTheClosedFormsOfAGptBlock) {
    // Narayanan et al. 2021, arXiv 2104.04473 equation 3: 96 B s l h^2 (1 + s/6h + V/16lh) with the
    // forward recomputed; without it 72 B s l h^2 (1 + s/6h + V/12lh).
    const Architecture a = model_of("gpt3-175b.json");
    const double s = 2048;
    const double l = 96;
    const double h = 12288;
    const double v = 50257;
    const FlopsPerToken flops = flops_per_token(a, 2048);
    EXPECT_NEAR(flops.hardware_4_3 / (96 * l * h * h * (1 + s / (6 * h) + v / (16 * l * h))), 1.0,
                1e-12);
    EXPECT_NEAR(flops.full / (72 * l * h * h * (1 + s / (6 * h) + v / (12 * l * h))), 1.0, 1e-12);
    EXPECT_NEAR(flops.full - flops.none, 12 * l * s * h, 1.0);
    EXPECT_NEAR(flops.causal - flops.none, 6 * l * s * h, 1.0);
}

TEST(FlopsPerToken, SixNHoldsForTheActiveWeightsOfR1) {
    // 36.6e9 weights multiply each token; norms and router biases in the published figure do not.
    const Architecture a = model_of("deepseek-r1.json");
    EXPECT_NEAR(flops_per_token(a, 4096).none / (6.0 * 36'625'618'432.0), 1.0, 1e-4);
    // 61 layers, 128 heads, 192 + 128 per head: A = 61 * 128 * 320 * 4096.
    EXPECT_NEAR(flops_per_token(a, 4096).full - flops_per_token(a, 4096).none,
                6.0 * 61 * 128 * 320 * 4096, 1e3);
}

TEST(Operators, OfALayerAreTheShapesOfItsLinears) {
    const Architecture a = model_of("llama-3.1-8b.json");
    const auto list = operators(a, {}, {.sequences = 1, .sequence_length = 1024});
    ASSERT_TRUE(list.ok());
    const auto gemm = [&](std::string_view name, Gradient gradient) {
        const Phase phase = gradient == Gradient::kNone ? Phase::kForward : Phase::kBackward;
        return find(*list, Block::kDenseLayer, phase, name, gradient).gemm;
    };
    // y [1024, 4096] = x [1024, 4096] W^T; grouped keys are 8 heads of 128.
    EXPECT_EQ(gemm("q_proj", Gradient::kNone), (GemmShape{1024, 4096, 4096}));
    EXPECT_EQ(gemm("k_proj", Gradient::kNone), (GemmShape{1024, 1024, 4096}));
    EXPECT_EQ(gemm("k_proj", Gradient::kInput), (GemmShape{1024, 4096, 1024}));
    EXPECT_EQ(gemm("k_proj", Gradient::kWeight), (GemmShape{1024, 4096, 1024}));
    EXPECT_EQ(gemm("down_proj", Gradient::kNone), (GemmShape{1024, 4096, 14336}));
    EXPECT_EQ(gemm("down_proj", Gradient::kWeight), (GemmShape{4096, 14336, 1024}));
    const Operator& attention = find(*list, Block::kDenseLayer, Phase::kForward, "attention");
    EXPECT_EQ(attention.attention, (AttentionShape{1, 32, 8, 1024, 1024, 128, 128, 0}));
    // Two products of 2 s^2 d per head, half of them under the mask.
    EXPECT_DOUBLE_EQ(attention.flops, 4.0 * 32 * 128 * 1024 * 1024);
    EXPECT_DOUBLE_EQ(attention.flops_causal, attention.flops / 2);
}

TEST(Operators, MakeTheGradientOfAWeightAsItIsStored) {
    // torch multiplies dy^T x for [out, in] and x^T dy for GPT-2's [in, out]; its tied head is the
    // embedding, [vocabulary, hidden].
    const auto weight = [](const char* file, Block block, std::string_view name) {
        const auto list = operators(model_of(file), {}, {.sequences = 1, .sequence_length = 64});
        return find(*list, block, Phase::kBackward, name, Gradient::kWeight).gemm;
    };
    EXPECT_EQ(weight("llama-2-7b.json", Block::kDenseLayer, "up_proj"),
              (GemmShape{11'008, 4096, 64}));
    EXPECT_EQ(weight("gpt3-175b.json", Block::kDenseLayer, "up_proj"),
              (GemmShape{12'288, 49'152, 64}));
    EXPECT_EQ(weight("gpt3-175b.json", Block::kHead, "output"), (GemmShape{50'257, 12'288, 64}));
}

TEST(Operators, OnARankOfATpGroupDoTheirShareOfTheWork) {
    const Architecture a = model_of("llama-3.1-70b.json");
    const Batch batch{.sequences = 1, .sequence_length = 4096};
    const auto whole = operators(a, {}, batch);
    for (const bool sequence_parallel : {false, true}) {
        const auto rank = operators(a, {.tp = 8, .sequence_parallel = sequence_parallel}, batch);
        ASSERT_TRUE(whole.ok() && rank.ok());
        EXPECT_NEAR(matmul_flops(a, *whole, false) / matmul_flops(a, *rank, false), 8.0, 1e-9);
        const Operator& norm = find(*rank, Block::kDenseLayer, Phase::kForward, "attention_norm");
        EXPECT_DOUBLE_EQ(norm.elements, 4096.0 * 8192 / (sequence_parallel ? 8 : 1));
    }
    const auto context = operators(a, {.cp = 4}, batch);
    ASSERT_TRUE(context.ok());
    EXPECT_NEAR(matmul_flops(a, *whole, true) / matmul_flops(a, *context, true), 4.0, 1e-9);
}

TEST(Operators, OfExpertsDependOnlyOnHowManyRowsArrive) {
    const Architecture a = model_of("deepseek-r1.json");
    const Batch batch{.sequences = 1, .sequence_length = 4096};
    const auto list = operators(a, {.ep = 32}, batch);
    ASSERT_TRUE(list.ok());
    const Operator& gate = find(*list, Block::kMoeLayer, Phase::kForward, "experts_gate_proj");
    // 4096 tokens choose 8 of 256 experts; 8 experts here get what 4096 * 8 rows spread evenly
    // give.
    EXPECT_EQ(gate.gemm, (GemmShape{4096 * 8, 2048, 7168, 8}));
    const Operator& router = find(*list, Block::kMoeLayer, Phase::kForward, "router");
    EXPECT_EQ(router.gemm, (GemmShape{4096, 256, 7168}));
    EXPECT_EQ(router.dtype, Dtype::kFp32);
    const auto& weight =
        find(*list, Block::kMoeLayer, Phase::kBackward, "experts_down_proj", Gradient::kWeight);
    EXPECT_EQ(weight.gemm, (GemmShape{7168, 2048, 4096 * 8, 8}));
    // TP 8 with ETP 1: each rank routes its eighth of the tokens, so experts see an eighth.
    const auto tp = operators(a, {.tp = 8, .ep = 32, .sequence_parallel = true}, batch);
    ASSERT_TRUE(tp.ok());
    EXPECT_EQ(find(*tp, Block::kMoeLayer, Phase::kForward, "experts_gate_proj").gemm.m, 4096);
    // ETP 8: all rows of the group, an eighth of the columns.
    const auto etp = operators(a, {.tp = 8, .ep = 32, .etp = 8, .sequence_parallel = true}, batch);
    ASSERT_TRUE(etp.ok());
    EXPECT_EQ(find(*etp, Block::kMoeLayer, Phase::kForward, "experts_gate_proj").gemm,
              (GemmShape{4096 * 8, 256, 7168, 8}));
}

TEST(Operators, OfLatentAttentionGoThroughTheLatents) {
    const Architecture a = model_of("deepseek-r1.json");
    const auto list = operators(a, {.tp = 4}, {.sequences = 1, .sequence_length = 128});
    EXPECT_EQ(list.error().where, "deepseek-r1.json: sequence_parallel");
    const auto good = operators(a, {.tp = 4, .sequence_parallel = true},
                                {.sequences = 1, .sequence_length = 128});
    ASSERT_TRUE(good.ok());
    const auto gemm = [&](std::string_view name) {
        return find(*good, Block::kMoeLayer, Phase::kForward, name).gemm;
    };
    // Down-projections are whole and see the 32 rows of this rank; up-projections are split.
    EXPECT_EQ(gemm("q_a_proj"), (GemmShape{32, 1536, 7168}));
    EXPECT_EQ(gemm("q_b_proj"), (GemmShape{128, 32 * 192, 1536}));
    EXPECT_EQ(gemm("kv_a_proj"), (GemmShape{32, 576, 7168}));
    EXPECT_EQ(gemm("kv_b_proj"), (GemmShape{128, 32 * 256, 512}));
    EXPECT_EQ(gemm("o_proj"), (GemmShape{128, 7168, 32 * 128}));
}

TEST(Operators, EveryMatrixIsMultipliedOnceForwardAndTwiceBackward) {
    for (const char* file : kModelFiles) {
        SCOPED_TRACE(file);
        const Architecture a = model_of(file);
        const auto list = operators(a, {}, {.sequences = 1, .sequence_length = 64});
        ASSERT_TRUE(list.ok());
        for (const Block block : kBlocks) {
            if (block_count(a, block) == 0) continue;
            std::size_t matrices = a.tied_embeddings && block == Block::kHead ? 1 : 0;
            matrices += block == Block::kMtp ? 1 : 0;  // the head it shares
            for (const Tensor& tensor : tensors(a, block)) matrices += tensor.multiplied ? 1u : 0u;
            std::size_t products = 0;
            for (const Operator& op : *list) products += op.block == block && is_gemm(op) ? 1u : 0u;
            EXPECT_EQ(products, 3 * matrices) << name_of(block);
        }
    }
}

TEST(Operators, HaveDistinctNamesAndPositiveTraffic) {
    for (const char* file : kModelFiles) {
        SCOPED_TRACE(file);
        const auto list = operators(model_of(file), {}, {.sequences = 1, .sequence_length = 64});
        ASSERT_TRUE(list.ok());
        std::set<std::tuple<Block, Phase, std::string_view, Gradient>> seen;
        for (const Operator& op : *list) {
            EXPECT_TRUE(seen.emplace(op.block, op.phase, op.name, op.gradient).second) << op.name;
            EXPECT_GT(op.elements, 0.0) << op.name;
            EXPECT_GT(op.bytes_read, 0.0) << op.name;
            EXPECT_GE(op.bytes_written, 0.0) << op.name;
            EXPECT_LE(op.flops_causal, op.flops) << op.name;
        }
    }
}

TEST(Operators, OfTheOptimizerCoverEveryParameterOfTheRank) {
    const Architecture a = model_of("deepseek-r1.json");
    const auto list = operators(a, {.ep = 64}, {.sequences = 1, .sequence_length = 64});
    ASSERT_TRUE(list.ok());
    const Operator& adamw = find(*list, Block::kMoeLayer, Phase::kOptimizer, "adamw");
    const Architecture rank = *shard_architecture(a, {.ep = 64});
    EXPECT_DOUBLE_EQ(adamw.elements, static_cast<double>(block_parameters(rank, Block::kMoeLayer)));
    // fp32 gradient, master weight and two moments in; the latter three and a bf16 copy out.
    EXPECT_DOUBLE_EQ((adamw.bytes_read + adamw.bytes_written) / adamw.elements, 30.0);
}

TEST(CausalPairs, AreHalfOfAllOrTheWindowLessItsStart) {
    EXPECT_DOUBLE_EQ(causal_pairs(100, 0), 50.0);
    EXPECT_DOUBLE_EQ(causal_pairs(100, 100), 50.0);
    EXPECT_DOUBLE_EQ(causal_pairs(100, 500), 50.0);
    // (w^2 / 2 + (s - w) w) / s with s = 100, w = 20.
    EXPECT_DOUBLE_EQ(causal_pairs(100, 20), (200.0 + 80.0 * 20.0) / 100.0);
}

TEST(Operators, RefuseWhatDoesNotDivideByName) {
    const Architecture a = model_of("qwen2.5-7b.json");
    const Batch batch{.sequences = 1, .sequence_length = 4096};
    EXPECT_EQ(operators(a, {.tp = 8}, batch).error().where, "qwen2.5-7b.json: attention.heads");
    EXPECT_EQ(operators(a, {.cp = 3}, batch).error().where,
              "qwen2.5-7b.json: batch.sequence_length");
    EXPECT_EQ(operators(a, {.ep = 2}, batch).error().where, "qwen2.5-7b.json: ep");
    EXPECT_EQ(operators(a, {.tp = 0}, batch).error().where, "qwen2.5-7b.json: tp");
    EXPECT_EQ(operators(a, {}, {.sequences = 0, .sequence_length = 1}).error().where,
              "qwen2.5-7b.json: batch.sequences");
    EXPECT_EQ(operators(a, {}, {.sequences = 1, .sequence_length = -4}).error().where,
              "qwen2.5-7b.json: batch.sequence_length");
    EXPECT_EQ(operators(a, {}, {.sequences = 1 << 20, .sequence_length = 1 << 20}).error().where,
              "qwen2.5-7b.json: batch.sequences");
    const Architecture gpt = model_of("gpt3-175b.json");
    EXPECT_THAT(operators(gpt, {}, {.sequences = 1, .sequence_length = 4096}).error().message,
                HasSubstr("learned positions end at 2048"));
}

}  // namespace
}  // namespace ascertain::model
