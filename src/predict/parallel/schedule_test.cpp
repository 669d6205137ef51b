#include "predict/parallel/schedule.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <tuple>

namespace ascertain::parallel {
namespace {

// Every stage takes the same time: forward 1, input gradient `b`, weight gradient `w`.
StageTimes even_times(const Schedule& schedule, double b = 1.0, double w = 1.0) {
    const auto n = static_cast<std::size_t>(schedule.stages);
    return {std::vector<double>(n, 1.0), std::vector<double>(n, b), std::vector<double>(n, w),
            std::vector<double>(n, 0.0), 0.0};
}

Schedule built(ScheduleKind kind, std::int64_t p, std::int64_t v, std::int64_t m) {
    Schedule schedule;
    build_schedule(kind, p, v, m, schedule);
    return schedule;
}

double makespan(const Schedule& schedule, const StageTimes& times) {
    Relaxation relaxation;
    const Result<void> done = relax(schedule, times, relaxation);
    EXPECT_TRUE(done) << (done ? "" : done.error().text());
    return relaxation.makespan;
}

struct Case {
    ScheduleKind kind;
    std::int64_t p, v, m;
};

std::vector<Case> all_cases() {
    std::vector<Case> cases;
    for (const std::int64_t p : {2, 4, 8}) {
        for (const std::int64_t m : {2 * p, 3 * p, 8 * p}) {
            cases.push_back({ScheduleKind::kGPipe, p, 1, m});
            cases.push_back({ScheduleKind::k1F1B, p, 1, m});
            cases.push_back({ScheduleKind::kZbH1, p, 1, m});
            cases.push_back({ScheduleKind::kInterleaved, p, 2, m});
            cases.push_back({ScheduleKind::kInterleaved, p, 5, m});
            cases.push_back({ScheduleKind::kZbV, p, 2, m});
            cases.push_back({ScheduleKind::kDualPipe, p, 2, m});
            cases.push_back({ScheduleKind::kDualPipeV, p, 2, m});
        }
    }
    // Fewer micro-batches than stages.
    cases.push_back({ScheduleKind::k1F1B, 8, 1, 3});
    cases.push_back({ScheduleKind::kZbH1, 8, 1, 3});
    cases.push_back({ScheduleKind::kZbV, 8, 2, 3});
    return cases;
}

class EverySchedule : public testing::TestWithParam<Case> {};

// Each rank runs each micro-batch of each chunk forward once, backward once (joint, or as input and
// weight gradient), and never a weight gradient before its input gradient.
TEST_P(EverySchedule, RunsEveryMicroBatchOnceInOrder) {
    const auto [kind, p, v, m] = GetParam();
    const Schedule schedule = built(kind, p, v, m);
    for (std::int32_t rank = 0; rank < schedule.ranks; ++rank) {
        std::map<std::tuple<int, int>, std::array<int, 3>> done;
        for (auto i = schedule.first[static_cast<std::size_t>(rank)];
             i < schedule.first[static_cast<std::size_t>(rank) + 1]; ++i) {
            const Op& op = schedule.ops[static_cast<std::size_t>(i)];
            auto& [forward, input, weight] = done[{op.chunk, op.micro_batch}];
            switch (op.work) {
                case Work::kForward: ++forward; break;
                case Work::kBackward:
                    EXPECT_EQ(forward, 1);
                    ++input;
                    ++weight;
                    break;
                case Work::kInputGradient:
                    EXPECT_EQ(forward, 1);
                    ++input;
                    break;
                case Work::kWeightGradient:
                    EXPECT_EQ(input, 1);
                    ++weight;
                    break;
            }
        }
        EXPECT_EQ(done.size(), static_cast<std::size_t>(schedule.chunks * schedule.micro_batches));
        for (const auto& [key, counts] : done) EXPECT_EQ(counts, (std::array<int, 3>{1, 1, 1}));
    }
}

TEST_P(EverySchedule, NeverDeadlocksAndNeverBeatsTheBusiestRank) {
    const auto [kind, p, v, m] = GetParam();
    const Schedule schedule = built(kind, p, v, m);
    Relaxation relaxation;
    ASSERT_TRUE(relax(schedule, even_times(schedule), relaxation));
    EXPECT_GE(relaxation.makespan,
              *std::max_element(relaxation.busy.begin(), relaxation.busy.end()));
}

// A stage that takes longer can only delay.
TEST_P(EverySchedule, ASlowerStageIsNeverFaster) {
    const auto [kind, p, v, m] = GetParam();
    const Schedule schedule = built(kind, p, v, m);
    const double before = makespan(schedule, even_times(schedule));
    for (std::size_t stage = 0; stage < static_cast<std::size_t>(schedule.stages); ++stage) {
        StageTimes times = even_times(schedule);
        times.forward[stage] *= 1.5;
        EXPECT_GE(makespan(schedule, times), before);
    }
}

// The closed form that prices memory in a search is never below what the order really holds.
TEST_P(EverySchedule, InFlightBoundCoversTheData) {
    const auto [kind, p, v, m] = GetParam();
    const Schedule schedule = built(kind, p, v, m);
    for (std::int32_t rank = 0; rank < schedule.ranks; ++rank) {
        const std::int64_t counted = peak_in_flight(schedule, rank, -1);
        const std::int64_t bound = in_flight_bound(kind, p, v, m, rank);
        EXPECT_GE(bound, counted) << name_of(kind) << " rank " << rank;
        const bool exact = kind == ScheduleKind::k1F1B || kind == ScheduleKind::kGPipe ||
                           kind == ScheduleKind::kInterleaved;
        if (exact) {
            EXPECT_EQ(bound, counted) << name_of(kind) << " rank " << rank;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(All, EverySchedule, testing::ValuesIn(all_cases()),
                         [](const testing::TestParamInfo<Case>& one) {
                             std::string name(name_of(one.param.kind));
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name + "_p" + std::to_string(one.param.p) + "_v" +
                                    std::to_string(one.param.v) + "_m" +
                                    std::to_string(one.param.m);
                         });

// GPipe and 1F1B: (p - 1) forwards before the last rank starts and (p - 1) backwards after it ends.
TEST(Bubble, OfGPipeAnd1F1BIsPMinusOneForwardsAndBackwards) {
    for (const auto kind : {ScheduleKind::kGPipe, ScheduleKind::k1F1B})
        for (const std::int64_t p : {2, 4, 8})
            for (const std::int64_t m : {8, 32}) {
                const Schedule schedule = built(kind, p, 1, m);
                EXPECT_DOUBLE_EQ(makespan(schedule, even_times(schedule)),
                                 static_cast<double>(3 * m + 3 * (p - 1)));
            }
}

// Narayanan et al. 2021, section 2.2.2: with v chunks the bubble shrinks to 1/v. A chunk costs 1
// here, so a rank computes 3 v m and waits 3 (p - 1).
TEST(Bubble, OfInterleavedIsVTimesSmaller) {
    for (const std::int64_t v : {2, 4})
        for (const std::int64_t p : {2, 4, 8}) {
            const Schedule schedule = built(ScheduleKind::kInterleaved, p, v, 4 * p);
            EXPECT_DOUBLE_EQ(makespan(schedule, even_times(schedule)),
                             static_cast<double>(3 * v * 4 * p + 3 * (p - 1)));
        }
}

// Qi et al. 2023, table 2: the bubble of ZB-H1 is (p - 1)(F + B - W); with F = B = W it is p - 1.
TEST(Bubble, OfZbH1IsAThirdOf1F1B) {
    for (const std::int64_t p : {2, 4, 8}) {
        const Schedule schedule = built(ScheduleKind::kZbH1, p, 1, 4 * p);
        EXPECT_DOUBLE_EQ(makespan(schedule, even_times(schedule)),
                         static_cast<double>(12 * p + p - 1));
    }
}

// Qi et al. 2024: with F = B = W every rank of ZB-V computes without a gap; only the ramp down the
// ranks, p - 1 chunks, separates the first start from the last.
TEST(Bubble, OfZbVIsTheRampOnly) {
    for (const std::int64_t p : {2, 4, 8}) {
        const Schedule schedule = built(ScheduleKind::kZbV, p, 2, 4 * p);
        Relaxation relaxation;
        ASSERT_TRUE(relax(schedule, even_times(schedule), relaxation));
        EXPECT_LE(relaxation.makespan, static_cast<double>(6 * 4 * p + p - 1));
    }
}

// deepseek-ai/DualPipe, README: bubble (PP/2 - 1)(F&B + B - 3W), F&B one forward beside one
// backward, B a whole backward. Without any overlap F&B = F + B = 3 and B = 2: (PP/2 - 1) * 2.
TEST(Bubble, OfDualPipeMatchesItsAuthors) {
    for (const std::int64_t p : {2, 4, 8}) {
        const std::int64_t m = 4 * p;
        const Schedule schedule = built(ScheduleKind::kDualPipe, p, 2, m);
        EXPECT_DOUBLE_EQ(makespan(schedule, even_times(schedule)),
                         static_cast<double>(3 * m + (p / 2 - 1) * 2));
    }
}

// What a paired forward and backward hide of their communication shortens DualPipe's steady phase.
TEST(Relax, APairSavingShortensDualPipe) {
    const Schedule schedule = built(ScheduleKind::kDualPipe, 4, 2, 16);
    StageTimes times = even_times(schedule);
    const double plain = makespan(schedule, times);
    times.pair_saving = 0.5;
    EXPECT_LT(makespan(schedule, times), plain - 3.0);
}

// A transfer between stages is on the path once per boundary and direction: 2 (p - 1) of them.
TEST(Relax, TransfersLengthenTheFillAndTheDrain) {
    const Schedule schedule = built(ScheduleKind::kGPipe, 4, 1, 1);
    StageTimes times = even_times(schedule);
    std::fill(times.send.begin(), times.send.end(), 0.25);
    EXPECT_DOUBLE_EQ(makespan(schedule, times), 4 * 3 + 2 * 3 * 0.25);
}

}  // namespace
}  // namespace ascertain::parallel
