#include "predict/cost/search.hpp"

#include <gtest/gtest.h>

#include "predict/cost/cost_json.hpp"
#include "predict/cost/test_kit.hpp"

namespace ascertain::cost {
namespace {

SearchResult search(const std::string& model, const catalog::Fleet& fleet, const TrainingJob& job,
                    const SearchOptions& options) {
    const auto result = find_plans(shipped_model(model), fleet, job, shipped_book(), options);
    EXPECT_TRUE(result) << (result ? "" : result.error().text());
    return *result;
}

// GPT-3's config has 2,048 rows of learned positions: 4,096 tokens have none to look up.
TEST(FindPlans, NamesThePositionTableThatIsTooShort) {
    TrainingJob job = gpt3_job();
    job.sequence_length = 4096;
    const auto result = find_plans(shipped_model("gpt3-175b"), fleet_of("a100-80gb-sxm", 1024), job,
                                   shipped_book(), {});
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kBadInput);
    EXPECT_NE(result.error().text().find("position table of 2048 rows"), std::string::npos);
}

// What a person asks for is what is searched: every schedule has plans of its own, and HSDP's
// groups end with the scale-up domain of 8.
TEST(FindPlans, TriesOnlyTheSchedulesAndShardingsAskedFor) {
    using enum parallel::ScheduleKind;
    const catalog::Fleet fleet = fleet_of("a100-80gb-sxm", 1024);
    for (const auto kind : {kGPipe, k1F1B, kInterleaved, kZbH1, kZbV, kDualPipe, kDualPipeV}) {
        SearchOptions options;
        options.schedules = {kind};
        options.pp = {8};
        options.recomputes = {parallel::Recompute::kFull};
        const SearchResult found = search("gpt3-175b", fleet, gpt3_job(), options);
        ASSERT_FALSE(found.plans.empty()) << parallel::name_of(kind) << found.nothing_fits;
        for (const RankedPlan& ranked : found.plans) EXPECT_EQ(ranked.plan.schedule, kind);
    }
    SearchOptions options;
    options.shardings = {parallel::Sharding::kHsdp};
    options.tp = {2};
    const SearchResult found =
        search("llama-3.1-8b", fleet_of("a100-80gb-sxm", 64), gpt3_job(), options);
    ASSERT_FALSE(found.plans.empty());
    for (const RankedPlan& ranked : found.plans)
        EXPECT_LE(ranked.plan.sharding_group * ranked.plan.tp, 8);
}

struct Space {
    const char* model;
    const char* chip;
    std::int64_t devices;
    std::int64_t sequences;
};
class EqualsBruteForce : public testing::TestWithParam<Space> {};

// Pruning by the bound must not change the answer, plan by plan.
TEST_P(EqualsBruteForce, TopFive) {
    TrainingJob job = gpt3_job();
    job.global_batch_sequences = GetParam().sequences;
    const catalog::Fleet fleet = fleet_of(GetParam().chip, GetParam().devices);
    SearchOptions options;
    const SearchResult pruned = search(GetParam().model, fleet, job, options);
    options.exhaustive = true;
    const SearchResult brute = search(GetParam().model, fleet, job, options);
    EXPECT_EQ(brute.exact, brute.costed);
    EXPECT_LT(pruned.exact, brute.exact);
    ASSERT_EQ(pruned.plans.size(), brute.plans.size());
    for (std::size_t i = 0; i < brute.plans.size(); ++i)
        EXPECT_DOUBLE_EQ(pruned.plans[i].cost.step_s, brute.plans[i].cost.step_s) << i;
}

INSTANTIATE_TEST_SUITE_P(Spaces, EqualsBruteForce,
                         testing::Values(Space{"llama-3.1-8b", "a100-80gb-sxm", 32, 128},
                                         Space{"llama-3.1-70b", "h100-80gb-sxm", 64, 256},
                                         Space{"qwen3-30b-a3b", "h100-80gb-sxm", 64, 256},
                                         Space{"gpt3-175b", "a100-80gb-sxm", 256, 512}),
                         [](const testing::TestParamInfo<Space>& one) {
                             std::string name = one.param.model;
                             for (char& c : name)
                                 if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
                             return name;
                         });

TEST(FindPlans, EveryAnswerUsesAllDevicesFitsAndIsRanked) {
    const catalog::Fleet fleet = fleet_of("a100-80gb-sxm", 256);
    TrainingJob job = gpt3_job();
    job.global_batch_sequences = 512;
    const SearchResult result = search("gpt3-175b", fleet, job, {});
    ASSERT_FALSE(result.plans.empty());
    double last = 0.0;
    for (const RankedPlan& ranked : result.plans) {
        EXPECT_EQ(parallel::devices(ranked.plan), 256);
        EXPECT_LE(ranked.cost.memory_bytes, fleet.chip.memory.value->count);
        EXPECT_GE(ranked.cost.step_s, last);
        last = ranked.cost.step_s;
    }
    EXPECT_TRUE(result.plans.front().worse_because.empty());
    EXPECT_FALSE(result.plans.back().worse_because.empty());
}

TEST(FindPlans, WhenNothingFitsItSaysWhatWould) {
    TrainingJob job = gpt3_job();
    job.global_batch_sequences = 64;
    const SearchResult result = search("gpt3-175b", fleet_of("a100-80gb-sxm", 8), job, {});
    EXPECT_TRUE(result.plans.empty());
    EXPECT_EQ(result.costed, 0);
    EXPECT_NE(result.nothing_fits.find("would hold it"), std::string::npos) << result.nothing_fits;
}

// Sequences of 32 k tokens for an 8 B model on 8 devices: weights and state fit, the activations of
// all layers do not; the host could take them.
TEST(FindPlans, SaysWhenTheHostCouldHoldTheActivations) {
    TrainingJob job = gpt3_job();
    job.sequence_length = 32768;
    job.global_batch_sequences = 8;
    SearchOptions options;
    options.tp = {1};
    options.cp = {1};
    options.pp = {1};
    options.micro_batch = {1};
    options.recomputes = {parallel::Recompute::kNone};
    const SearchResult result = search("llama-3.1-8b", fleet_of("h100-80gb-sxm", 8), job, options);
    ASSERT_TRUE(result.plans.empty());
    EXPECT_NE(result.nothing_fits.find("--offload-layers 32"), std::string::npos)
        << result.nothing_fits;
    options.offload_layers = 32;
    EXPECT_FALSE(search("llama-3.1-8b", fleet_of("h100-80gb-sxm", 8), job, options).plans.empty());
}

// What is asked for and cannot be is named, field by field.
TEST(FindPlans, NamesTheContradictionInWhatIsAskedFor) {
    const auto refused = [](const SearchOptions& options) {
        const auto result = find_plans(shipped_model("gpt3-175b"), fleet_of("a100-80gb-sxm", 1024),
                                       gpt3_job(), shipped_book(), options);
        EXPECT_FALSE(result);
        return result ? std::string() : result.error().text();
    };
    SearchOptions options;
    options.tp = {3};
    EXPECT_NE(refused(options).find("tp 3 x pp 1 x cp 1 does not divide 1024 devices"),
              std::string::npos);
    options.tp = {64};
    EXPECT_NE(refused(options).find("64 does not divide 96 attention heads"), std::string::npos);
    options.tp = {8};
    options.pp = {8};
    options.micro_batch = {7};
    EXPECT_NE(refused(options).find("micro-batch 7 x dp 16 does not divide 1536 sequences"),
              std::string::npos);
}

TEST(FindPlans, ConstraintsAreKept) {
    SearchOptions options;
    options.tp = {4};
    options.schedules = {parallel::ScheduleKind::k1F1B};
    TrainingJob job = gpt3_job();
    job.global_batch_sequences = 1536;
    const SearchResult result = search("gpt3-175b", fleet_of("a100-80gb-sxm", 1024), job, options);
    ASSERT_FALSE(result.plans.empty());
    for (const RankedPlan& ranked : result.plans) {
        EXPECT_EQ(ranked.plan.tp, 4);
        EXPECT_EQ(ranked.plan.schedule, parallel::ScheduleKind::k1F1B);
    }
}

// One number for each of pp x chunks stages; the plan keeps what was asked for.
TEST(FindPlans, KeepsTheSplitOfLayersThatIsGiven) {
    SearchOptions options;
    options.pipeline_layers = {11, 13, 13, 12, 12, 12, 12, 11};
    TrainingJob job = gpt3_job();
    job.global_batch_sequences = 1536;
    const catalog::Fleet fleet = fleet_of("a100-80gb-sxm", 1024);
    const SearchResult result = search("gpt3-175b", fleet, job, options);
    ASSERT_FALSE(result.plans.empty());
    for (const RankedPlan& ranked : result.plans) {
        EXPECT_EQ(ranked.plan.pipeline_layers, options.pipeline_layers);
        EXPECT_EQ(parallel::virtual_stages(ranked.plan), 8);
    }
    options.pipeline_layers.back() = 12;
    const auto wrong = find_plans(shipped_model("gpt3-175b"), fleet, job, shipped_book(), options);
    ASSERT_FALSE(wrong);
    EXPECT_EQ(wrong.error().where, "plan.pipeline_layers");
    EXPECT_NE(wrong.error().text().find("hold 97 layers, the model has 96"), std::string::npos);
}

// Blocks recompute only where nothing else fits, and then no layer more than it takes.
TEST(FindPlans, RecomputesTheFewestLayersThatFit) {
    SearchOptions options;
    options.recomputes = {parallel::Recompute::kBlocks};
    options.top = 20;
    TrainingJob job = gpt3_job();
    job.global_batch_sequences = 1536;
    const catalog::Fleet fleet = fleet_of("a100-80gb-sxm", 256);
    const SearchResult result = search("gpt3-175b", fleet, job, options);
    ASSERT_FALSE(result.plans.empty());
    const double usable = fleet.chip.memory.value->count * options.memory_share;
    for (const RankedPlan& ranked : result.plans) {
        EXPECT_LE(ranked.cost.memory_bytes, usable);
        parallel::Plan leaner = ranked.plan;
        ASSERT_GT(leaner.recompute_layers, 0);
        --leaner.recompute_layers;
        const auto cost = step_cost(shipped_model("gpt3-175b"), fleet, job, leaner, shipped_book());
        ASSERT_TRUE(cost);
        EXPECT_GT(cost->memory_bytes, usable) << parallel::describe(ranked.plan);
    }
}

// Where experts are few and wide, splitting one over ranks of a node is a choice like any other.
TEST(FindPlans, TriesExpertsSplitOverRanks) {
    SearchOptions options;
    options.etp = {2};
    const SearchResult result =
        search("mixtral-8x7b", fleet_of("h100-80gb-sxm", 64), gpt3_job(), options);
    ASSERT_FALSE(result.plans.empty()) << result.nothing_fits;
    for (const RankedPlan& ranked : result.plans) EXPECT_EQ(ranked.plan.etp, 2);
    const SearchResult all = search("mixtral-8x7b", fleet_of("h100-80gb-sxm", 64), gpt3_job(), {});
    options.etp = {1};
    const SearchResult whole =
        search("mixtral-8x7b", fleet_of("h100-80gb-sxm", 64), gpt3_job(), options);
    EXPECT_GT(all.considered, whole.considered + result.considered);
}

// An unknown host link is named, not guessed.
TEST(FindPlans, OffloadNeedsTheHostLink) {
    SearchOptions options;
    options.offload_layers = 4;
    const catalog::Fleet fleet = fleet_of("ascend-910b2", 64);
    const auto result =
        find_plans(shipped_model("llama-3.1-8b"), fleet, gpt3_job(), shipped_book(), options);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kUnknownValue);
    EXPECT_NE(result.error().text().find("host_link.per_direction"), std::string::npos);
}

TEST(FindPlans, ABatchThatNothingDividesIsAnError) {
    TrainingJob job = gpt3_job();
    job.global_batch_sequences = 7;
    SearchOptions options;
    options.pp = {1};
    const auto result = find_plans(shipped_model("llama-3.1-8b"), fleet_of("a100-80gb-sxm", 64),
                                   job, shipped_book(), options);
    ASSERT_FALSE(result);
    EXPECT_EQ(result.error().code, ErrorCode::kBadInput);
}

TEST(PlanDocument, HasTheFieldsThatOthersRead) {
    const SearchResult result =
        search("llama-3.1-8b", fleet_of("a100-80gb-sxm", 32), gpt3_job(), {});
    const Json document = to_json(result);
    EXPECT_EQ(document["schema"], "ascertain.plan/1");
    for (const char* key : {"considered", "pruned", "costed", "exact", "elapsed_s"})
        EXPECT_TRUE(document[key].is_number()) << key;
    ASSERT_FALSE(document["plans"].empty());
    for (const char* key : {"tp", "pp", "vpp", "dp", "cp", "ep", "etp", "micro_batch", "step_s",
                            "low_s", "high_s", "memory_bytes", "tokens_per_s", "mfu_ratio"})
        EXPECT_TRUE(document["plans"][0][key].is_number()) << key;
    for (const char* key : {"sharding", "recompute", "schedule", "bound_by"})
        EXPECT_TRUE(document["plans"][0][key].is_string()) << key;
}

}  // namespace
}  // namespace ascertain::cost
