#include "predict/cost/step.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>

#include "model/parameters.hpp"
#include "predict/cost/test_kit.hpp"

namespace ascertain::cost {
namespace {

using parallel::Plan;
using parallel::Recompute;
using parallel::ScheduleKind;
using parallel::Sharding;

StepCost cost_of(const catalog::Fleet& fleet, const Plan& plan) {
    const auto cost =
        step_cost(shipped_model("gpt3-175b"), fleet, gpt3_job(), plan, shipped_book());
    EXPECT_TRUE(cost) << (cost ? "" : cost.error().text());
    return *cost;
}

Result<StepSeconds> seconds_of_plan(const Plan& plan, Precision precision) {
    const model::Architecture a = padded_for(shipped_model("gpt3-175b"), plan.tp);
    const auto machine =
        resolve_machine(fleet_of("a100-80gb-sxm", 1024), gpt3_job(), shipped_book());
    if (!machine) return machine.error();
    const auto work = shard_work(a, plan, gpt3_job());
    if (!work) return work.error();
    Workspace space;
    return step_seconds(a, gpt3_job(), plan, *machine, *work,
                        block_seconds(*work, plan, gpt3_job(), *machine), precision, space);
}

TEST(StepCost, PartsAddUpToTheStepAndTheIntervalHoldsIt) {
    const StepCost cost = cost_of(fleet_of("a100-80gb-sxm", 1024), gpt3_plan());
    EXPECT_NEAR(std::accumulate(cost.parts.begin(), cost.parts.end(), 0.0), cost.step_s,
                1e-9 * cost.step_s);
    EXPECT_LT(cost.low_s, cost.step_s);
    EXPECT_GT(cost.high_s, cost.step_s);
    EXPECT_FALSE(cost.basis.empty());
    EXPECT_FALSE(cost.tornado.empty());
}

// Published: 140 to 165 TFLOP/s per A100 for models of this size, 45 to 53 % of 312.
TEST(StepCost, Gpt3OnA100IsWhereItsPublishedRunsAre) {
    const StepCost cost = cost_of(fleet_of("a100-80gb-sxm", 1024), gpt3_plan());
    EXPECT_GT(cost.mfu_ratio, 0.40);
    EXPECT_LT(cost.mfu_ratio, 0.62);
}

TEST(StepCost, EveryInputSaysItsKindAndSource) {
    for (const Basis& one : cost_of(fleet_of("a100-80gb-sxm", 1024), gpt3_plan()).basis) {
        EXPECT_FALSE(one.kind.empty()) << one.name;
        EXPECT_FALSE(one.source.empty()) << one.name;
    }
}

TEST(StepCost, AnUnknownDieGetsAWiderInterval) {
    const auto width = [](const StepCost& cost) { return cost.high_s / cost.low_s; };
    EXPECT_GT(width(cost_of(fleet_of("mi355x", 1024), gpt3_plan())),
              width(cost_of(fleet_of("a100-80gb-sxm", 1024), gpt3_plan())));
}

TEST(StepCost, AContradictoryPlanIsRefusedByField) {
    Plan plan = gpt3_plan();
    plan.dp = 8;
    const auto cost = step_cost(shipped_model("gpt3-175b"), fleet_of("a100-80gb-sxm", 1024),
                                gpt3_job(), plan, shipped_book());
    ASSERT_FALSE(cost);
    EXPECT_EQ(cost.error().where, "plan.dp");
}

struct Faster {
    const char* name;
    void (*improve)(catalog::Fleet&);
};
class MoreIsNeverSlower : public testing::TestWithParam<Faster> {};

TEST_P(MoreIsNeverSlower, OnAnyPlan) {
    std::vector<Plan> plans{gpt3_plan()};
    Plan plan = gpt3_plan();
    plan.vpp = 1;
    plan.schedule = ScheduleKind::k1F1B;
    plans.push_back(plan);
    plan.tp = 2;
    plan.dp = 64;
    plan.recompute = Recompute::kFull;
    plans.push_back(plan);
    for (const Plan& one : plans) {
        const catalog::Fleet fleet = fleet_of("a100-80gb-sxm", 1024);
        catalog::Fleet better = fleet;
        GetParam().improve(better);
        EXPECT_LE(cost_of(better, one).step_s, cost_of(fleet, one).step_s) << describe(one);
    }
}

INSTANTIATE_TEST_SUITE_P(
    Inputs, MoreIsNeverSlower,
    testing::Values(
        Faster{"peak",
               [](catalog::Fleet& f) {
                   for (auto& p : f.chip.peak_dense)
                       if (p.value) *p.value *= 2.0;
               }},
        Faster{"memory_bandwidth",
               [](catalog::Fleet& f) { *f.chip.memory_bandwidth.value *= 2.0; }},
        Faster{"links", [](catalog::Fleet& f) { *f.chip.scale_up_per_direction.value *= 2.0; }},
        Faster{"ports",
               [](catalog::Fleet& f) { *f.scale_out.per_direction_per_chip.value *= 2.0; }}),
    [](const testing::TestParamInfo<Faster>& one) { return one.param.name; });

TEST(Overlap, ExposedIsBetweenNothingAndEverything) {
    EXPECT_DOUBLE_EQ(exposed(2.0, 10.0, 1.0),
                     2.0);  // full contention: as if it were not overlapped
    EXPECT_DOUBLE_EQ(exposed(2.0, 10.0, 0.0), 0.0);
    EXPECT_DOUBLE_EQ(exposed(12.0, 10.0, 0.0), 2.0);  // what does not fit beside the compute
    EXPECT_DOUBLE_EQ(exposed(2.0, 10.0, 0.25), 0.5);
}

std::vector<Plan> pipeline_plans() {
    std::vector<Plan> plans;
    for (const ScheduleKind kind :
         {ScheduleKind::kGPipe, ScheduleKind::k1F1B, ScheduleKind::kInterleaved,
          ScheduleKind::kZbH1, ScheduleKind::kZbV, ScheduleKind::kDualPipe,
          ScheduleKind::kDualPipeV}) {
        for (const std::int64_t pp : {4, 8, 16}) {
            Plan plan = gpt3_plan();
            plan.pp = pp;
            plan.dp = 1024 / 8 / pp;
            plan.schedule = kind;
            plan.vpp = kind == ScheduleKind::kInterleaved ? 3 : 1;
            if (check_plan(padded_for(shipped_model("gpt3-175b"), 8), plan, 1024,
                           gpt3_job().batch()))
                plans.push_back(plan);
        }
    }
    return plans;
}

TEST(StepSeconds, TheBoundIsNeverAboveTheExactTime) {
    ASSERT_GE(pipeline_plans().size(), 15u);
    for (const Plan& plan : pipeline_plans()) {
        const auto bound = seconds_of_plan(plan, Precision::kBound);
        const auto exact = seconds_of_plan(plan, Precision::kExact);
        ASSERT_TRUE(bound && exact) << describe(plan);
        EXPECT_LE(bound->step_s, exact->step_s * (1.0 + 1e-12)) << describe(plan);
        EXPECT_GT(bound->step_s, 0.75 * exact->step_s)
            << describe(plan);  // and close enough to prune
    }
}

TEST(StepSeconds, ThePeriodOfTheSteadyStateGivesTheExactTime) {
    for (const Plan& plan : pipeline_plans()) {
        const auto period = seconds_of_plan(plan, Precision::kPeriod);
        const auto exact = seconds_of_plan(plan, Precision::kExact);
        ASSERT_TRUE(period && exact) << describe(plan);
        EXPECT_NEAR(period->step_s / exact->step_s, 1.0, 1e-3) << describe(plan);
    }
}

// A small micro-batch leaves a layer of experts waiting for its host; a fixed capacity needs no
// count of tokens, captured graphs no host at all.
TEST(HostFloor, ExpertsThatTakeWhateverComesWaitForTheirCounts) {
    const model::Architecture a = shipped_model("qwen3-30b-a3b");
    Plan plan;
    plan.dp = 16;
    plan.ep = 16;
    TrainingJob job = gpt3_job();
    job.global_batch_sequences = 16;
    job.sequence_length = 1024;
    const auto machine = resolve_machine(fleet_of("h100-80gb-sxm", 16), job, shipped_book());
    const auto work = shard_work(a, plan, job);
    ASSERT_TRUE(machine && work);
    const auto layer = [&](const TrainingJob& asked) {
        return block_seconds(*work, plan, asked,
                             *machine)[static_cast<std::size_t>(model::Block::kMoeLayer)];
    };
    const BlockSeconds dropless = layer(job);
    EXPECT_NEAR(dropless.forward.total(), machine->c(Constant::kExpertHostFloor), 1e-9);
    TrainingJob fixed = job;
    fixed.expert_capacity_fixed = true;
    EXPECT_LT(layer(fixed).forward.host, dropless.forward.host);
    TrainingJob captured = job;
    captured.captured_graphs = true;
    EXPECT_EQ(layer(captured).forward.host, 0.0);
}

// What GPT-3's layers save crosses a link of 7 GB/s out and in, beside the stage's own work: 34 s b
// h / 8 = 107 MB a layer (arXiv 2205.05198) in 15 ms, where a layer computes 4 ms forward. One
// layer of twelve hides entirely, twelve do not. Each layer that leaves takes its share of the
// activations with it.
TEST(Offload, MovesActivationsToTheHostAndIsWaitedForWhereTheLinkIsSlow) {
    catalog::Fleet fleet = fleet_of("a100-80gb-sxm", 1024);
    fleet.chip.host_link_per_direction.value->count /= 4.0;
    Plan plan = gpt3_plan();
    const StepCost stays = cost_of(fleet, plan);
    plan.offload_layers = 1;
    const StepCost one = cost_of(fleet, plan);
    EXPECT_DOUBLE_EQ(one.step_s, stays.step_s);
    plan.offload_layers = 12;
    const StepCost all = cost_of(fleet, plan);
    EXPECT_GT(all.parts[static_cast<std::size_t>(Part::kOffload)], 0.0);
    EXPECT_GT(all.step_s, stays.step_s);
    EXPECT_LT(all.memory_bytes, one.memory_bytes);
    EXPECT_LT(one.memory_bytes, stays.memory_bytes);
    EXPECT_NEAR(all.memory.host.count, 12.0 * one.memory.host.count, 1e-6 * all.memory.host.count);
    catalog::Fleet faster = fleet;
    faster.chip.host_link_per_direction.value->count *= 100.0;
    EXPECT_DOUBLE_EQ(cost_of(faster, plan).step_s, stays.step_s);
    faster.chip.host_link_per_direction.value.reset();
    const auto unknown =
        step_cost(shipped_model("gpt3-175b"), faster, gpt3_job(), plan, shipped_book());
    ASSERT_FALSE(unknown);
    EXPECT_EQ(unknown.error().code, ErrorCode::kUnknownValue);
}

// The longest stage sets the pace: 20 layers where the others have 10 or 11 cost nearly twice the
// busy time of an even split, and taking a layer from the stage with the head saves time.
TEST(StepCost, AnUnevenSplitIsAsSlowAsItsLongestStage) {
    const catalog::Fleet fleet = fleet_of("a100-80gb-sxm", 1024);
    Plan plan = gpt3_plan();
    plan.schedule = ScheduleKind::k1F1B;
    plan.vpp = 1;
    const double even = cost_of(fleet, plan).step_s;
    plan.pipeline_layers = {12, 12, 12, 12, 12, 12, 12, 12};
    EXPECT_DOUBLE_EQ(cost_of(fleet, plan).step_s, even);
    plan.pipeline_layers = {20, 11, 11, 11, 11, 11, 11, 10};
    const double skewed = cost_of(fleet, plan).step_s;
    EXPECT_GT(skewed, 1.45 * even);
    EXPECT_LT(skewed, 1.70 * even);
}

// Megatron-Core keeps one gradient per parameter, as wide as what it reduces; adapters keep none.
TEST(Memory, GradientsAreAsWideAsTheirSums) {
    TrainingJob job = gpt3_job();
    EXPECT_EQ(memory_constants(job).gradient, 4.0);
    job.gradient_bytes = 2.0;
    EXPECT_EQ(memory_constants(job).gradient, 2.0);
    job.framework = "deepspeed";
    EXPECT_EQ(memory_constants(job).gradient, 6.0);
    job.frozen_weights = true;
    EXPECT_EQ(memory_constants(job).gradient + memory_constants(job).optimizer, 0.0);
}

TEST(Memory, ShardingMoreNeverNeedsMore) {
    const model::Architecture a = shipped_model("llama-3.1-8b");
    TrainingJob job = gpt3_job();
    job.global_batch_sequences = 64;
    double last = 1e30;
    for (const Sharding sharding :
         {Sharding::kNone, Sharding::kZero1, Sharding::kZero2, Sharding::kZero3}) {
        Plan plan;
        plan.dp = 64;
        plan.sharding = sharding;
        const auto cost = step_cost(a, fleet_of("a100-80gb-sxm", 64), job, plan, shipped_book());
        ASSERT_TRUE(cost) << cost.error().text();
        EXPECT_LE(cost->memory_bytes, last) << name_of(sharding);
        last = cost->memory_bytes;
    }
}

// 16 bytes per parameter without sharding (2 weight, 4 gradient, 12 optimizer, less the shared
// copy): 18 N, arXiv 1910.02054 section 3.1 with fp32 gradients.
TEST(Memory, StateWithoutShardingIsEighteenBytesPerParameter) {
    const model::Architecture a = shipped_model("llama-3.1-8b");
    TrainingJob job = gpt3_job();
    job.global_batch_sequences = 8;
    Plan plan;
    plan.dp = 8;
    plan.sharding = Sharding::kNone;
    const auto cost = step_cost(a, fleet_of("a100-80gb-sxm", 8), job, plan, shipped_book());
    ASSERT_TRUE(cost);
    const auto& m = cost->memory;
    const double state = (m.weights + m.gradients + m.optimizer).count;
    EXPECT_NEAR(state / static_cast<double>(model::count_parameters(a).total), 18.0, 0.01);
}

// Ranks that hold what their neighbour holds are not looked at: the answer is the same as when all
// are, for every schedule, layers that divide evenly and that do not, dense and mixed.
TEST(Memory, ThePeakIsThatOfTheHungriestRank) {
    using enum ScheduleKind;
    for (const char* model : {"gpt3-175b", "deepseek-r1"})
        for (const auto kind : {kGPipe, k1F1B, kInterleaved, kZbH1, kZbV, kDualPipe, kDualPipeV})
            for (const std::int64_t pp : {2, 4, 6, 8, 10}) {
                Plan plan;
                plan.tp = 8;
                plan.pp = pp;
                plan.dp = 2;
                plan.schedule = kind;
                plan.vpp = kind == kInterleaved ? 3 : 1;
                plan.sequence_parallel = true;
                const model::Architecture a = padded_for(shipped_model(model), plan.tp);
                TrainingJob job = gpt3_job();
                job.global_batch_sequences = 240;
                ASSERT_TRUE(parallel::plan_is_valid(a, plan, 16 * pp, job.batch()))
                    << describe(plan);
                const auto work = shard_work(a, plan, job);
                ASSERT_TRUE(work) << work.error().text();
                std::vector<parallel::StageShare> stages;
                parallel::lay_out_stages(a, plan, stages);
                double most = 0.0;
                for (std::int64_t rank = 0; rank < pp; ++rank)
                    most = std::max(most, parallel::rank_memory(work->facts, plan, job.batch(),
                                                                stages, memory_constants(job), rank)
                                              .total()
                                              .count);
                EXPECT_EQ(parallel::peak_memory(work->facts, plan, job.batch(), stages,
                                                memory_constants(job))
                              .total()
                              .count,
                          most)
                    << model << ' ' << describe(plan);
            }
}

TEST(Memory, RecomputingMoreNeverNeedsMore) {
    double last = 1e30;
    for (const Recompute recompute : {Recompute::kNone, Recompute::kFull}) {
        Plan plan = gpt3_plan();
        plan.recompute = recompute;
        const double bytes = cost_of(fleet_of("a100-80gb-sxm", 1024), plan).memory_bytes;
        EXPECT_LT(bytes, last);
        last = bytes;
    }
}

}  // namespace
}  // namespace ascertain::cost
