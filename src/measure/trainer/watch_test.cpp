#include "measure/trainer/watch.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "measure/device/clock.hpp"

namespace ascertain::trainer {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// Commands are run for real, in a folder of their own; every limit is generous unless it is the one
// under test, so that a busy machine changes nothing.
class Trainer : public ::testing::Test {
protected:
    void SetUp() override {
        std::string pattern = (fs::temp_directory_path() / "ascertain-watch-XXXXXX").string();
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        spec_.folder = folder_.string();
        spec_.environment = {{"ASCERTAIN_OUT", spec_.folder}};
        spec_.source.file = "metrics.jsonl";
        spec_.limits.total = {300.0};
        spec_.limits.silence = {300.0};
        spec_.limits.free_bytes = 0;
    }
    void TearDown() override { fs::remove_all(folder_); }

    RunReport run(const std::string& command) {
        spec_.command = command;
        if (spec_.resume_command.empty()) spec_.resume_command = command;
        Watch watch(spec_, clock_.now());
        while (!watch.poll({0.02}, clock_.now())) {
        }
        return watch.report();
    }
    // The process whose id the command wrote to `name` is gone.
    void expect_gone(const char* name) {
        pid_t pid = 0;
        std::ifstream(folder_ / name) >> pid;
        ASSERT_GT(pid, 1);
        EXPECT_EQ(kill(pid, 0), -1) << "process " << pid << " lives";
    }

    fs::path folder_;
    WatchSpec spec_;
    device::SteadyClock clock_;
};

constexpr const char* kThreeSteps =
    "for i in 1 2 3; do echo \"{\\\"step\\\": $i, \\\"loss\\\": $((4 - i))}\"; done "
    ">> $ASCERTAIN_OUT/metrics.jsonl; ";

TEST_F(Trainer, ReadsARunToItsEnd) {
    const RunReport report = run(std::string(kThreeSteps) + "echo done");
    EXPECT_EQ(report.end, RunEnd::kCompleted) << report.message;
    ASSERT_EQ(report.points.size(), 3u);
    EXPECT_EQ(report.points.back().loss, 1.0);
    EXPECT_EQ(report.tail, "done\n");
    EXPECT_EQ(report.left_behind, 0u);
}

TEST_F(Trainer, WhatWasInTheFileBeforeIsNotThisRuns) {
    std::ofstream(folder_ / "metrics.jsonl") << "{\"step\": 9, \"loss\": 9}\n";
    EXPECT_EQ(run(kThreeSteps).points.size(), 3u);
    EXPECT_EQ(run("true").end, RunEnd::kNoMetrics);
}

TEST_F(Trainer, SaysHowItFailed) {
    const RunReport report = run(std::string(kThreeSteps) + "echo out of memory >&2; exit 3");
    EXPECT_EQ(report.end, RunEnd::kFailed);
    EXPECT_THAT(report.message, HasSubstr("exit code 3"));
    EXPECT_THAT(report.message, HasSubstr("after step 3"));
    EXPECT_THAT(report.message, HasSubstr("out of memory"));
    EXPECT_THAT(run("kill -SEGV $$").message, HasSubstr("signal 11"));
}

TEST_F(Trainer, ThatWritesNoMetricHasNotPassed) {
    const RunReport report = run("echo loss: 2.0");
    EXPECT_EQ(report.end, RunEnd::kNoMetrics);
    EXPECT_THAT(report.message, HasSubstr("metrics.jsonl"));
}

TEST_F(Trainer, ThatStopsWritingIsHungAndEndedWhole) {
    spec_.limits.silence = {1.0};
    const RunReport report =
        run(std::string(kThreeSteps) + "echo $$ > $ASCERTAIN_OUT/pid; sleep 1000");
    EXPECT_EQ(report.end, RunEnd::kHung);
    EXPECT_THAT(report.message, HasSubstr("after step 3"));
    expect_gone("pid");
}

TEST_F(Trainer, ThatNeverEndsIsEnded) {
    spec_.limits.total = {1.0};
    const RunReport report = run(
        "while true; do echo '{\"loss\": 1}' >> $ASCERTAIN_OUT/metrics.jsonl; sleep 0.05; done");
    EXPECT_EQ(report.end, RunEnd::kTimedOut);
}

TEST_F(Trainer, ThatDivergesIsStopped) {
    const RunReport report = run(
        "while true; do echo '{\"loss\": NaN}' >> $ASCERTAIN_OUT/metrics.jsonl; sleep 0.01; done");
    EXPECT_EQ(report.end, RunEnd::kDiverged);
    EXPECT_THAT(report.message, HasSubstr("not been a number"));
}

TEST_F(Trainer, ThatPrintsAGigabyteIsStoppedAndNotKept) {
    spec_.limits.output_bytes = 64u << 20;
    const RunReport report = run(std::string(kThreeSteps) + "yes | head -c 1000000000; sleep 1000");
    EXPECT_EQ(report.end, RunEnd::kFlooded);
    EXPECT_LE(report.tail.size(), 16u << 10);
}

TEST_F(Trainer, ThatForksIsEndedWithAllItStarted) {
    // A grandchild that left the process group and whose parent is gone.
    const RunReport report =
        run(std::string(kThreeSteps) +
            "(setsid sh -c 'echo $$ > $ASCERTAIN_OUT/orphan; exec sleep 1000' &) ; "
            "while [ ! -s $ASCERTAIN_OUT/orphan ]; do sleep 0.01; done");
    EXPECT_EQ(report.end, RunEnd::kCompleted) << report.message;
    EXPECT_EQ(report.left_behind, 1u);
    expect_gone("orphan");
}

TEST_F(Trainer, ThatForksTooOftenIsStopped) {
    spec_.limits.processes = 10;
    const RunReport report = run("for i in $(seq 30); do sleep 1000 & done; wait");
    EXPECT_EQ(report.end, RunEnd::kTooMany);
}

TEST_F(Trainer, IsKilledAndResumed) {
    spec_.kill_at = 3;
    spec_.resume_command =
        "echo \"{\\\"step\\\": 3, \\\"loss\\\": $ASCERTAIN_RESUME}\" >> "
        "$ASCERTAIN_OUT/metrics.jsonl;"
        "echo '{\"step\": 4, \"loss\": 0.5}' >> $ASCERTAIN_OUT/metrics.jsonl";
    const RunReport report =
        run(std::string(kThreeSteps) + "echo $$ > $ASCERTAIN_OUT/pid; sleep 1000");
    EXPECT_EQ(report.end, RunEnd::kCompleted) << report.message;
    EXPECT_EQ(report.killed_at, 3);
    EXPECT_EQ(report.resumed_from, 3);
    ASSERT_EQ(report.points.size(), 4u);
    EXPECT_EQ(report.points[2].loss, 1.0);  // trained again: the later one counts
    expect_gone("pid");
}

TEST_F(Trainer, ThatEndsBeforeItIsKilledSaysSo) {
    spec_.kill_at = 5;
    EXPECT_EQ(run(kThreeSteps).end, RunEnd::kNotKilled);
}

TEST_F(Trainer, ThatCannotResumeHasFailed) {
    spec_.kill_at = 3;
    spec_.resume_command = "echo no checkpoint; exit 1";
    const RunReport report = run(std::string(kThreeSteps) + "sleep 1000");
    EXPECT_EQ(report.end, RunEnd::kFailed);
    EXPECT_THAT(report.message, HasSubstr("resumed, it failed"));
}

TEST_F(Trainer, OutputMayHoldTheNumbers) {
    spec_.source.file.clear();
    spec_.source.pattern = *LogPattern::parse("step (?P<step>[0-9]+) loss (?P<loss>[0-9.]+)");
    const RunReport report = run("echo 'step 7 loss 2.5'; printf 'step 8 loss 2.0'");
    ASSERT_EQ(report.points.size(), 2u);
    EXPECT_EQ(report.points[1].step, 8);
}

}  // namespace
}  // namespace ascertain::trainer
