#include "predict/parallel/plan.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>

#include "predict/parallel/stages.hpp"

namespace ascertain::parallel {
namespace {

// 96 layers, 96 heads, a vocabulary and an MLP that eight ranks can split.
model::Architecture dense_model() {
    model::Architecture a;
    a.name = "dense";
    a.vocab_size = 51200;
    a.hidden_size = 12288;
    a.layers = {{model::LayerKind::kDense, 96}};
    a.attention.heads = 96;
    a.attention.kv_heads = 96;
    a.attention.head_dim = 128;
    a.attention.v_head_dim = 128;
    a.mlp.intermediate_size = 49152;
    return a;
}

model::Architecture expert_model() {
    model::Architecture a = dense_model();
    a.layers = {{model::LayerKind::kDense, 3}, {model::LayerKind::kMoe, 58}};
    a.mtp_layers = 1;
    a.moe.experts = 256;
    a.moe.local_experts = 256;
    a.moe.topk = 8;
    a.moe.expert_intermediate_size = 2048;
    return a;
}

Plan good_plan() {
    Plan plan;
    plan.tp = 8;
    plan.pp = 8;
    plan.dp = 16;
    plan.schedule = ScheduleKind::k1F1B;
    plan.sequence_parallel = true;
    return plan;
}

const BatchShape kBatch{2048, 1536};

TEST(CheckPlan, AcceptsAPlanWhoseSizesDivide) {
    const Result<void> fine = check_plan(dense_model(), good_plan(), 1024, kBatch);
    EXPECT_TRUE(fine) << (fine ? "" : fine.error().text());
    EXPECT_EQ(micro_batches(good_plan(), kBatch), 96);
}

struct BadPlan {
    const char* name;
    std::function<void(Plan&)> spoil;
    const char* where;
};

class Contradiction : public testing::TestWithParam<BadPlan> {};

TEST_P(Contradiction, IsNamed) {
    Plan plan = good_plan();
    GetParam().spoil(plan);
    const Result<void> answer = check_plan(dense_model(), plan, 1024, kBatch);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().where, GetParam().where) << answer.error().text();
    EXPECT_FALSE(plan_is_valid(dense_model(), plan, 1024, kBatch));
}

INSTANTIATE_TEST_SUITE_P(
    All, Contradiction,
    testing::Values(
        BadPlan{"degree", [](Plan& p) { p.cp = 0; }, "plan."},
        BadPlan{"devices", [](Plan& p) { p.dp = 8; }, "plan.dp"},
        BadPlan{"heads",
                [](Plan& p) {
                    p.tp = 64;
                    p.dp = 2;
                },
                "plan.tp"},
        BadPlan{"no_experts", [](Plan& p) { p.ep = 2; }, "plan.ep"},
        BadPlan{"no_schedule", [](Plan& p) { p.schedule = ScheduleKind::kNone; }, "plan.schedule"},
        BadPlan{"chunks_without_interleaving", [](Plan& p) { p.vpp = 2; }, "plan.vpp"},
        BadPlan{"interleaving_without_chunks",
                [](Plan& p) { p.schedule = ScheduleKind::kInterleaved; }, "plan.vpp"},
        BadPlan{"more_stages_than_layers",
                [](Plan& p) {
                    p.schedule = ScheduleKind::kInterleaved;
                    p.vpp = 24;
                },
                "plan.pp"},
        BadPlan{"batch", [](Plan& p) { p.micro_batch = 7; }, "plan.micro_batch"},
        BadPlan{"sharding_group", [](Plan& p) { p.sharding_group = 5; }, "plan.sharding_group"}),
    [](const testing::TestParamInfo<BadPlan>& one) { return one.param.name; });

TEST(CheckPlan, ExpertsMustDivideAndFitIntoTheOtherRanks) {
    Plan plan = good_plan();
    plan.ep = 64;
    EXPECT_TRUE(check_plan(expert_model(), plan, 1024, kBatch));
    plan.ep = 48;  // 256 / 48 is no whole number
    EXPECT_FALSE(check_plan(expert_model(), plan, 1024, kBatch));
    plan.ep = 256;  // tp * cp * dp is only 128
    const Result<void> answer = check_plan(expert_model(), plan, 1024, kBatch);
    ASSERT_FALSE(answer);
    EXPECT_EQ(answer.error().where, "plan.ep");
}

// 61 layers on 16 stages: 13 stages of 4 first, 3 of 3 last; the three dense layers come first.
TEST(Stages, AreAsEvenAsPossibleAndKeepTheOrderOfLayers) {
    Plan plan = good_plan();
    plan.pp = 16;
    std::vector<StageShare> stages;
    lay_out_stages(expert_model(), plan, stages);
    ASSERT_EQ(stages.size(), 16u);
    EXPECT_EQ(stages.front().dense_layers, 3);
    EXPECT_EQ(stages.front().moe_layers, 1);
    EXPECT_TRUE(stages.front().embedding);
    EXPECT_EQ(stages.back().layers(), 3);
    EXPECT_TRUE(stages.back().head);
    EXPECT_EQ(stages.back().mtp_layers, 1);
    const auto total =
        std::accumulate(stages.begin(), stages.end(), 0,
                        [](int sum, const StageShare& s) { return sum + s.layers(); });
    EXPECT_EQ(total, 61);
}

// DeepSeek-V3's 61 layers, three of them dense, cut by hand: each stage gets its run, in order.
TEST(Stages, FollowASplitThatIsGiven) {
    Plan plan = good_plan();
    plan.pp = 4;
    plan.pipeline_layers = {2, 20, 22, 17};
    std::vector<StageShare> stages;
    lay_out_stages(expert_model(), plan, stages);
    ASSERT_EQ(stages.size(), 4u);
    EXPECT_EQ(stages[0].dense_layers, 2);
    EXPECT_EQ(stages[1].dense_layers, 1);
    EXPECT_EQ(stages[1].moe_layers, 19);
    EXPECT_EQ(stages[3].moe_layers, 17);
    EXPECT_EQ(stages[3].mtp_layers, 1);
}

// 126 layers, and embedding and head as one slot each: 128 slots on 8 stages of 16.
TEST(Stages, EndsMayCountAsLayers) {
    model::Architecture a = dense_model();
    a.layers = {{model::LayerKind::kDense, 126}};
    Plan plan = good_plan();
    plan.ends_count_as_layers = true;
    std::vector<StageShare> stages;
    lay_out_stages(a, plan, stages);
    EXPECT_EQ(stages.front().layers(), 15);
    EXPECT_EQ(stages[3].layers(), 16);
    EXPECT_EQ(stages.back().layers(), 15);
}

}  // namespace
}  // namespace ascertain::parallel
