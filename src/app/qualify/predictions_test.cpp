#include "app/qualify/predictions.hpp"

#include <gtest/gtest.h>

namespace ascertain::app {
namespace {

Json matrix(std::int64_t rows, std::int64_t columns) {
    return {{"tensor",
             {{"dtype", "fp32"},
              {"shape", {rows, columns}},
              {"strides", {columns, 1}},
              {"storage_offset", 0},
              {"fill", {{"family", "normal"}, {"mean", 0.0}, {"std", 1.0}}}}}};
}

Json mm_case(const std::string& id, std::int64_t m, std::int64_t k, std::int64_t n) {
    return {{"schema", "ascertain.case/1"},
            {"id", id},
            {"operator", "aten::mm"},
            {"overload", ""},
            {"phase", "forward"},
            {"count", 1},
            {"arguments", Json::array({matrix(m, k), matrix(k, n)})}};
}

Json timed_row(std::int64_t m, std::int64_t n, std::int64_t k, double seconds) {
    return {{"seconds_median", seconds}, {"gemm", {{"m", m}, {"n", n}, {"k", k}, {"batch", 1}}}};
}

TEST(GemmPredictions, ADeviceOfConstantRateIsForetoldExactly) {
    // 1 TFLOP/s on every shape: 2*64*64*64/1e12 s and so on; the fit is then the rate itself.
    Json rows = Json::array();
    for (const std::int64_t size : {64, 128, 256, 512}) {
        rows.push_back(
            timed_row(size, size, size, 2.0 * static_cast<double>(size * size * size) / 1e12));
    }
    const checks::Subject subject{
        "", {{"cases", Json::array({mm_case("a", 100, 100, 100), mm_case("b", 300, 300, 300)})}}};
    const checks::Context context{subject, {}, 1, checks::Profile::kQuick, {10.0}};
    const auto predictions = gemm_predictions("cpu", {{"rows", rows}}, context);
    ASSERT_EQ(predictions.size(), 1u);  // "a" belongs to the calibration's half
    EXPECT_EQ(predictions[0].metric, "seconds_median.b");
    EXPECT_NEAR(predictions[0].value, 2.0 * 300 * 300 * 300 / 1e12, 1e-9);
    EXPECT_NEAR(predictions[0].high / predictions[0].value, 1.5, 1e-9);
    EXPECT_TRUE(predictions[0].calibrated);
}

TEST(GemmPredictions, NothingIsForetoldFromTwoCases) {
    const Json rows = Json::array({timed_row(64, 64, 64, 1e-6), timed_row(128, 128, 128, 1e-5)});
    const checks::Subject subject{
        "", {{"cases", Json::array({mm_case("a", 8, 8, 8), mm_case("b", 9, 9, 9)})}}};
    const checks::Context context{subject, {}, 1, checks::Profile::kQuick, {10.0}};
    EXPECT_TRUE(gemm_predictions("cpu", {{"rows", rows}}, context).empty());
}

}  // namespace
}  // namespace ascertain::app
