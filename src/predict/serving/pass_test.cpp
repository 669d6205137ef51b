#include "predict/serving/pass.hpp"

#include <cmath>

#include "model/parameters.hpp"
#include "predict/serving/memory.hpp"
#include "predict/serving/test_kit.hpp"

namespace ascertain::serving {
namespace {

TEST(Pass, ADecodeStepOfOneSequenceReadsEveryWeightOnce) {
    const Server server = server_of("llama-3.1-8b", "h100-80gb-sxm", {}, in(Precision::kBf16));
    const auto pass = decode_pass(server, 1.0, 1.0);
    ASSERT_TRUE(pass);
    const double weights =
        static_cast<double>(model::count_parameters(server.whole).multiplied) * 2.0;
    const double least_s = weights / server.machine.memory_rate();
    EXPECT_GE(pass->seconds(), least_s);
    EXPECT_LE(pass->seconds(), 1.3 * least_s);
}

TEST(Pass, HalfAsManyBytesAWeightTakeHalfTheTimeAtOneSequence) {
    const auto wide = decode_pass(
        server_of("llama-3.1-70b", "h200-141gb-sxm", {8, 1}, in(Precision::kBf16)), 1.0, 1.0);
    const auto narrow = decode_pass(
        server_of("llama-3.1-70b", "h200-141gb-sxm", {8, 1}, in(Precision::kFp8)), 1.0, 1.0);
    ASSERT_TRUE(wide && narrow);
    EXPECT_NEAR(narrow->layers.matrix / wide->layers.matrix, 0.5, 0.08);
}

TEST(Pass, ACacheOfLatentsIsReadInPlaceOfKeysAndValues) {
    const Server latent = server_of("deepseek-v3", "h200-141gb-sxm", {1, 8}, in(Precision::kFp8));
    EXPECT_DOUBLE_EQ(cache_bytes_per_token(latent), 61.0 * (512 + 64) * 2.0);
    const Server grouped = server_of("llama-3.1-8b", "h100-80gb-sxm", {}, in(Precision::kBf16));
    EXPECT_DOUBLE_EQ(cache_bytes_per_token(grouped), 32.0 * 2 * 8 * 128 * 2);
    // 16 chips and 8 key-value heads: every chip keeps one, and none half.
    const auto wide =
        make_server(cost::shipped_model("llama-3.1-405b"), cost::fleet_of("h100-80gb-sxm", 16),
                    {16, 1}, in(Precision::kBf16), cost::shipped_book());
    ASSERT_TRUE(wide);
    EXPECT_DOUBLE_EQ(cache_bytes_per_token(*wide), 126.0 * 2 * 128 * 2);
}

TEST(Pass, AttentionGrowsWithTheContextAndOnlyIt) {
    const Server server = server_of("llama-3.1-8b", "h100-80gb-sxm", {}, in(Precision::kBf16));
    const auto near = decode_pass(server, 64.0, 1000.0);
    const auto far = decode_pass(server, 64.0, 4000.0);
    ASSERT_TRUE(near && far);
    EXPECT_DOUBLE_EQ(near->layers.matrix, far->layers.matrix);
    const double cache = 3000.0 * 64.0 * cache_bytes_per_token(server);
    EXPECT_NEAR(far->layers.attention - near->layers.attention,
                cache / server.machine.memory_rate(), 1e-6);
}

TEST(Pass, ExpertsThatNobodyChoseAreNotRead) {
    const Server server = server_of("qwen3-30b-a3b", "h100-80gb-sxm", {}, in(Precision::kBf16));
    const auto one = decode_pass(server, 1.0, 100.0);
    const auto many = decode_pass(server, 256.0, 100.0);
    ASSERT_TRUE(one && many);
    // One token reads 8 of 128 experts, 256 read all of them.
    EXPECT_GT(many->layers.matrix, 5.0 * one->layers.matrix);
    EXPECT_LT(many->layers.matrix, 16.0 * one->layers.matrix);
}

TEST(Pass, RedundantExpertsFillWhatDoesNotDivide) {
    const auto server = make_server(cost::shipped_model("deepseek-v3"),
                                    cost::fleet_of("h800-80gb-sxm", 144, "ib-ndr"), {1, 144},
                                    in(Precision::kFp8), cost::shipped_book());
    ASSERT_TRUE(server) << server.error().text();
    EXPECT_EQ(server->whole.moe.experts, 288);
    EXPECT_EQ(server->rank.moe.local_experts, 2);
}

TEST(Pass, ExchangeBesideComputeIsNeverSlower) {
    Engine engine = in(Precision::kFp8);
    const auto beside =
        decode_pass(server_of("deepseek-v3", "h200-141gb-sxm", {1, 8}, engine), 64.0, 2000.0);
    engine.overlap = false;
    const auto waited =
        decode_pass(server_of("deepseek-v3", "h200-141gb-sxm", {1, 8}, engine), 64.0, 2000.0);
    ASSERT_TRUE(beside && waited);
    EXPECT_LT(beside->layers.ep, waited->layers.ep);
    EXPECT_GT(beside->layers.ep, 0.0);
}

TEST(Pass, WhatIsCachedNeedsNoComputing) {
    const Server server = server_of("llama-3.1-8b", "h100-80gb-sxm", {}, in(Precision::kBf16));
    const auto all = prefill_pass(server, 2.0, 4096.0, 0.0);
    const auto half = prefill_pass(server, 2.0, 4096.0, 0.5);
    ASSERT_TRUE(all && half);
    EXPECT_NEAR(half->layers.matrix / all->layers.matrix, 0.5, 0.05);
    // Of the pairs, the later half of the tokens has three quarters.
    EXPECT_NEAR(half->layers.attention / all->layers.attention, 0.75, 0.02);
}

TEST(Pass, DraftsGainARunOfAcceptedTokens) {
    Engine engine;
    EXPECT_DOUBLE_EQ(tokens_per_step(engine), 1.0);
    engine.draft_tokens = 2;
    engine.acceptance = 0.7;
    EXPECT_DOUBLE_EQ(tokens_per_step(engine), 1.0 + 0.7 + 0.49);
    engine = in(Precision::kFp8);
    const Layout layout{1, 8};
    const auto plain =
        decode_pass(server_of("deepseek-v3", "h200-141gb-sxm", layout, engine), 8.0, 2000.0);
    engine.draft_tokens = 1;
    const auto drafted =
        decode_pass(server_of("deepseek-v3", "h200-141gb-sxm", layout, engine), 8.0, 2000.0);
    ASSERT_TRUE(plain && drafted);
    EXPECT_GT(drafted->seconds(), plain->seconds());
    EXPECT_LT(drafted->seconds(), 1.7 * plain->seconds());
}

}  // namespace
}  // namespace ascertain::serving
