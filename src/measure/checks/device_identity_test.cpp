#include <gtest/gtest.h>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;
using testing::error;
using testing::gave_up;
using testing::result;
using testing::value_of;

Json described() {
    return {{"device", "cpu"}, {"dtypes", {"fp32", "bf16"}}, {"memory_bytes", 1e9}};
}
Driver identity() {
    return Driver("device.identity", {{"dtype", "bf16"}});
}

TEST(DeviceIdentity, AHealthyDeviceIsWhatItWasCalled) {
    const Step step = identity().run([](const Request&) { return result(described()); });
    EXPECT_EQ(value_of(step, "name_matches"), 1.0);
    EXPECT_EQ(value_of(step, "training_dtype_offered"), 1.0);
    EXPECT_EQ(value_of(step, "memory_bytes"), 1e9);
}

TEST(DeviceIdentity, AnotherDeviceDoesNotMatch) {
    Json other = described();
    other["device"] = "cuda:0";
    const Step step = identity().run([&](const Request&) { return result(other); });
    EXPECT_EQ(value_of(step, "name_matches"), 0.0);
}

TEST(DeviceIdentity, AMissingPrecisionIsSeen) {
    Json other = described();
    other["dtypes"] = Json::array();
    const Step step = identity().run([&](const Request&) { return result(other); });
    EXPECT_EQ(value_of(step, "training_dtype_offered"), 0.0);
}

TEST(DeviceIdentity, UnknownMemoryIsAbsentWithAReason) {
    Json other = described();
    other["memory_bytes"] = nullptr;
    const Step step = identity().run([&](const Request&) { return result(other); });
    const Metric* memory = find_metric(std::get<Done>(step).observation, "memory_bytes");
    ASSERT_NE(memory, nullptr);
    EXPECT_FALSE(memory->value.has_value());
    EXPECT_FALSE(memory->reason.empty());
}

TEST(DeviceIdentity, AnEmptyAnswerIsNoPass) {
    EXPECT_TRUE(gave_up(identity().run([](const Request&) { return result(Json::object()); }),
                        GiveUp::Reason::kHarnessError));
    EXPECT_TRUE(gave_up(identity().run([](const Request&) { return error("unsupported", ""); }),
                        GiveUp::Reason::kUnsupported));
}

}  // namespace
}  // namespace ascertain::checks
