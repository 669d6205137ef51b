#include <gtest/gtest.h>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;
using testing::gave_up;
using testing::metric;
using testing::value_of;

const Json kCampaign = {{"trial_architecture", Json::object()},
                        {"recipe", Json::object()},
                        {"dtype", "bf16"},
                        {"soak_s", 20.0}};

Answer soaked(const Json& hashes, double nonfinite = 0.0) {
    double rounds = 0.0;
    for (const auto& entry : hashes.items()) rounds += entry.value().get<double>();
    return testing::result({{"observation",
                             {metric("rounds", rounds), metric("steps", 8.0 * rounds),
                              metric("nonfinite_steps", nonfinite),
                              metric("row_sum_ratio_max", 0.25), metric("device_growth_bytes", 0),
                              metric("host_growth_bytes", 4096), metric("seconds", 36)}},
                            {"hashes", hashes},
                            {"timeline", Json::array()}});
}

TEST(SoakModel, AsksEveryDeviceForTheWholePart) {
    Driver driver("soak.model", kCampaign);
    driver.ranks = 4;
    const Step step = driver.run([](const Request&) { return soaked({{"a", 5}}); });
    ASSERT_EQ(driver.asked.size(), 1U);
    EXPECT_EQ(driver.asked[0].params["seconds"], 20.0);
    EXPECT_EQ(driver.asked[0].members.size(), 4U);
    EXPECT_EQ(value_of(step, "devices_off"), 0.0);
    EXPECT_EQ(value_of(step, "distinct_hashes"), 1.0);
    EXPECT_EQ(value_of(step, "rounds"), 20.0);
    // Four devices of 36 s.
    EXPECT_DOUBLE_EQ(value_of(step, "device_hours"), 0.04);
    EXPECT_EQ(value_of(step, "failures"), 0.0);
}

TEST(SoakModel, TheDeviceThatIsAloneWithItsBitsIsOff) {
    Driver driver("soak.model", kCampaign);
    driver.ranks = 4;
    const Step step = driver.run_ranks([](const Request&, std::size_t member) {
        return soaked(member == 2 ? Json{{"b", 9}} : Json{{"a", 5}});
    });
    EXPECT_EQ(value_of(step, "devices_off"), 1.0);
    EXPECT_EQ(value_of(step, "failures"), 1.0);
    const Json& devices = std::get<Done>(step).detail["devices"];
    EXPECT_FALSE(devices[2]["agrees"].get<bool>());
    EXPECT_TRUE(devices[0]["agrees"].get<bool>());
}

TEST(SoakModel, ADeviceThatChangesItsMindOnceIsOff) {
    Driver driver("soak.model", kCampaign);
    const Step step = driver.run([](const Request&) { return soaked({{"a", 99}, {"b", 1}}); });
    EXPECT_EQ(value_of(step, "devices_off"), 1.0);
    EXPECT_EQ(value_of(step, "distinct_hashes"), 2.0);
}

TEST(SoakModel, WhereTwoDisagreeEvenlyNeitherIsCleared) {
    Driver driver("soak.model", kCampaign);
    driver.ranks = 2;
    const Step step = driver.run_ranks([](const Request&, std::size_t member) {
        return soaked(member == 0 ? Json{{"a", 5}} : Json{{"b", 5}});
    });
    EXPECT_EQ(value_of(step, "devices_off"), 2.0);
}

TEST(SoakModel, OneRoundComparesNothing) {
    Driver driver("soak.model", kCampaign);
    const Step step = driver.run([](const Request&) { return soaked({{"a", 1}}); });
    EXPECT_TRUE(gave_up(step, GiveUp::Reason::kHarnessError));
    const Step none = driver.run([](const Request&) { return soaked(Json::object()); });
    EXPECT_TRUE(gave_up(none, GiveUp::Reason::kHarnessError));
}

TEST(SoakModel, AControlIsAskedTheLeastThatCanFail) {
    Driver driver("soak.model", kCampaign, 0.0);
    static_cast<void>(driver.run([](const Request&) { return soaked({{"a", 2}}); }));
    EXPECT_EQ(driver.asked[0].params["seconds"], 0.0);
}

}  // namespace
}  // namespace ascertain::checks
