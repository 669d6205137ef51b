// A projection whose stages run on two fleets: each fails, is paid and has spares in its own way.
#include <gtest/gtest.h>

#include "predict/goodput/inputs.hpp"
#include "predict/goodput/test_runs.hpp"

namespace ascertain::goodput {
namespace {

// Ten days on the first fleet, then ten on the second, with money of both.
ProjectionInput two_stages() {
    ProjectionInput input;
    const Uncertain step = certain(10.0, "test");
    input.stages = {{.kind = "pretrain", .steps = kDay, .step_s = step},
                    {.kind = "sft", .steps = kDay, .step_s = step, .fleet = 1}};
    input.devices = 1000;
    input.second.emplace();
    input.second->devices = 500;
    input.failure.rate = {1.0, 1e4};
    input.second->failure.rate = {4.0, 1e4};
    input.failures = {{.name = "any"}};
    input.beliefs.rent_usd_per_device_hour = certain(2.0, "test");
    input.second->rent_usd_per_device_hour = certain(3.0, "test");
    return input;
}

// 20 days of wall time, of which each fleet is held for one stage.
History twenty_days() {
    History history;
    history.finished = true;
    history.wall_s = 20.0 * kDay;
    history.stage_end_s = {8.0 * kDay, 20.0 * kDay};
    history.share_s[0] = history.wall_s;
    return history;
}

Rows middle_of(const ProjectionInput& input) {
    return values_at(input, Rows{});
}

TEST(TwoFleets, EachIsPaidForTheStagesThatHoldIt) {
    const ProjectionInput input = two_stages();
    const Bill paid = bill(input, middle_of(input), twenty_days());
    // 1000 x 2 USD x 8 d + 500 x 3 USD x 12 d, in hours.
    ASSERT_TRUE(paid.cost_usd.has_value());
    EXPECT_NEAR(*paid.cost_usd, 24.0 * (1000 * 2.0 * 8.0 + 500 * 3.0 * 12.0), 1e-6);
}

TEST(TwoFleets, ARolloutFleetIsHeldOnlyWhileItWrites) {
    ProjectionInput input = two_stages();
    input.stages[1].fleet = 0;
    input.stages[1].loose_devices = 500;
    input.stages[1].loose_fleet = 1;
    const Bill paid = bill(input, middle_of(input), twenty_days());
    EXPECT_NEAR(*paid.cost_usd, 24.0 * (1000 * 2.0 * 20.0 + 500 * 3.0 * 12.0), 1e-6);
}

TEST(TwoFleets, WithoutASecondPriceThereIsNoCost) {
    ProjectionInput input = two_stages();
    input.second->rent_usd_per_device_hour.reset();
    EXPECT_FALSE(bill(input, middle_of(input), twenty_days()).cost_usd.has_value());
}

TEST(TwoFleets, SharedDevicesFailAtTheMeanOfBothRates) {
    ProjectionInput input = two_stages();
    input.stages[0].shared_devices = 500;
    Rows values = middle_of(input);
    values[kFailureRate] = 1e-5;
    values[kSecondFailureRate] = 4e-5;
    const RunSetup setup = resolve(input, values, {}, 100.0 * kDay);
    EXPECT_EQ(setup.stages[0].devices, 1500);
    EXPECT_NEAR(setup.stages[0].failure_weight, (1000.0 + 500.0 * 4.0) / 1500.0, 1e-12);
    EXPECT_NEAR(setup.stages[1].failure_weight, 4.0, 1e-12);
    EXPECT_EQ(setup.stages[1].devices, 500);
}

TEST(TwoFleets, TheSecondStageIsInterruptedAtItsOwnRate) {
    RunSetup setup = plain_run(50.0 * kDay, kDay, 0.0, kHour, 0.0);
    setup.stages[0].failure_weight = 3.0;
    const Mean interruptions = mean_over(setup, 400, [](const History& history) {
        return static_cast<double>(history.interruptions) / (history.wall_s / kDay);
    });
    // Three a day, since the fleet fails once a day and this stage's devices three times as often.
    EXPECT_NEAR(interruptions.value, 3.0, 5.0 * interruptions.error + 1e-3);
}

TEST(TwoFleets, SparesOfTheOtherFleetDoNotHelp) {
    RunSetup setup = plain_run(20.0 * kDay, kDay, 0.0, kHour, 0.0);
    setup.failure.classes = {{.name = "any", .replaced_ratio = 1.0, .repair_s = 0.5 * kDay}};
    const auto waited = [](const History& history) { return share_of(history, Share::kSpares); };
    setup.second_spare_nodes = 1000;
    EXPECT_GT(mean_over(setup, 50, waited).value, kDay);
    setup.stages[0].fleet = 1;
    EXPECT_EQ(mean_over(setup, 50, waited).value, 0.0);
}

TEST(TwoFleets, AFleetThatNobodyDescribedIsRefused) {
    ProjectionInput input = two_stages();
    input.second.reset();
    const auto checked = validate(input);
    ASSERT_FALSE(checked.ok());
    EXPECT_EQ(checked.error().where, "stages.sft");
}

}  // namespace
}  // namespace ascertain::goodput
