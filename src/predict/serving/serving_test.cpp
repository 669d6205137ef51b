#include "predict/serving/serving.hpp"

#include <cmath>
#include <limits>

#include "predict/serving/layouts.hpp"
#include "predict/serving/serving_json.hpp"
#include "predict/serving/test_kit.hpp"

namespace ascertain::serving {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

Result<Estimate> ask(const Server& server, const Workload& workload, const Limits& limits = {},
                     std::optional<double> sequences = std::nullopt) {
    return estimate(server, workload, limits, EngineLevel{}, cost::shipped_book(), sequences);
}

Server dense() {
    return server_of("llama-3.1-70b", "h100-80gb-sxm", {4, 1}, in(Precision::kFp8));
}

TEST(Serving, TheLargestBatchFitsAndOneMoreDoesNot) {
    const Server server = dense();
    const auto found = ask(server, {1000, 1000, 0});
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_TRUE(memory_of(server, found->sequences, found->context).fits());
    EXPECT_FALSE(memory_of(server, found->sequences + 1.0, found->context).fits());
    EXPECT_DOUBLE_EQ(found->context, 1500.0);
}

TEST(Serving, AnEngineThatHoldsFewerSequencesHoldsNoMore) {
    Engine engine = in(Precision::kFp8);
    engine.batch_max = 32;
    const auto found =
        ask(server_of("llama-3.1-70b", "h100-80gb-sxm", {4, 1}, engine), {1000, 1000, 0});
    ASSERT_TRUE(found);
    EXPECT_DOUBLE_EQ(found->sequences, 32.0);
}

TEST(Serving, ALatencyIsMetByTheLargestBatchThatMeetsIt) {
    const Server server = dense();
    const auto free = ask(server, {1000, 1000, 0});
    ASSERT_TRUE(free);
    const double limit = 0.6 * free->time_per_output_token_s.mid;
    const auto found = ask(server, {1000, 1000, 0}, {limit, std::nullopt});
    ASSERT_TRUE(found) << found.error().text();
    EXPECT_LT(found->sequences, free->sequences);
    EXPECT_LE(found->time_per_output_token_s.mid, limit);
    const auto more = ask(server, {1000, 1000, 0}, {}, found->sequences + 1.0);
    ASSERT_TRUE(more);
    EXPECT_GT(more->time_per_output_token_s.mid, limit);
}

TEST(Serving, WhatCannotBeMetSaysWhatCouldBe) {
    const auto found = ask(dense(), {1000, 1000, 0}, {1e-6, std::nullopt});
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().code, ErrorCode::kBadInput);
    EXPECT_NE(found.error().text().find("time per output token"), std::string::npos);
    const auto first = ask(dense(), {1000, 1000, 0}, {std::nullopt, 1e-6});
    ASSERT_FALSE(first);
    EXPECT_NE(first.error().text().find("time to first token"), std::string::npos);
}

TEST(Serving, OneRateFollowsFromTheOtherTwo) {
    const auto found = ask(dense(), {3000, 500, 0});
    ASSERT_TRUE(found);
    const double seconds =
        3000.0 / found->prefill_tokens_per_s.mid + 500.0 / found->decode_tokens_per_s.mid;
    EXPECT_NEAR(found->output_tokens_per_s.mid, 500.0 / seconds, 1e-6 * 500.0 / seconds);
    // A chip's rate is its share of what all sequences gain per step.
    EXPECT_NEAR(found->decode_tokens_per_s.mid,
                found->sequences / found->time_per_output_token_s.mid / 4.0, 1e-6);
}

TEST(Serving, EveryFigureHasAnIntervalAndABasis) {
    const auto found = ask(dense(), {1000, 1000, 0});
    ASSERT_TRUE(found);
    for (const auto& one :
         {found->prefill_tokens_per_s, found->decode_tokens_per_s, found->output_tokens_per_s,
          found->time_to_first_token_s, found->time_per_output_token_s}) {
        EXPECT_TRUE(std::isfinite(one.low) && std::isfinite(one.high));
        EXPECT_LT(0.0, one.low);
        EXPECT_LT(one.low, one.mid);
        EXPECT_LT(one.mid, one.high);
    }
    EXPECT_FALSE(found->basis.empty());
    EXPECT_EQ(to_json(*found).at("tp"), 4);
}

TEST(Serving, ADieNobodyMeasuredIsLessCertain) {
    const EngineLevel level;
    const Server known = dense();
    const Server unknown = server_of("llama-3.1-70b", "gaudi3", {4, 1}, in(Precision::kBf16));
    EXPECT_DOUBLE_EQ(interval_width(known, level), level.width);
    EXPECT_GT(interval_width(unknown, level), level.width);
}

TEST(Serving, WhatDoesNotFitIsRefusedWithWhatItNeeds) {
    const auto found =
        ask(server_of("llama-3.1-405b", "h100-80gb-sxm", {8, 1}, in(Precision::kBf16)),
            {1000, 1000, 0});
    ASSERT_FALSE(found);
    EXPECT_EQ(found.error().where, "serving: memory");
    EXPECT_NE(found.error().text().find("weights"), std::string::npos);
    // A context that fills the memory alone is as bad.
    const auto context = ask(dense(), {100'000'000, 10, 0});
    ASSERT_FALSE(context);
    EXPECT_EQ(context.error().where, "serving: memory");
}

TEST(Serving, AbsurdWorkloadsAreRefusedByName) {
    const Server server = dense();
    for (const double bad : {0.0, -1.0, kNan, HUGE_VAL, 1e12}) {
        const auto prompt = ask(server, {bad, 100, 0});
        ASSERT_FALSE(prompt) << bad;
        EXPECT_EQ(prompt.error().where, "serving: prompt_tokens");
        const auto output = ask(server, {100, bad, 0});
        ASSERT_FALSE(output) << bad;
        EXPECT_EQ(output.error().where, "serving: output_tokens");
        EXPECT_FALSE(ask(server, {100, 100, 0}, {}, bad == 1e12 ? 1e7 : bad)) << bad;
    }
    for (const double bad : {-0.1, 1.0, kNan}) EXPECT_FALSE(ask(server, {100, 100, bad})) << bad;
}

TEST(Serving, AbsurdEnginesAndLayoutsAreRefusedByName) {
    const auto model = cost::shipped_model("llama-3.1-70b");
    const auto make = [&](const Layout& layout, const Engine& engine) {
        return make_server(model, cost::fleet_of("h100-80gb-sxm", 8), layout, engine,
                           cost::shipped_book());
    };
    const auto where = [&](const Layout& layout, const Engine& engine) {
        const auto server = make(layout, engine);
        return server ? std::string("accepted") : server.error().where;
    };
    const Engine plain = in(Precision::kBf16);
    EXPECT_EQ(where({0, 1}, plain), "serving: tp");
    EXPECT_EQ(where({-4, 1}, plain), "serving: tp");
    EXPECT_EQ(where({7, 1}, plain), "serving: tp");
    EXPECT_EQ(where({1, 0}, plain), "serving: dp");
    EXPECT_EQ(where({1, 2}, plain), "serving: dp");
    Engine engine = plain;
    engine.batch_max = 0;
    EXPECT_EQ(where({1, 1}, engine), "serving: batch_max");
    engine = plain;
    engine.prefill_tokens = 0;
    EXPECT_EQ(where({1, 1}, engine), "serving: prefill_tokens");
    engine = plain;
    engine.cache_bytes = 0.0;
    EXPECT_EQ(where({1, 1}, engine), "serving: cache_bytes");
    engine = plain;
    engine.draft_tokens = 1;
    EXPECT_EQ(where({1, 1}, engine), "serving: draft_tokens");
    engine = plain;
    engine.acceptance = kNan;
    EXPECT_EQ(where({1, 1}, engine), "serving: acceptance");
}

TEST(Serving, APeakThatNobodyPrintsIsUnknown) {
    const auto server =
        make_server(cost::shipped_model("llama-3.1-8b"), cost::fleet_of("ascend-910b2", 8), {1, 1},
                    in(Precision::kFp8), cost::shipped_book());
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().code, ErrorCode::kUnknownValue);
    EXPECT_NE(server.error().text().find("fp8"), std::string::npos);
}

TEST(Serving, TheNaturalPrecisionIsWhatWeightsAndChipShare) {
    const auto chip = [](const char* id) { return *cost::shipped_catalog().find_chip(id); };
    const auto eight = cost::shipped_model("deepseek-r1");
    EXPECT_EQ(natural_precision(eight, chip("h800-80gb-sxm")), Precision::kFp8);
    EXPECT_EQ(natural_precision(eight, chip("ascend-910b2")), Precision::kInt8);
    EXPECT_EQ(natural_precision(eight, chip("a100-80gb-sxm")), Precision::kInt8);
    EXPECT_EQ(natural_precision(cost::shipped_model("llama-3.1-8b"), chip("h800-80gb-sxm")),
              Precision::kBf16);
}

TEST(Layouts, TheBestOneBeatsTheOthersAndFits) {
    const auto fleet = cost::fleet_of("h800-80gb-sxm", 256, "roce-400");
    const auto ranked = best_layouts(cost::shipped_model("deepseek-r1"), fleet, in(Precision::kFp8),
                                     {2000, 1000, 0}, {0.05, std::nullopt}, EngineLevel{},
                                     cost::shipped_book(), 256, 4);
    ASSERT_TRUE(ranked) << ranked.error().text();
    ASSERT_GE(ranked->best.size(), 2u);
    EXPECT_GT(ranked->tried, 8);
    for (const Estimate& one : ranked->best) {
        EXPECT_TRUE(one.memory.fits());
        EXPECT_LE(one.layout.chips(), 256);
        EXPECT_LE(one.time_per_output_token_s.mid, 0.05);
        EXPECT_LE(one.output_tokens_per_s.mid, ranked->best.front().output_tokens_per_s.mid);
    }
}

TEST(Layouts, NothingFitsSaysWhy) {
    const auto ranked = best_layouts(
        cost::shipped_model("deepseek-r1"), cost::fleet_of("h800-80gb-sxm", 8), in(Precision::kFp8),
        {2000, 1000, 0}, {}, EngineLevel{}, cost::shipped_book(), 8, 4);
    ASSERT_TRUE(ranked);
    EXPECT_TRUE(ranked->best.empty());
    EXPECT_NE(ranked->nothing_fits.find("does not fit on 8 x h800"), std::string::npos);
    EXPECT_FALSE(best_layouts(cost::shipped_model("deepseek-r1"),
                              cost::fleet_of("h800-80gb-sxm", 8), in(Precision::kFp8),
                              {2000, 1000, 0}, {}, EngineLevel{}, cost::shipped_book(), 0, 4));
}

// ---- stages of a pipeline -----------------------------------------------------------------------

TEST(Stages, HoldTheirShareOfWeightsAndCache) {
    // 80 layers in 4 stages are 20 each; embedding or head, whichever is larger, comes on top.
    const Server whole =
        server_of("llama-3.1-70b", "h100-80gb-sxm", {1, 1, 1}, in(Precision::kFp8));
    const Server four = server_of("llama-3.1-70b", "h100-80gb-sxm", {1, 1, 4}, in(Precision::kFp8));
    const double cache = memory_of(whole, 64.0, 1000.0).cache.count;
    EXPECT_NEAR(memory_of(four, 64.0, 1000.0).cache.count, cache / 4.0, 1.0);
    const double weights = memory_of(whole, 1.0, 1000.0).weights.count;
    const double head = 128256.0 * 8192.0 * 2.0;  // in 16 bits, once as embedding and once as head
    EXPECT_NEAR(memory_of(four, 1.0, 1000.0).weights.count, (weights - 2.0 * head) / 4.0 + head,
                1e-6 * weights);
}

TEST(Stages, ATokenGoesThroughAllOfThemAndManyAreUnderWay) {
    const EngineLevel level;
    const Server one = server_of("llama-3.1-70b", "h100-80gb-sxm", {2, 1, 1}, in(Precision::kFp8));
    const Server four = server_of("llama-3.1-70b", "h100-80gb-sxm", {2, 1, 4}, in(Precision::kFp8));
    // Alone, a sequence gains nothing: the same layers, three sends and three more engine passes.
    const double alone = *step_seconds(one, level, 1.0, 2000.0);
    const double staged = *step_seconds(four, level, 1.0, 2000.0);
    const auto pass = decode_pass(four, 1.0, 2000.0);
    EXPECT_NEAR(staged - alone, 3.0 * (pass->host_s + pass->send_s), 1e-9);
    EXPECT_GT(pass->send_s, 0.0);
    // 256 sequences are four micro-batches of 64, one on each stage: a round lasts as long as the
    // busiest stage needs for all four, and each chip then makes nearly what it makes with 64.
    const double round = *step_seconds(four, level, 256.0, 2000.0);
    const auto micro = decode_pass(four, 64.0, 2000.0);
    EXPECT_NEAR(round, 4.0 * micro->busiest_stage(), 1e-12);
    EXPECT_NEAR(micro->busiest_stage(),
                micro->layers.total() / 4.0 + micro->head.total() + micro->host_s + micro->send_s,
                1e-12);
    const double per_chip = 256.0 / round / 8.0;
    const double per_chip_whole = 64.0 / *step_seconds(one, level, 64.0, 2000.0) / 2.0;
    EXPECT_LT(per_chip, per_chip_whole);
    EXPECT_GT(per_chip, 0.6 * per_chip_whole);
}

TEST(Stages, ServeWhatNoNodeHolds) {
    // 405 billion parameters in 16 bits are 810 GB; a node of eight has 640.
    const auto fleet = cost::fleet_of("h100-80gb-sxm", 32, "ib-ndr");
    const auto ranked =
        best_layouts(cost::shipped_model("llama-3.1-405b"), fleet, in(Precision::kBf16),
                     {2000, 1000, 0}, {}, EngineLevel{}, cost::shipped_book(), 32, 4);
    ASSERT_TRUE(ranked) << ranked.error().text();
    ASSERT_FALSE(ranked->best.empty()) << ranked->nothing_fits;
    for (const Estimate& one : ranked->best) {
        EXPECT_GT(one.layout.pp, 1);
        EXPECT_GE(static_cast<double>(one.layout.chips()) * one.memory.weights.count, 810e9);
        EXPECT_LE(one.layout.chips(), 32);
    }
}

TEST(Stages, AreAtMostAsManyAsLayers) {
    const auto fleet = cost::fleet_of("h100-80gb-sxm", 8);
    const auto model = cost::shipped_model("llama-3.1-8b");  // 32 layers
    for (const std::int64_t pp : {std::int64_t{0}, std::int64_t{33}}) {
        const auto server =
            make_server(model, fleet, {1, 1, pp}, in(Precision::kBf16), cost::shipped_book());
        ASSERT_FALSE(server);
        EXPECT_NE(server.error().text().find("32 layers"), std::string::npos);
    }
}

TEST(Stages, OfExpertsHoldAQuarterEach) {
    const Server four = server_of("deepseek-r1", "h800-80gb-sxm", {1, 8, 4}, in(Precision::kFp8));
    EXPECT_EQ(four.layout.chips(), 32);
    EXPECT_EQ(four.whole.moe.experts, 256);  // over the 8 chips of a stage
    const Server one = server_of("deepseek-r1", "h800-80gb-sxm", {1, 8, 1}, in(Precision::kFp8));
    EXPECT_NEAR(memory_of(four, 8.0, 1000.0).cache.count,
                memory_of(one, 8.0, 1000.0).cache.count * 16.0 / 61.0, 1.0);  // ceil(61 / 4)
    EXPECT_LT(memory_of(four, 1.0, 1000.0).weights.count,
              0.3 * memory_of(one, 1.0, 1000.0).weights.count);
}

TEST(EngineLevel, IsReadStrictly) {
    EXPECT_FALSE(EngineLevel::parse("schema = \"x\"", "a.toml"));
    const auto wrong = EngineLevel::parse(
        "schema = \"ascertain.serving/1\"\nrows = 1\nfitted_on = \"x\"\nprefill = -1.0\n",
        "a.toml");
    ASSERT_FALSE(wrong);
    EXPECT_NE(wrong.error().text().find("a.toml:4"), std::string::npos);
    EXPECT_GT(shipped_level().rows, 100);
}

}  // namespace
}  // namespace ascertain::serving
