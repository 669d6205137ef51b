#include "app/calibration.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>

#include "decide/evidence/records.hpp"
#include "predict/catalog/chip.hpp"
#include "predict/catalog/network.hpp"

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

catalog::Chip calibrated(const std::vector<evidence::Record>& records,
                         const ReachedShares& shares = {}) {
    const auto devices = measurements_in(records, "run");
    EXPECT_TRUE(devices.ok() && devices->size() == 1);
    const auto text =
        calibrated_chip(base_chip(), "base.toml", devices->front(), {1.0, 1000.0}, shares);
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

TEST(Calibration, ASoakThatBrokeIsAFailureInTheTimeItRan) {
    auto broken = attempt("soak.model", {});
    auto body = evidence::attempt_from_json(broken.body, "r").value();
    body.outcome = evidence::Outcome::kCrashed;
    body.duration_s = 7200.0;
    broken.body = evidence::to_json(body);
    const auto chip = calibrated({broken});
    EXPECT_DOUBLE_EQ(*chip.soak_failures.value, 1.0);
    EXPECT_DOUBLE_EQ(chip.soak_time.value->count, 7200.0);
}

TEST(Calibration, ARateIsStatedSoThatItsReachedShareIsWhatWasMeasured) {
    const auto chip = calibrated({timed(300e12)}, {.memory = 0.8});
    EXPECT_NEAR(0.8 * chip.memory_bandwidth.value->count, 1.2e12, 1.0);
    EXPECT_THAT(chip.memory_bandwidth.note, HasSubstr("streaming reached 1200 GB/s"));
}

TEST(Calibration, ACheckpointOfTheTrialGivesRatesOfOneDevice) {
    const auto chip = calibrated({attempt(
        "trial.resume", {metric("checkpoint_bytes", 6e9, "B"), metric("checkpoint_save", 3.0, "s"),
                         metric("checkpoint_load", 2.0, "s")})});
    EXPECT_DOUBLE_EQ(chip.checkpoint_write_per_device.value->count, 2e9);
    EXPECT_DOUBLE_EQ(chip.checkpoint_read_per_device.value->count, 3e9);
    EXPECT_EQ(chip.checkpoint_write_per_device.kind, catalog::Kind::kMeasured);
}

Metric metric_between(std::string name, double low, double value, double high, std::string unit) {
    return {std::move(name), value, std::move(unit), 5, low, high, {}};
}

evidence::Record links(const std::string& devices) {
    auto record = attempt("links.speed",
                          {metric_between("all_reduce_bus_bytes_per_s", 18e9, 20e9, 22e9, "B/s"),
                           metric_between("all_reduce_latency_s", 8e-6, 10e-6, 12e-6, "s"),
                           metric_between("all_gather_bus_bytes_per_s", 20e9, 24e9, 30e9, "B/s"),
                           metric_between("all_gather_latency_s", 4e-6, 6e-6, 7e-6, "s"),
                           metric_between("all_to_all_bus_bytes_per_s", 9e9, 10e9, 11e9, "B/s"),
                           metric_between("all_to_all_latency_s", 20e-6, 30e-6, 40e-6, "s"),
                           metric("ranks", 4, "count")});
    record.body["device"] = devices;
    return record;
}

std::string base_network() {
    std::ifstream in(std::string(ASCERTAIN_SOURCE_DIR) + "/data/networks/roce-200.toml");
    return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

TEST(Calibration, LinksWithinANodeGiveTheChipsScaleUpRateWithItsInterval) {
    const auto devices = measurements_in({links("npu:0,npu:1")}, "run");
    ASSERT_EQ(devices->size(), 2u);  // what they did together counts for both
    const auto text =
        calibrated_chip(base_chip(), "base", devices->back(), {1.0, 1e3}, {.scale_up = 0.5});
    ASSERT_TRUE(text.ok()) << text.error().text();
    const auto chip = catalog::parse_chip(*text, "chip");
    EXPECT_NEAR(chip->scale_up_per_direction.value->count, 40e9, 1.0);  // the middle kind over 0.5
    EXPECT_NEAR(chip->scale_up_per_direction.low->count, 18e9, 1.0);    // the slowest kind's low
    EXPECT_NEAR(chip->scale_up_per_direction.high->count, 60e9, 1.0);
    EXPECT_EQ(chip->scale_up_per_direction.kind, catalog::Kind::kMeasured);
    // One node says nothing about a network between nodes.
    EXPECT_FALSE(calibrated_network(base_network(), "net", devices->back(), {}).ok());
}

TEST(Calibration, LinksAcrossNodesGiveTheNetworkFile) {
    const auto devices = measurements_in({links("node1/npu:0,node2/npu:0")}, "run");
    const auto text =
        calibrated_network(base_network(), "net", devices->front(), {.scale_out = 0.8});
    ASSERT_TRUE(text.ok()) << text.error().text();
    const auto network = catalog::parse_network(*text, "network");
    ASSERT_TRUE(network.ok());
    EXPECT_EQ(network->id, "roce-200");
    EXPECT_NEAR(network->per_direction_per_chip.value->count, 25e9, 1.0);
    EXPECT_EQ(network->per_direction_per_chip.kind, catalog::Kind::kMeasured);
    EXPECT_NEAR(network->latency.value->count, 10e-6, 1e-12);
    EXPECT_THAT(network->notes, HasSubstr("all_gather 24 GB/s and 6 us"));
    // And nothing for the chip, whose own links were not asked.
    EXPECT_FALSE(calibrated_chip(base_chip(), "base", devices->front(), {1.0, 1e3}, {}).ok());
}

TEST(Calibration, ControlsAreNoMeasurements) {
    const auto devices = measurements_in({timed(300e12, evidence::Role::kControl)}, "run");
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
    EXPECT_TRUE(measurements_in({prediction, timed(3e14), inside}, "run")->front().outside.empty());
    const auto missed = measurements_in({prediction, timed(3e14), outside}, "run");
    ASSERT_EQ(missed->front().outside.size(), 1u);
    EXPECT_THAT(missed->front().outside[0], HasSubstr("measured 2.5 s, foretold 1 to 2"));
}

}  // namespace
}  // namespace ascertain::app
