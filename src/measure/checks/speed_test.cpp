#include <gtest/gtest.h>

#include <set>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::Driver;
using testing::gave_up;
using testing::matrix;
using testing::metric;
using testing::mm_case;
using testing::result;
using testing::value_of;

// Four products and one addition; by id, a and c calibrate, b and d are foretold.
Json survey() {
    const Json add = {{"id", "e"},
                      {"operator", "aten::add"},
                      {"arguments", {matrix({1000, 1000}), matrix({1000, 1000})}}};
    return {{"cases",
             {mm_case("d", 100, 100, 100), mm_case("a", 100, 100, 100), add,
              mm_case("c", 200, 100, 100), mm_case("b", 300, 100, 100)}}};
}
Json timed(double seconds) {
    return {{"observation",
             {metric("seconds_median", seconds), metric("seconds_p90", seconds * 1.5),
              metric("seconds_min", seconds)}}};
}
std::set<std::string> asked_ids(const Driver& driver) {
    std::set<std::string> ids;
    for (const Request& request : driver.asked) ids.insert(request.params["case"]["id"]);
    return ids;
}

TEST(SpeedCalibration, TimesHalfTheProductsAndTheLargestStream) {
    Driver driver("speed.calibration", survey());
    const Step step = driver.run([](const Request&) { return result(timed(0.001)); });
    EXPECT_EQ(asked_ids(driver), (std::set<std::string>{"a", "c", "e"}));
    // a is 2e6 FLOPs, c is 4e6, in 1 ms each: 6e6 / 2e-3.
    EXPECT_DOUBLE_EQ(value_of(step, "achieved_flops_per_s"), 3e9);
    EXPECT_DOUBLE_EQ(value_of(step, "achieved_flops_per_s_max"), 4e9);
    // Two inputs and one output of 1e6 elements of 2 bytes.
    EXPECT_DOUBLE_EQ(value_of(step, "achieved_bytes_per_s"), 6e9);
    EXPECT_DOUBLE_EQ(value_of(step, "noise_ratio"), 1.5);
}

TEST(SpeedGemm, TimesTheOtherHalfWithAMetricForEach) {
    Driver driver("speed.gemm", survey());
    const Step step = driver.run([](const Request& request) {
        return result(timed(request.params["case"]["id"] == "b" ? 0.002 : 0.001));
    });
    EXPECT_EQ(asked_ids(driver), (std::set<std::string>{"b", "d"}));
    EXPECT_EQ(value_of(step, "seconds_median"), 0.002);  // of the largest
    EXPECT_EQ(value_of(step, "seconds_median.b"), 0.002);
    EXPECT_EQ(value_of(step, "seconds_median.d"), 0.001);
    EXPECT_EQ(std::get<Done>(step).detail["rows"][0]["gemm"]["m"], 300);
}

TEST(Speed, NoCaseIsTimedByBoth) {
    Driver calibration("speed.calibration", survey());
    Driver gemm("speed.gemm", survey());
    const auto answer = [](const Request&) { return result(timed(0.001)); };
    static_cast<void>(calibration.run(answer));
    static_cast<void>(gemm.run(answer));
    for (const std::string& id : asked_ids(gemm)) EXPECT_FALSE(asked_ids(calibration).contains(id));
}

TEST(Speed, ATimeOfNothingIsAHarnessError) {
    for (const char* id : {"speed.calibration", "speed.gemm"}) {
        EXPECT_TRUE(
            gave_up(Driver(id, survey()).run([](const Request&) { return result(timed(0.0)); }),
                    GiveUp::Reason::kHarnessError));
        EXPECT_TRUE(gave_up(Driver(id, survey()).run([](const Request&) {
            return result({{"observation", {metric("seconds_median", 1.0)}}});
        }),
                            GiveUp::Reason::kHarnessError));
        EXPECT_TRUE(gave_up(Driver(id, {{"cases", Json::array()}}).run([](const Request&) {
            return result(timed(1.0));
        }),
                            GiveUp::Reason::kHarnessError));
    }
}

}  // namespace
}  // namespace ascertain::checks
