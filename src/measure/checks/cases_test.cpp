#include "measure/checks/cases.hpp"

#include <gtest/gtest.h>

#include "measure/checks/testing.hpp"

namespace ascertain::checks {
namespace {

using testing::matrix;

Json call(const char* name, Json arguments) {
    return {{"id", "c"}, {"operator", name}, {"arguments", std::move(arguments)}};
}

TEST(GemmOf, ReadsEveryWayToMultiply) {
    const Gemm expected{.m = 5, .n = 7, .k = 3, .batch = 1, .dtype = "bf16"};
    EXPECT_EQ(gemm_of(call("aten::mm", {matrix({5, 3}), matrix({3, 7})})), expected);
    EXPECT_EQ(gemm_of(call("aten::linear", {matrix({5, 3}), matrix({7, 3})})), expected);
    EXPECT_EQ(gemm_of(call("aten::addmm", {matrix({7}), matrix({5, 3}), matrix({3, 7})})),
              expected);
    Gemm batched = expected;
    batched.batch = 2;
    EXPECT_EQ(gemm_of(call("aten::bmm", {matrix({2, 5, 3}), matrix({2, 3, 7})})), batched);
    // [2, 5, 3] times [3, 7] is one product with ten rows.
    Gemm folded = expected;
    folded.m = 10;
    EXPECT_EQ(gemm_of(call("aten::matmul", {matrix({2, 5, 3}), matrix({3, 7})})), folded);
}

TEST(GemmOf, FlopsAreTwoPerMultiplyAdd) {
    // 2 * 5 * 7 * 3 * 2 batches = 420.
    const Gemm gemm{.m = 5, .n = 7, .k = 3, .batch = 2, .dtype = "bf16"};
    EXPECT_EQ(gemm.flops().count, 420.0);
}

TEST(GemmOf, RefusesWhatDoesNotMultiply) {
    EXPECT_FALSE(gemm_of(call("aten::mm", {matrix({5, 3}), matrix({4, 7})})).has_value());
    EXPECT_FALSE(gemm_of(call("aten::mm", {matrix({5, 3})})).has_value());
    EXPECT_FALSE(gemm_of(call("aten::add", {matrix({5, 3}), matrix({3, 7})})).has_value());
    EXPECT_FALSE(gemm_of(Json()).has_value());
    EXPECT_FALSE(gemm_of(Json{{"operator", "aten::mm"}, {"arguments", "none"}}).has_value());
}

TEST(StreamedBytes, CountsEveryInputOnceAndTheOutputOnce) {
    // Two inputs and one output of 6 elements of 2 bytes.
    EXPECT_EQ(streamed_bytes(call("aten::add", {matrix({2, 3}), matrix({2, 3})}))->count, 36.0);
    // A row that is broadcast is read once: 12 + 6 + 12.
    EXPECT_EQ(streamed_bytes(call("aten::mul", {matrix({2, 3}), matrix({3})}))->count, 30.0);
    // copy_ from bf16 to fp32: 12 bytes read, 24 written.
    EXPECT_EQ(streamed_bytes(call("aten::copy_", {matrix({2, 3}, "fp32"), matrix({2, 3})}))->count,
              36.0);
    EXPECT_FALSE(streamed_bytes(call("aten::mm", {matrix({2, 3}), matrix({3, 2})})).has_value());
}

TEST(OperatorName, IsTheLastPartOfACheckId) {
    EXPECT_EQ(operator_name("aten::_softmax_backward_data"), "_softmax_backward_data");
    EXPECT_EQ(operator_name("npu::npu_rms_norm"), "npu.npu_rms_norm");
    EXPECT_EQ(operator_name("mm"), "mm");
}

TEST(CaseLabel, SaysOperatorDtypeAndShapes) {
    EXPECT_EQ(case_label(testing::mm_case("c", 5, 3, 7)), "mm bf16 [5, 3] [3, 7]");
    EXPECT_EQ(case_label(Json()), "");
}

}  // namespace
}  // namespace ascertain::checks
