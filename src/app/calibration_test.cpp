#include "app/calibration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include "decide/evidence/records.hpp"
#include "predict/catalog/chip.hpp"

namespace ascertain::app {
namespace {

using testing::HasSubstr;

std::string base_chip() {
    std::ifstream in(std::string(ASCERTAIN_SOURCE_DIR) + "/data/chips/ascend-910b2.toml");
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

Metric metric(std::string name, double value, std::string unit) {
    return {std::move(name), value, std::move(unit), 5, {}, {}, {}};
}

evidence::Record attempt(std::string check, Observation observation,
                         evidence::Role role = evidence::Role::kMeasure) {
    evidence::Attempt body;
    body.check = std::move(check);
    body.device = "npu:0";
    body.role = role;
    body.outcome = evidence::Outcome::kCompleted;
    body.observation = std::move(observation);
    evidence::Record record;
    record.sequence = 12;
    record.kind = "attempt";
    record.body = evidence::to_json(body);
    return record;
}

evidence::Record timed(double best_flops_per_s, evidence::Role role = evidence::Role::kMeasure) {
    return attempt("speed.calibration",
                   {metric("achieved_flops_per_s", 200e12, "FLOP/s"),
                    metric("achieved_flops_per_s_max", best_flops_per_s, "FLOP/s"),
                    metric("achieved_bytes_per_s", 1.2e12, "B/s"),
                    metric("noise_ratio", 0.1, "ratio"), metric("cases_timed", 21, "count")},
                   role);
}

catalog::Chip calibrated(const std::vector<evidence::Record>& records) {
    const auto devices = measurements_in(records);
    EXPECT_TRUE(devices.ok() && devices->size() == 1);
    const auto text =
        calibrated_chip(base_chip(), "base.toml", devices->front(), {1.0, 1000.0}, "run");
    EXPECT_TRUE(text.ok()) << text.error().text();
    auto chip = catalog::parse_chip(*text, "calibrated");
    EXPECT_TRUE(chip.ok());
    return *chip;
}

TEST(Calibration, WhatWasMeasuredReplacesTheFigureAndIsMarked) {
    const auto chip = calibrated({timed(300e12)});
    EXPECT_EQ(chip.id, "ascend-910b2");
    EXPECT_EQ(chip.achieved.rate.kind, catalog::Kind::kMeasured);
    EXPECT_NEAR(chip.achieved.rate.value->count, 300e12, 1.0);
    EXPECT_NEAR(*chip.achieved.fraction.value, 300.0 / 353.89, 1e-9);
    EXPECT_NEAR(chip.memory_bandwidth.value->count, 1.2e12, 1.0);
    EXPECT_NEAR(chip.memory_bandwidth.low->count, 1.2e12 / 1.1, 1.0);
    EXPECT_THAT(chip.memory_bandwidth.source, HasSubstr("npu:0"));
}

TEST(Calibration, WhatWasNotMeasuredKeepsItsKindAndSource) {
    const auto chip = calibrated({timed(300e12)});
    EXPECT_EQ(chip.peak(catalog::Format::kBf16).kind, catalog::Kind::kDatasheet);
    EXPECT_EQ(chip.power.kind, catalog::Kind::kPress);
    EXPECT_FALSE(chip.interruption_interval.known());
}

TEST(Calibration, AProductFasterThanThePrintedPeakCorrectsThePeak) {
    const auto chip = calibrated({timed(400e12)});
    EXPECT_NEAR(chip.peak(catalog::Format::kBf16).value->count, 400e12, 1.0);
    EXPECT_EQ(chip.peak(catalog::Format::kBf16).kind, catalog::Kind::kMeasured);
    EXPECT_NEAR(*chip.achieved.fraction.value, 1.0, 1e-12);
}

TEST(Calibration, ASoakMovesTheFailureRateByItsHours) {
    const auto chip = calibrated({attempt(
        "soak.training", {metric("device_hours", 9000.0, "h"), metric("failures", 0, "count")})});
    // Gamma(1, 1000 h) and 9,000 quiet hours: Gamma(1, 10,000 h), whose median is ln 2 / 10,000 h.
    EXPECT_NEAR(chip.interruption_interval.value->count / 3600.0, 10000.0 / std::log(2.0), 1.0);
    EXPECT_THAT(chip.interruption_interval.source, HasSubstr("10 % of the mean is the prior's"));
}

TEST(Calibration, ControlsAreNoMeasurements) {
    const auto devices = measurements_in({timed(300e12, evidence::Role::kControl)});
    ASSERT_TRUE(devices.ok());
    EXPECT_TRUE(devices->empty());
}

TEST(Calibration, AMissOfThePredictionIsAFinding) {
    evidence::Prediction foretold;
    foretold.id = "speed.gemm.x";
    foretold.check = "speed.gemm";
    foretold.device = "npu:0";
    foretold.metric = "seconds_median.x";
    foretold.low = 1.0;
    foretold.high = 2.0;
    evidence::Record prediction;
    prediction.kind = "prediction";
    prediction.body = evidence::to_json(foretold);
    const auto inside = attempt("speed.gemm", {metric("seconds_median.x", 1.5, "s")});
    const auto outside = attempt("speed.gemm", {metric("seconds_median.x", 2.5, "s")});
    EXPECT_TRUE(measurements_in({prediction, timed(3e14), inside})->front().outside.empty());
    const auto missed = measurements_in({prediction, timed(3e14), outside});
    ASSERT_EQ(missed->front().outside.size(), 1u);
    EXPECT_THAT(missed->front().outside[0], HasSubstr("measured 2.5 s, foretold 1 to 2"));
}

}  // namespace
}  // namespace ascertain::app
