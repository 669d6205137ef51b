#include "predict/cost/operator_cost.hpp"

#include <gtest/gtest.h>

#include "predict/cost/collective.hpp"
#include "predict/cost/test_kit.hpp"

namespace ascertain::cost {
namespace {

// A machine of round numbers whose constants hide nothing.
Machine plain_machine() {
    Machine m;
    m.peak = 100e12;
    m.peak_linear = 200e12;
    m.peak_fp32 = 50e12;
    m.achieved = 1.0;
    m.memory_bandwidth = 1e12;
    m.link = 100e9;
    m.nic = 10e9;
    m.domain = 8;
    m.devices = 64;
    for (double& value : m.constants.value) value = 1.0;
    for (const Constant zero :
         {Constant::kDepthHalf, Constant::kWaveWeight, Constant::kKernelGap, Constant::kAccumulate,
          Constant::kCastTraffic, Constant::kLinkLatency, Constant::kNicLatency})
        m.constants[zero] = 0.0;
    return m;
}

OperatorWork product(double flops, double bytes) {
    OperatorWork work;
    work.family = OperatorWork::Class::kMatrix;
    work.flops = flops;
    work.bytes = bytes;
    work.depth = 1000.0;
    return work;
}

// 1e12 FLOPs at 100 TFLOP/s take 10 ms; 1e11 bytes at 1 TB/s take 100 ms: the slower one counts.
TEST(SecondsOf, AProductIsBoundByArithmeticOrByMemory) {
    const Machine m = plain_machine();
    EXPECT_NEAR(seconds_of(product(1e12, 1e9), m, {}, true), 0.010, 1e-9);
    EXPECT_NEAR(seconds_of(product(1e12, 1e11), m, {}, true), 0.100, 1e-9);
}

// An inner dimension equal to the half-depth halves the rate.
TEST(SecondsOf, AShallowProductLosesHalfAtTheHalfDepth) {
    Machine m = plain_machine();
    m.constants[Constant::kDepthHalf] = 1000.0;
    EXPECT_NEAR(seconds_of(product(1e12, 0.0), m, {}, true), 0.020, 1e-9);
}

// 133 tiles on 132 cores need two waves: all of the second is lost when the weight is one.
TEST(SecondsOf, APartlyFilledWaveIsPaidInFull) {
    Machine m = plain_machine();
    m.constants[Constant::kWaveWeight] = 1.0;
    m.cores = 132;
    OperatorWork work = product(1e12, 0.0);
    work.tiles = 133.0;
    EXPECT_NEAR(seconds_of(work, m, {}, true), 0.010 * 2.0 * 132.0 / 133.0, 1e-9);
    work.tiles = 264.0;
    EXPECT_NEAR(seconds_of(work, m, {}, true), 0.010, 1e-9);
}

// 1e9 elements at 1 TB/s: a product that adds to a fp32 sum itself pays its share of 8 bytes each;
// a kernel of its own pays for all 8, and for 4 to write the finished gradient and read it again.
TEST(SecondsOf, SumsOfWeightGradientsCostMoreApart) {
    Machine m = plain_machine();
    m.constants[Constant::kAccumulate] = 0.5;
    OperatorWork work = product(1e12, 0.0);
    work.weight_gradient = true;
    work.accumulated = 1e9;
    TrainingJob job;
    EXPECT_NEAR(seconds_of(work, m, job, true), 0.010 + 0.004, 1e-9);
    job.fused_accumulation = false;
    EXPECT_NEAR(seconds_of(work, m, job, true), 0.010 + 0.012, 1e-9);
    job.dtype = model::Dtype::kFp16;  // sums in 16 bits
    EXPECT_NEAR(seconds_of(work, m, job, true), 0.010 + 0.008, 1e-9);
}

TEST(SecondsOf, LowPrecisionUsesItsOwnPeak) {
    OperatorWork work = product(1e12, 0.0);
    work.low_precision = true;
    TrainingJob job;
    job.linear = LinearFormat::kFp8;
    EXPECT_NEAR(seconds_of(work, plain_machine(), job, true), 0.005, 1e-9);
}

// Unfused attention computes the whole matrix and moves 13 bytes per score; fused half of it.
TEST(SecondsOf, UnfusedAttentionPaysForTheMaskedHalfAndForItsScores) {
    OperatorWork work;
    work.family = OperatorWork::Class::kAttention;
    work.flops = 0.5e12;
    work.flops_full = 1e12;
    work.scores = 1e9;
    const Machine m = plain_machine();
    EXPECT_NEAR(seconds_of(work, m, {}, true), 0.005, 1e-9);
    EXPECT_NEAR(seconds_of(work, m, {}, false), 0.010 + 0.013, 1e-9);
}

TEST(WorkOf, MergesProjectionsThatShareTheirInput) {
    const model::Architecture a = shipped_model("llama-3.1-8b");
    model::Batch batch;
    batch.sequence_length = 4096;
    const auto operators = model::operators(a, {}, batch);
    ASSERT_TRUE(operators);
    double listed = 0.0;
    for (const model::Operator& op : *operators)
        if (op.block == model::Block::kDenseLayer && op.kind == model::OperatorKind::kGemm)
            listed += op.flops;
    double merged = 0.0;
    int products = 0;
    for (const OperatorWork& work : work_of(*operators, model::Block::kDenseLayer)) {
        if (work.family != OperatorWork::Class::kMatrix) continue;
        merged += work.flops;
        ++products;
    }
    EXPECT_DOUBLE_EQ(merged, listed);  // nothing lost
    EXPECT_EQ(products, 4 * 3);        // qkv, output, gate and up, down; three passes
}

TEST(OperatorSeconds, TheIntervalHoldsTheMiddleAndIsWiderForAnUnknownDie) {
    const model::Architecture a = shipped_model("llama-3.1-8b");
    model::Batch batch;
    batch.sequence_length = 4096;
    const auto operators = model::operators(a, {}, batch);
    ASSERT_TRUE(operators);
    const auto width = [&](const std::string& chip) {
        const auto interval =
            operator_seconds(fleet_of(chip, 8), TrainingJob{}, shipped_book(), operators->at(2));
        EXPECT_TRUE(interval) << (interval ? "" : interval.error().text());
        EXPECT_LT(interval->low, interval->mid);
        EXPECT_LT(interval->mid, interval->high);
        return interval->high / interval->low;
    };
    EXPECT_GT(width("mi355x"), width("h100-80gb-sxm"));
}

TEST(OperatorSeconds, AChipWithoutTheFormatIsAnUnknownValue) {
    const auto interval = operator_seconds(fleet_of("ascend-910a", 8), TrainingJob{},
                                           shipped_book(), model::Operator{});
    ASSERT_FALSE(interval);
    EXPECT_EQ(interval.error().code, ErrorCode::kUnknownValue);
    EXPECT_NE(interval.error().text().find("bf16"), std::string::npos);
}

// Ring over 8 chips: 7/8 of the bytes at 100 GB/s; an all-reduce moves them twice.
TEST(CollectiveSeconds, ARingMovesItsShareOnceOrTwice) {
    const Machine m = plain_machine();
    const GroupShape group = GroupShape::of(m, 8, 1);
    EXPECT_DOUBLE_EQ(group.members, 8);
    EXPECT_NEAR(collective_seconds(m, Collective::kAllGather, 8e9, group), 7.0 / 8.0 * 0.08, 1e-9);
    EXPECT_NEAR(collective_seconds(m, Collective::kAllReduce, 8e9, group), 7.0 / 4.0 * 0.08, 1e-9);
}

// Ranks 8 apart never share a domain of 8: each has its own port of 10 GB/s. Neighbours share
// eight.
TEST(CollectiveSeconds, PortsOfADomainAreSharedHonestly) {
    const Machine m = plain_machine();
    const GroupShape spread = GroupShape::of(m, 8, 8);
    EXPECT_DOUBLE_EQ(spread.members, 1);
    EXPECT_NEAR(collective_seconds(m, Collective::kAllGather, 8e9, spread), 7.0 / 8.0 * 0.8, 1e-9);
    const GroupShape packed = GroupShape::of(m, 64, 1);
    EXPECT_DOUBLE_EQ(packed.members, 8);
    EXPECT_NEAR(collective_seconds(m, Collective::kAllGather, 8e9, packed), 63.0 / 64.0 * 0.1,
                1e-9);
}

// On a full mesh a pair has one link of seven.
TEST(CollectiveSeconds, AFullMeshStarvesSmallGroups) {
    Machine m = plain_machine();
    m.mesh = true;
    m.one_link_share = 1.0 / 7.0;
    const double pair = collective_seconds(m, Collective::kAllGather, 8e9, GroupShape::of(m, 2, 1));
    EXPECT_NEAR(pair, 0.5 * 0.08 * 7.0, 1e-9);
    const double all = collective_seconds(m, Collective::kAllGather, 8e9, GroupShape::of(m, 8, 1));
    EXPECT_NEAR(all, 7.0 / 8.0 * 0.08, 1e-9);
}

// 64 ranks in 8 domains: seven eighths of the rows leave through a port of 10 GB/s. This is the
// serialisation whose absence made a well-known simulator 64 times too fast.
TEST(ExpertExchange, IsBoundByThePortWhenMostRowsLeaveTheDomain) {
    const Machine m = plain_machine();
    ExpertTraffic traffic;
    traffic.rows = 1e6;
    traffic.row_bytes = 1e3;
    traffic.choices = 8;
    traffic.deduplicated = false;
    const GroupShape group = GroupShape::of(m, 64, 1);
    EXPECT_NEAR(expert_exchange_seconds(m, traffic, group), 1e9 * 7.0 / 8.0 / 10e9, 1e-9);
    traffic.deduplicated = true;
    const double once = expert_exchange_seconds(m, traffic, group);
    traffic.domains_per_token_max = 4;
    const double limited = expert_exchange_seconds(m, traffic, group);
    EXPECT_LT(limited, once);
    // At most 4 domains, 7 of 8 of them remote: 4 * 7/8 crossings for 8 rows.
    EXPECT_NEAR(limited, 1e9 / 8.0 * 3.5 / 10e9, 1e-9);
}

TEST(ExpertExchange, OversubscriptionSlowsWhatCrossesTheSpine) {
    Machine m = plain_machine();
    ExpertTraffic traffic;
    traffic.rows = 1e6;
    traffic.row_bytes = 1e3;
    const GroupShape group = GroupShape::of(m, 64, 1);
    const double flat = expert_exchange_seconds(m, traffic, group);
    m.oversubscription = 2.0;
    EXPECT_NEAR(expert_exchange_seconds(m, traffic, group), 2.0 * flat, 1e-9);
    m.full_bisection_devices = 64;
    EXPECT_NEAR(expert_exchange_seconds(m, traffic, group), flat, 1e-9);
}

}  // namespace
}  // namespace ascertain::cost
