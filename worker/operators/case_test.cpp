#include "worker/operators/case.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "worker/operators/testing.hpp"

namespace ascertain::operators {
namespace {

using testing::call_of;
using testing::matrix_product;
using testing::tensor;

Case rich_case() {
    Case made =
        call_of("aten::rich", {tensor({2, 3}, c10::ScalarType::BFloat16, 0),
                               TensorList{tensor({4}, c10::ScalarType::Long, 1), std::nullopt},
                               Scalar(true), Scalar(std::int64_t{-3}), Scalar(0.1),
                               Scalar(-std::numeric_limits<double>::infinity()), Integers{1, 2},
                               Floats{0.5}, c10::ScalarType::Float, std::string("mean"),
                               DeviceHere{}, GeneratorHere{}, None{}});
    made.cuts = {{"rows", 100, 10}};
    made.writes = {"self"};
    made.count = 7;
    made.id = id_of(made);
    return made;
}

TEST(CaseDocument, ReadsWhatItWrites) {
    const Case written = rich_case();
    const Result<Json> text = parse_json(to_json(written).dump(), "text");
    const Result<Case> read = case_from_json(*text, "case");
    ASSERT_TRUE(read.ok()) << read.error().text();
    EXPECT_EQ(*read, written);
}

TEST(CaseDocument, TheIdNamesTheContentAndNotTheCount) {
    Case one = rich_case();
    Case other = one;
    other.count = 8;
    EXPECT_EQ(id_of(one), id_of(other));
    std::get<TensorSpec>(other.arguments[0]).shape[0] = 3;
    EXPECT_NE(id_of(one), id_of(other));
}

TEST(CaseDocument, AnIdThatDoesNotFitIsRefused) {
    Json document = to_json(rich_case());
    document["overload"] = "out";
    const Result<Case> read = case_from_json(document, "file");
    ASSERT_FALSE(read.ok());
    EXPECT_EQ(read.error().where, "file: id");
}

// Sets one place of a good document and expects a refusal that names it.
void expect_refused(const char* pointer, const Json& value, const char* where) {
    Json document = to_json(matrix_product(2, 3, 4, c10::ScalarType::Float));
    document.erase("id");
    document[Json::json_pointer(pointer)] = value;
    const Result<Case> read = case_from_json(document, "file");
    ASSERT_FALSE(read.ok()) << pointer;
    EXPECT_EQ(read.error().code, ErrorCode::kBadInput);
    EXPECT_EQ(read.error().where, std::string("file: ") + where);
}

TEST(CaseDocument, HostileValuesAreRefusedByName) {
    expect_refused("/schema", "ascertain.case/2", "schema");
    expect_refused("/count", 0, "count");
    expect_refused("/arguments", 5, "arguments");
    expect_refused("/surprise", 1, "case");
    expect_refused("/arguments/0/tensor/shape", {1 << 20, 1 << 21}, "arguments[0].tensor.shape");
    expect_refused("/arguments/0/tensor/shape", {-1, 3}, "arguments[0].tensor.shape[0]");
    expect_refused("/arguments/0/tensor/strides", {1}, "arguments[0].tensor.strides");
    expect_refused("/arguments/0/tensor/strides", {1LL << 39, 1LL << 39},
                   "arguments[0].tensor.shape");
    expect_refused("/arguments/0/tensor/dtype", "bf61", "arguments[0].tensor.dtype");
    expect_refused("/arguments/0/tensor/fill/family", "norml", "arguments[0].tensor.fill.family");
    expect_refused("/arguments/0/tensor/fill/std", -1.0, "arguments[0].tensor.fill.std");
    expect_refused("/arguments/0/tensor/fill/mean", nullptr, "arguments[0].tensor.fill.mean");
    expect_refused("/arguments/1", Json{{"text", "../../etc/passwd"}}, "arguments[1].text");
    expect_refused("/arguments/1", Json{{"tensr", 1}}, "arguments[1].tensr");
}

}  // namespace
}  // namespace ascertain::operators
