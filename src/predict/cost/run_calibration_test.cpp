#include "predict/cost/run_calibration.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "predict/cost/score.hpp"
#include "predict/cost/test_kit.hpp"

namespace ascertain::cost {
namespace {

const std::vector<PublishedRun>& shipped_runs() {
    static const auto runs = [] {
        const auto document = parse_json(read_text(data_path("published/runs.json")), "runs.json");
        EXPECT_TRUE(document);
        return *read_runs(*document, shipped_catalog(), "runs.json");
    }();
    return runs;
}

// Runs of a stack that nobody has seen: those of `series`, with every step `slower` times as long.
std::vector<PublishedRun> strangers(const std::string& series, double slower) {
    std::vector<PublishedRun> runs;
    for (PublishedRun run : shipped_runs()) {
        if (run.series != series || !run.refused_because.empty()) continue;
        run.id = "own-" + run.id;
        run.framework = run.job.framework = "a stack of our own";
        run.measured_step_s *= slower;
        runs.push_back(std::move(run));
    }
    return runs;
}

double mean_error(const std::vector<PublishedRun>& runs, const CostBook& book) {
    const Score score = score_runs(runs, book);
    return score.all.mape;
}

FitOptions quick() {
    FitOptions options;
    options.iterations = 4;
    return options;
}

TEST(CalibrateFromRuns, ThreeRowsOfAnUnknownFrameworkForetellTheRest) {
    const auto all = strangers("dgxc-v25.02.01-llama70b-BF16", 1.3);
    ASSERT_GE(all.size(), 5U);
    const std::vector<PublishedRun> three(all.begin(), all.begin() + 3);
    const std::vector<PublishedRun> rest(all.begin() + 3, all.end());
    const auto calibrated = calibrate_from_runs(shipped_runs(), three, shipped_book(), quick());
    ASSERT_TRUE(calibrated) << calibrated.error().text();
    EXPECT_TRUE(calibrated->warnings.empty());
    EXPECT_LT(mean_error(rest, calibrated->book), 0.5 * mean_error(rest, shipped_book()));
    // What was learnt is this framework's alone: the shipped rows keep their errors.
    EXPECT_NEAR(mean_error(shipped_runs(), calibrated->book),
                mean_error(shipped_runs(), shipped_book()), 0.01);
}

TEST(CalibrateFromRuns, TheAnswerSaysWhichRowsItRestsOn) {
    const auto rows = strangers("dgxc-v25.02.01-llama70b-BF16", 1.3);
    const auto calibrated = calibrate_from_runs(shipped_runs(), rows, shipped_book(), quick());
    ASSERT_TRUE(calibrated);
    ASSERT_EQ(calibrated->rows.size(), rows.size());
    for (std::size_t i = 0; i < rows.size(); ++i) {
        EXPECT_NE(calibrated->book.fitted_on.find(rows[i].id), std::string::npos);
        const CalibrationRow& row = calibrated->rows[i];
        EXPECT_LT(std::abs(std::log(row.after_s / row.measured_step_s)),
                  std::abs(std::log(row.before_s / row.measured_step_s)));
    }
    const auto read = CostBook::parse(calibrated->book.to_toml(), "calibrated");
    ASSERT_TRUE(read) << read.error().text();
    EXPECT_EQ(read->fitted_on, calibrated->book.fitted_on);
}

TEST(CalibrateFromRuns, OneRowIsLearntFromWithAWarning) {
    const auto rows = strangers("dgxc-v25.02.01-llama70b-BF16", 1.3);
    const auto calibrated =
        calibrate_from_runs(shipped_runs(), {rows.front()}, shipped_book(), quick());
    ASSERT_TRUE(calibrated);
    ASSERT_EQ(calibrated->warnings.size(), 1U);
    EXPECT_NE(calibrated->warnings.front().find("1 row"), std::string::npos);
}

TEST(CalibrateFromRuns, RowsThatCannotBePredictedAreAnErrorThatSaysWhy) {
    auto rows = strangers("dgxc-v25.02.01-llama70b-BF16", 1.0);
    rows.resize(1);
    rows.front().refused_because = "missing:micro_batch";
    const auto calibrated = calibrate_from_runs(shipped_runs(), rows, shipped_book(), quick());
    ASSERT_FALSE(calibrated);
    EXPECT_EQ(calibrated.error().code, ErrorCode::kBadInput);
    EXPECT_NE(calibrated.error().text().find("missing:micro_batch"), std::string::npos);
}

}  // namespace
}  // namespace ascertain::cost
