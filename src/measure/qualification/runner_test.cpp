#include "measure/qualification/runner.hpp"

#include <gmock/gmock.h>

#include <set>

#include "measure/qualification/testing.hpp"

namespace ascertain::qualification {
namespace {

using device::Ending;
using device::Order;
using device::Reply;
using testing::Canned;
using testing::died;
using ::testing::HasSubstr;
using testing::not_started;

class RunnerTest : public ::testing::Test {
protected:
    // Members: the devices, then the reference.
    void use(std::vector<std::string> devices) {
        question_.devices = devices;
        question_.reference = devices.size();
        devices.emplace_back("cpu");
        workers_ = std::make_unique<Canned>(clock_, devices);
    }
    void SetUp() override {
        use({"cpu"});
        question_.seed = 5;
        question_.time_limit = {10'000.0};
        question_.reproduce = "ascertain qualify";
    }

    Plan plan(std::vector<std::string> only = {}) const {
        const auto survey = read_survey({{"seed", 1}}, testing::captured());
        const TrialQuestion trial{
            .dtype = "bf16",
            .architecture = {{"name", "tiny"}},
            .serve = {.weights = {{"folder", "f"}}, .length_max = 64, .dtype = "bf16"}};
        return *make_plan(*survey, trial,
                          {.devices = question_.devices, .only = std::move(only), .skip = {}});
    }
    Result<RunSummary> run(const Plan& plan) {
        const World world{.workers = *workers_,
                          .clock = clock_,
                          .observer = keeper_,
                          .opinion = testing::strict_opinion,
                          .time_utc = [] { return std::string("2026-01-01T00:00:00Z"); },
                          .stopped = [this] { return ++looks_ > stop_after_; }};
        return run_plan(plan, question_, world);
    }
    // Attempts that were really made, filtered ones aside.
    std::size_t made() const {
        std::size_t count = 0;
        for (const Attempt& one : keeper_.attempts)
            count += one.outcome != Outcome::kSkipped ? 1 : 0;
        return count;
    }

    testing::MovedClock clock_;
    testing::Keeper keeper_;
    RunQuestion question_;
    std::unique_ptr<Canned> workers_;
    int looks_ = 0;
    int stop_after_ = 1'000'000;
};

TEST_F(RunnerTest, AHealthyDeviceIsMeasuredAndControlled) {
    const Plan all = plan();
    const auto summary = run(all);
    ASSERT_TRUE(summary.ok());
    EXPECT_TRUE(summary->complete);
    EXPECT_EQ(keeper_.story("ops.numerics.mm"),
              "measure 1: completed, control 1: completed, control_clean 1: completed");
    EXPECT_EQ(keeper_.story("ops.numerics.add"), "measure 1: completed");
    EXPECT_EQ(keeper_.story("device.identity"),
              "measure 1: completed, control 1: completed, control_clean 1: completed");
    for (const Item& item : all.items) EXPECT_NE(keeper_.story(item.id), "") << item.id;
}

TEST_F(RunnerTest, EveryControlIsJudgedFailingAndItsTwinPassing) {
    static_cast<void>(run(plan()));
    int controls = 0;
    for (const Attempt& one : keeper_.attempts) {
        if (one.role == Role::kControl) {
            const auto* definition = checks::find(one.check);
            EXPECT_EQ(testing::strict_opinion(*definition, one.check, one.observation),
                      Opinion::kSuspect)
                << one.check;
            ++controls;
        }
        if (one.role == Role::kControlClean) {
            EXPECT_EQ(testing::strict_opinion(*checks::find(one.check), one.check, one.observation),
                      Opinion::kGood)
                << one.check;
        }
    }
    std::set<std::string_view> families;
    for (const checks::Definition& definition : checks::all()) {
        const bool of_others = definition.together || definition.about_module ||
                               definition.servers == checks::Servers::kAlone ||
                               definition.profile_min > checks::Profile::kQuick;
        if (!definition.tamper.empty() && !of_others) families.insert(definition.family);
    }
    EXPECT_EQ(controls, static_cast<int>(families.size()));
}

// Two devices that are also asked together.
class GroupTest : public RunnerTest {
protected:
    void SetUp() override {
        RunnerTest::SetUp();
        use({"simulated:0", "simulated:1"});
        question_.group = {{0, "simulated:0"}, {1, "simulated:1"}};
    }
    Plan group_plan(std::vector<std::string> only, std::string part = "links") const {
        const auto survey = read_survey({{"seed", 1}}, testing::captured());
        const TrialQuestion trial{.dtype = "bf16", .architecture = {{"name", "tiny"}}};
        return *make_plan(*survey, trial,
                          {.devices = question_.devices,
                           .ranks = question_.devices,
                           .part = std::move(part),
                           .only = std::move(only),
                           .skip = {}});
    }
    static constexpr const char* kGroup = "simulated:0,simulated:1";
};

TEST_F(GroupTest, AllRanksAreAskedAndRankZeroIsCorrupted) {
    const auto summary = run(group_plan({"links.data"}));
    ASSERT_TRUE(summary.ok());
    EXPECT_TRUE(summary->complete);
    EXPECT_EQ(keeper_.story("links.data", kGroup),
              "measure 1: completed, control 1: completed, control_clean 1: completed");
    std::set<std::pair<std::size_t, int>> joined;
    for (const auto& [member, order] : workers_->asked) {
        if (order.request == "rendezvous") joined.insert({member, order.params["rank"].get<int>()});
        if (order.request != "collective") continue;
        EXPECT_EQ(order.params["ranks"], 2);
        EXPECT_TRUE(member == 0 || !order.params.contains("tamper"));
    }
    EXPECT_EQ(joined, (std::set<std::pair<std::size_t, int>>{{0, 0}, {1, 1}}));
}

TEST_F(GroupTest, TheGroupComesWhenEveryDeviceIsThrough) {
    static_cast<void>(run(group_plan({"links.data", "device.identity"}, "")));
    bool together = false;
    for (const auto& [member, order] : workers_->asked) {
        if (order.request == "collective") together = true;
        EXPECT_FALSE(together && order.request == "describe");
    }
    EXPECT_TRUE(together);
}

TEST_F(GroupTest, ARankThatHangsTwiceWhileTheTwinCompletesIsNamedBothTimes) {
    workers_->script = [](std::size_t member, const Order& order, int nth) -> std::optional<Reply> {
        if (order.request != "collective" || nth == 2) return std::nullopt;  // 2: the clean twin
        if (member == 1) return died(Ending::kTimedOut, "no answer within 25 s");
        return Reply{.ending = Ending::kResult,
                     .result = {{"stopped",
                                 {{"collective", "all_reduce"}, {"number", 7}, {"waited_s", 20}}}}};
    };
    static_cast<void>(run(group_plan({"links.data"})));
    std::vector<std::string> messages;
    for (const Attempt& one : keeper_.attempts) {
        if (one.outcome == Outcome::kTimedOut) messages.push_back(one.message);
    }
    ASSERT_EQ(messages.size(), 2U) << keeper_.story("links.data", kGroup);
    for (const std::string& message : messages) {
        EXPECT_THAT(message, HasSubstr("rank 1 (simulated:1): no answer within 25 s"));
        EXPECT_THAT(message, HasSubstr("rank 0 waited in all_reduce number 7"));
    }
}

TEST_F(GroupTest, TheSameDeviceSeveralTimesIsReproducedWithRanks) {
    use({"cpu"});
    workers_ = std::make_unique<Canned>(
        clock_, std::vector<std::string>{"cpu", "cpu", "cpu"});  // device, reference, second rank
    question_.group = {{0, "cpu"}, {2, "cpu"}};
    const auto survey = read_survey({{"seed", 1}}, testing::captured());
    const TrialQuestion trial{.dtype = "bf16", .architecture = {{"name", "tiny"}}};
    static_cast<void>(run(*make_plan(*survey, trial,
                                     {.devices = {"cpu"},
                                      .ranks = {"cpu", "cpu"},
                                      .part = "links",
                                      .only = {"links.data"},
                                      .skip = {}})));
    ASSERT_FALSE(keeper_.attempts.empty());
    EXPECT_THAT(keeper_.attempts[0].reproduce,
                HasSubstr("--device cpu --ranks 2 --only links.data"));
}

TEST_F(RunnerTest, OnlyTheDeviceIsEverCorrupted) {
    static_cast<void>(run(plan()));
    std::size_t corrupted = 0;
    for (const auto& [member, order] : workers_->asked) {
        const bool tampered = order.params.contains("tamper");
        corrupted += tampered ? 1 : 0;
        EXPECT_FALSE(tampered && member == question_.reference) << order.request;
    }
    EXPECT_GT(corrupted, 0u);
}

TEST_F(RunnerTest, ASuspectIsAskedAgainWithAnotherSeed) {
    workers_->script = [](std::size_t, const Order& order, int) -> std::optional<Reply> {
        if (order.request != "replay") return std::nullopt;
        Reply wrong = testing::healthy("cpu", order);
        wrong.result["observation"][0] = testing::metric("share_not_correctly_rounded", 0.3);
        return wrong;
    };
    static_cast<void>(run(plan({"ops.numerics.mm"})));
    EXPECT_EQ(keeper_.story("ops.numerics.mm"), "measure 1: completed, confirm 1: completed");
    std::set<std::uint64_t> seeds;
    for (const Attempt& one : keeper_.attempts) {
        if (one.check == "ops.numerics.mm") seeds.insert(one.seed);
    }
    EXPECT_EQ(seeds.size(), 2u);
}

TEST_F(RunnerTest, ACrashCostsOneAttemptAndIsRetriedAfterTheControl) {
    workers_->script = [](std::size_t, const Order& order, int nth) -> std::optional<Reply> {
        if (order.request == "replay" && nth == 1) return died(Ending::kCrashed, "SIGSEGV");
        return std::nullopt;
    };
    static_cast<void>(run(plan({"ops.numerics"})));
    EXPECT_EQ(keeper_.story("ops.numerics.mm"), "measure 1: crashed, measure 2: completed");
    EXPECT_EQ(keeper_.story("ops.numerics.add"),
              "measure 1: completed, control 1: completed, control_clean 1: completed");
    EXPECT_EQ(keeper_.attempts[0].outcome == Outcome::kSkipped ||
                  keeper_.attempts[0].outcome == Outcome::kCrashed,
              true);
    for (const Attempt& one : keeper_.attempts) {
        if (one.outcome == Outcome::kCrashed) {
            EXPECT_EQ(one.message, "SIGSEGV");
            EXPECT_EQ(one.stderr_text, "stack");
        }
    }
}

TEST_F(RunnerTest, AHangTwiceIsRecordedTwiceWithACompletedControl) {
    workers_->script = [](std::size_t, const Order& order, int) -> std::optional<Reply> {
        const bool hangs =
            order.request == "replay" && order.params["case"]["operator"] == "aten::mm";
        return hangs ? std::optional(died(Ending::kTimedOut, "no answer within 60 s"))
                     : std::nullopt;
    };
    const auto summary = run(plan({"ops.numerics"}));
    EXPECT_TRUE(summary->complete);
    EXPECT_EQ(keeper_.story("ops.numerics.mm"), "measure 1: timed_out, measure 2: timed_out");
    EXPECT_THAT(keeper_.story("ops.numerics.add"), HasSubstr("control_clean 1: completed"));
}

TEST_F(RunnerTest, AWorkerThatCannotStartSkipsEverythingAndPassesNothing) {
    workers_->script = [](std::size_t member, const Order&, int) -> std::optional<Reply> {
        return member == 0 ? std::optional(not_started("start", "exited with code 9"))
                           : std::nullopt;
    };
    const Plan all = plan();
    const auto summary = run(all);
    ASSERT_TRUE(summary.ok());
    EXPECT_EQ(made(), 0u);
    for (const Item& item : all.items) {
        EXPECT_EQ(keeper_.story(item.id), "measure 1: skipped (device_absent)");
    }
    // A start is tried twice, then never again.
    EXPECT_EQ(workers_->asked.size(), 2u);
}

TEST_F(RunnerTest, ARefusalIsFinalAndKeepsItsKind) {
    workers_->script = [](std::size_t member, const Order&, int) -> std::optional<Reply> {
        return member == 0 ? std::optional(not_started("library", "no libtorch_npu"))
                           : std::nullopt;
    };
    static_cast<void>(run(plan()));
    EXPECT_EQ(workers_->asked.size(), 1u);
    EXPECT_EQ(keeper_.story("trial.forced"), "measure 1: skipped (plug_in_missing)");
    EXPECT_EQ(keeper_.attempts.back().message, "no libtorch_npu");
}

TEST_F(RunnerTest, ALostDeviceIsLostAndSoIsItsRest) {
    bool gone = false;
    workers_->script = [&](std::size_t member, const Order& order, int) -> std::optional<Reply> {
        if (member != 0) return std::nullopt;
        if (gone) return not_started("start", "no such device");
        if (order.request == "repeat") {
            gone = true;
            return died(Ending::kCrashed, "SIGBUS");
        }
        return std::nullopt;
    };
    const auto summary = run(plan({"ops"}));
    EXPECT_TRUE(summary->complete);
    EXPECT_EQ(keeper_.story("ops.repeat.mm"),
              "measure 1: crashed, control_clean 1: skipped (device_lost), measure 2: device_lost");
    EXPECT_EQ(keeper_.story("ops.repeat.add"), "measure 1: device_lost, measure 2: device_lost");
}

TEST_F(RunnerTest, AnAnswerThatIsNonsenseIsAHarnessErrorAndTheRunGoesOn) {
    workers_->script = [](std::size_t, const Order& order, int) -> std::optional<Reply> {
        if (order.request != "repeat") return std::nullopt;
        return Reply{.ending = Ending::kResult, .result = {{"observation", "all good"}}};
    };
    static_cast<void>(run(plan({"ops"})));
    EXPECT_EQ(keeper_.story("ops.repeat.mm"), "measure 1: harness_error");
    EXPECT_EQ(keeper_.story("ops.repeat.add"), "measure 1: harness_error");
}

TEST_F(RunnerTest, ErrorsOfTheWorkerBecomeOutcomes) {
    const auto outcome_of = [&](const char* kind) {
        keeper_.attempts.clear();
        workers_->script = [kind](std::size_t, const Order& order, int) -> std::optional<Reply> {
            if (order.request != "replay") return std::nullopt;
            return Reply{.ending = Ending::kError, .error_kind = kind, .message = "because"};
        };
        static_cast<void>(run(plan({"ops.numerics.mm"})));
        return keeper_.story("ops.numerics.mm");
    };
    EXPECT_EQ(outcome_of("unsupported"), "measure 1: unsupported");
    EXPECT_EQ(outcome_of("no_reference"), "measure 1: no_reference");
    EXPECT_EQ(outcome_of("device_error"), "measure 1: device_error, confirm 1: device_error");
    EXPECT_EQ(outcome_of("out_of_memory"), "measure 1: skipped (resources)");
    EXPECT_EQ(outcome_of("internal"), "measure 1: harness_error");
}

TEST_F(RunnerTest, ABrokenReferenceIsNotTheDevicesFaultAndIsTriedAgain) {
    workers_->script = [](std::size_t member, const Order& order, int nth) -> std::optional<Reply> {
        const bool reference = member == 1 && order.request == "train" && nth == 1;
        return reference ? std::optional(died(Ending::kCrashed, "SIGKILL")) : std::nullopt;
    };
    static_cast<void>(run(plan({"trial.free_run"})));
    EXPECT_EQ(keeper_.story("trial.free_run"),
              "measure 1: harness_error, control_clean 1: completed, measure 2: completed, "
              "control 1: completed");
}

TEST_F(RunnerTest, AControlOfAnAnswerNeedsNoNewAnswer) {
    static_cast<void>(run(plan({"ops.coverage"})));
    EXPECT_EQ(keeper_.story("ops.coverage"),
              "measure 1: completed, control 1: completed, control_clean 1: completed");
    const auto captures =
        std::count_if(workers_->asked.begin(), workers_->asked.end(),
                      [](const auto& one) { return one.second.request == "capture"; });
    EXPECT_EQ(captures, 1);
}

TEST_F(RunnerTest, DevicesWorkAtTheSameTime) {
    use({"simulated:0", "simulated:1"});
    static_cast<void>(run(plan({"ops.numerics"})));
    EXPECT_GE(workers_->in_flight_max, 2u);
    EXPECT_EQ(keeper_.story("ops.numerics.add", "npu:0"),
              keeper_.story("ops.numerics.add", "npu:1"));
    // The same seeds, so that devices can be compared with each other.
    std::set<std::uint64_t> seeds;
    for (const Attempt& one : keeper_.attempts) {
        if (one.check == "ops.numerics.add") seeds.insert(one.seed);
    }
    EXPECT_EQ(seeds.size(), 1u);
}

TEST_F(RunnerTest, TimingSharesTheProcessorsWithNobody) {
    use({"simulated:0", "simulated:1"});
    std::size_t timed_at_once = 0;
    workers_->script = [&](std::size_t, const Order& order, int) -> std::optional<Reply> {
        if (order.request != "time") return std::nullopt;
        const bool other_busy = !workers_->idle(0) || !workers_->idle(1) || !workers_->idle(2);
        timed_at_once += other_busy ? 1 : 0;
        return std::nullopt;
    };
    const auto summary = run(plan());
    EXPECT_TRUE(summary->complete);
    EXPECT_EQ(timed_at_once, 0u);
    EXPECT_EQ(keeper_.story("speed.gemm", "simulated:1"), "measure 1: completed");
}

TEST_F(RunnerTest, OneBadDeviceDoesNotDisturbItsNeighbour) {
    use({"npu:0", "npu:1"});
    workers_->script = [](std::size_t member, const Order&, int) -> std::optional<Reply> {
        return member == 0 ? std::optional(died(Ending::kCrashed, "SIGSEGV")) : std::nullopt;
    };
    static_cast<void>(run(plan({"ops"})));
    EXPECT_THAT(keeper_.story("ops.numerics.mm", "npu:0"), HasSubstr("measure 2: crashed"));
    EXPECT_THAT(keeper_.story("ops.numerics.mm", "npu:1"), HasSubstr("measure 1: completed"));
}

TEST_F(RunnerTest, StoppedMeansKilledAtOnceWithWhatIsDoneKept) {
    stop_after_ = 3;
    const auto summary = run(plan());
    ASSERT_TRUE(summary.ok());
    EXPECT_FALSE(summary->complete);
    EXPECT_EQ(summary->reason, "interrupted");
    EXPECT_EQ(workers_->kills, 1);
    EXPECT_GT(keeper_.attempts.size(), 0u);
    EXPECT_GT(plan().items.size(), keeper_.attempts.size());
}

TEST_F(RunnerTest, AResumedRunRepeatsNothing) {
    stop_after_ = 12;
    static_cast<void>(run(plan()));
    std::vector<Attempt> both = keeper_.attempts;
    ASSERT_GT(both.size(), 3u);
    question_.earlier = both;
    stop_after_ = 1'000'000;
    keeper_.attempts.clear();
    const auto summary = run(plan());
    EXPECT_TRUE(summary->complete);
    std::set<std::tuple<std::string, Role, int>> seen;
    both.insert(both.end(), keeper_.attempts.begin(), keeper_.attempts.end());
    for (const Attempt& one : both) {
        EXPECT_TRUE(seen.emplace(one.check, one.role, one.number).second)
            << one.check << " " << name_of(one.role) << " " << one.number << " twice";
    }
    // Together they are what one run makes.
    const std::size_t together = seen.size();
    question_.earlier.clear();
    keeper_.attempts.clear();
    static_cast<void>(run(plan()));
    EXPECT_EQ(keeper_.attempts.size(), together);
}

TEST_F(RunnerTest, PastTheTimeLimitWhatIsLeftIsSkippedByName) {
    question_.time_limit = {0.25};  // each canned answer takes 0.1 s
    const Plan all = plan();
    const auto summary = run(all);
    EXPECT_TRUE(summary->complete);
    EXPECT_GE(made(), 2u);
    EXPECT_EQ(keeper_.story("trial.free_run"), "measure 1: skipped (budget)");
    for (const Item& item : all.items) EXPECT_NE(keeper_.story(item.id), "") << item.id;
}

TEST_F(RunnerTest, WhatIsFilteredIsSkippedByName) {
    static_cast<void>(run(plan({"device"})));
    EXPECT_EQ(keeper_.story("ops.numerics.mm"), "measure 1: skipped (filtered)");
    EXPECT_THAT(keeper_.story("device.identity"), HasSubstr("measure 1: completed"));
}

TEST_F(RunnerTest, EvidenceThatCannotBeWrittenEndsTheRun) {
    keeper_.on_end = [](const Attempt&) -> Result<void> {
        return Error{ErrorCode::kEvidence, "disk full", "evidence/0001.jsonl"};
    };
    const auto summary = run(plan());
    ASSERT_FALSE(summary.ok());
    EXPECT_EQ(summary.error().code, ErrorCode::kEvidence);
    EXPECT_EQ(keeper_.attempts.size(), 1u);
    EXPECT_EQ(workers_->kills, 1);
}

TEST_F(RunnerTest, TheReproducerNamesCheckDeviceAndSeed) {
    static_cast<void>(run(plan({"device"})));
    bool found = false;
    for (const Attempt& one : keeper_.attempts) {
        found = found ||
                one.reproduce == "ascertain qualify --device cpu --only device.identity --seed 5";
    }
    EXPECT_TRUE(found);
}

TEST(AttemptSeed, IsItsOwnForEveryAttemptAndSharedByAControlAndItsTwin) {
    std::set<std::uint64_t> seeds;
    for (const char* check : {"a", "b"}) {
        for (const Role role : {Role::kMeasure, Role::kConfirm, Role::kControl}) {
            for (const int number : {1, 2}) seeds.insert(attempt_seed(1, check, role, number));
        }
    }
    EXPECT_EQ(seeds.size(), 12u);
    EXPECT_EQ(attempt_seed(1, "a", Role::kControl, 1),
              attempt_seed(1, "a", Role::kControlClean, 1));
    EXPECT_NE(attempt_seed(1, "a", Role::kMeasure, 1), attempt_seed(2, "a", Role::kMeasure, 1));
    EXPECT_LT(*seeds.rbegin(), 1ULL << 53);
}

}  // namespace
}  // namespace ascertain::qualification
