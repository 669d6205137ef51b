#include "measure/trainer/workers.hpp"

#include <gmock/gmock.h>

#include <cstdlib>
#include <filesystem>

namespace ascertain::trainer {
namespace {

namespace fs = std::filesystem;

class Workers : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "ascertain-workers-XXXXXX").string();
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        setup_.folder = folder_.string();
        setup_.source.file = "metrics.jsonl";
        setup_.limits.free_bytes = 0;
        setup_.device.device = "npu:0";
        setup_.device.command =
            "echo \"{\\\"loss\\\": $ASCERTAIN_SEED}\" >> $ASCERTAIN_OUT/metrics.jsonl; "
            "echo $ASCERTAIN_DEVICE >> $ASCERTAIN_OUT/../devices";
    }
    void TearDown() override { fs::remove_all(folder_); }

    device::Reply ask(TrainerWorkers& workers, std::size_t member, Json params) {
        workers.ask(member, {"run_trainer", std::move(params), {60.0}});
        while (true) {
            for (device::Event& event : workers.poll({0.02})) {
                if (auto* reply = std::get_if<device::Reply>(&event.what)) return std::move(*reply);
            }
        }
    }
    [[nodiscard]] std::size_t runs() const {
        std::size_t count = 0;
        for (const auto& entry : fs::directory_iterator(folder_)) count += entry.is_directory();
        return count;
    }

    fs::path folder_;
    TrainerSetup setup_;
    device::SteadyClock clock_;
};

TEST_F(Workers, RunOncePerSeedAndAnswerControlsFromTheRecord) {
    TrainerWorkers workers(setup_, clock_);
    const auto first = ask(workers, 0, {{"seed", 5}, {"replica", 0}});
    ASSERT_EQ(first.ending, device::Ending::kResult) << first.message;
    EXPECT_EQ(first.result["losses"], (Json{{1, 5.0}}));
    EXPECT_EQ(ask(workers, 0, {{"seed", 5}, {"replica", 0}}).result, first.result);
    EXPECT_EQ(runs(), 1u);
    const auto control = ask(workers, 0,
                             {{"seed", 99},
                              {"replica", 0},
                              {"recorded", true},
                              {"tamper", {{"kind", "scale"}, {"amount", 0.5}}}});
    EXPECT_EQ(control.result["losses"], (Json{{1, 7.5}}));
    EXPECT_EQ(runs(), 1u);
    EXPECT_EQ(ask(workers, 0, {{"seed", 6}, {"replica", 0}}).result["losses"][0][1], 6.0);
    EXPECT_EQ(runs(), 2u);
}

TEST_F(Workers, HaveNoRecordOfWhatNeverRan) {
    TrainerWorkers workers(setup_, clock_);
    const auto reply = ask(workers, 0, {{"seed", 5}, {"replica", 3}, {"recorded", true}});
    EXPECT_EQ(reply.ending, device::Ending::kError);
    EXPECT_EQ(reply.error_kind, "no_reference");
    EXPECT_EQ(ask(workers, 1, {{"seed", 5}, {"replica", 0}}).error_kind, "no_reference");
}

TEST_F(Workers, TakeARecordedReference) {
    RunReport recorded;
    recorded.end = RunEnd::kCompleted;
    Point point;
    point.step = 3;
    point.loss = 2.0;
    recorded.points = {point};
    setup_.reference.recorded = {recorded};
    TrainerWorkers workers(setup_, clock_);
    EXPECT_EQ(ask(workers, 1, {{"seed", 5}, {"replica", 0}}).result["losses"], (Json{{3, 2.0}}));
    EXPECT_EQ(ask(workers, 1, {{"seed", 5}, {"replica", 1}}).ending, device::Ending::kError);
}

TEST(Tampered, CorruptsWhatItsKindSays) {
    const Json answer{
        {"losses", {{1, 1.0}, {2, 2.0}}}, {"held_out_losses", Json::array()}, {"resumed_from", 2}};
    EXPECT_EQ(tampered({{"kind", "nonfinite"}}, answer)["losses"][0][1], nullptr);
    const Json late = tampered({{"kind", "scale_resumed"}, {"amount", 1.0}}, answer);
    EXPECT_EQ(late["losses"], (Json{{1, 1.0}, {2, 4.0}}));
    EXPECT_EQ(late["tampered"], true);
}

TEST(ReplyOf, OnlyWhatTheTrainerDidIsTheDevicesFault) {
    const auto kind = [](RunEnd end) {
        RunReport report;
        report.end = end;
        return reply_of(report).error_kind;
    };
    for (const RunEnd end : {RunEnd::kFailed, RunEnd::kHung, RunEnd::kTimedOut, RunEnd::kFlooded,
                             RunEnd::kTooMany, RunEnd::kDiskFull}) {
        EXPECT_EQ(kind(end), "device_error") << name_of(end);
    }
    EXPECT_EQ(kind(RunEnd::kNoMetrics), "no_reference");
    EXPECT_EQ(kind(RunEnd::kNotKilled), "no_reference");
    EXPECT_EQ(kind(RunEnd::kNotStarted), "internal");
    RunReport diverged;
    diverged.end = RunEnd::kDiverged;
    EXPECT_EQ(reply_of(diverged).ending, device::Ending::kResult);
}

}  // namespace
}  // namespace ascertain::trainer
