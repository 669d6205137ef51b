#include "app/endure/claim.hpp"

#include <gmock/gmock.h>

#include <cmath>

namespace ascertain::app {
namespace {

using ::testing::HasSubstr;

evidence::Attempt part(const std::string& device, evidence::Outcome outcome) {
    evidence::Attempt attempt;
    attempt.check = "soak.model.1";
    attempt.device = device;
    attempt.outcome = outcome;
    attempt.duration_s = 1800.0;
    return attempt;
}

Metric metric(const char* name, double value) {
    Metric one;
    one.metric = name;
    one.value = value;
    return one;
}

Campaign campaign_of(std::optional<double> limit) {
    Campaign campaign;
    FleetSpec fleet;
    fleet.count = 100;
    campaign.fleets = {fleet};
    campaign.decision.confidence = 0.9;
    campaign.decision.interruptions_per_day_at_most = limit;
    return campaign;
}

TEST(SoakedIn, AddsUpPartsAndCountsWhatBrokeAsAFailureOfAllItsDevices) {
    auto quiet = part("npu:0,npu:1", evidence::Outcome::kCompleted);
    quiet.observation = {metric("failures", 0.0), metric("device_hours", 1.0)};
    auto control = quiet;
    control.role = evidence::Role::kControl;
    auto skipped = part("npu:0", evidence::Outcome::kSkipped);
    const auto soaked =
        soaked_in({quiet, control, skipped, part("npu:0,npu:1", evidence::Outcome::kTimedOut)});
    EXPECT_EQ(soaked.failures, 1.0);
    // One hour of the part, and half an hour of two devices until it hung.
    EXPECT_DOUBLE_EQ(soaked.device_hours, 2.0);
}

TEST(FleetClaim, QuietHoursProveTheRuleOfThree) {
    const auto claim = fleet_claim({0.0, 300.0}, {1.0, 30'000.0}, campaign_of(1.0));
    ASSERT_TRUE(claim.ok()) << claim.error().text();
    EXPECT_NEAR(claim->mtbf_hours_low, 300.0 / -std::log(0.05), 1e-6);
    ASSERT_TRUE(claim->claim);
    // Gamma(1, b): P(rate <= x) = 1 - exp(-b x), with x = 1 a day over 100 devices.
    EXPECT_NEAR(claim->claim->probability, 1.0 - std::exp(-30'300.0 / 2'400.0), 1e-9);
    EXPECT_NEAR(claim->claim->prior_share, 30'000.0 / 30'300.0, 1e-9);
    EXPECT_THAT(sentences_of(*claim)[2], HasSubstr("99.0 % of the rate's mean"));
}

TEST(FleetClaim, SaysWhatIsStillNeeded) {
    const auto claim = fleet_claim({0.0, 1.0}, {1.0, 30.0}, campaign_of(1.0));
    ASSERT_TRUE(claim.ok());
    EXPECT_FALSE(claim->claim->holds);
    EXPECT_GT(claim->claim->device_hours_needed, 0.0);
    EXPECT_EQ(to_json(*claim)["claim"]["holds"], false);
}

TEST(FleetClaim, WithoutALimitNothingIsClaimed) {
    const auto claim = fleet_claim({0.0, 1.0}, {1.0, 30.0}, campaign_of(std::nullopt));
    ASSERT_TRUE(claim.ok());
    EXPECT_TRUE(to_json(*claim)["claim"].is_null());
    EXPECT_THAT(sentences_of(*claim).back(), HasSubstr("names no"));
}

}  // namespace
}  // namespace ascertain::app
