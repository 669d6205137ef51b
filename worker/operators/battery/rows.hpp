// The table of operators that the sweeps go through: what each takes, how it is called, and how far
// from fp64 it may lie. A row is asked at every shape, in every layout, forward and backward.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "worker/operators/battery/bench.hpp"

namespace ascertain::operators::battery {

// Sizes of one question: operands are [rows, columns]; products end in `other` columns.
struct Shape {
    std::int64_t rows = 0;
    std::int64_t columns = 0;
    std::int64_t other = 0;
};

enum class Fill {
    kNothing,   // there is no such input
    kNormal,    // standard normal
    kWide,      // normal, three times as wide
    kPositive,  // uniform in [0.25, 4)
    kUnit,      // uniform in (-0.9, 0.9)
    kWhole,     // whole numbers from -4 to 4: sums of them have no rounding
    kCoded,     // whole numbers by position, so that a moved element is seen
    kMask,      // bool
    kRow,       // int64, a row of the operand
    kColumn,    // int64, a column of the operand
    kOrder,     // int64, a permutation of the columns, in each row the same
};

enum class Extent {
    kOperand,     // [rows, columns]
    kOne,         // [columns]
    kUpright,     // [rows, 1]
    kScalar,      // []
    kRows,        // [rows]
    kRight,       // [columns, other]
    kWeight,      // [other, columns]
    kProduct,     // [rows, other]
    kBatch,       // [3, rows, columns]
    kBatchRight,  // [3, columns, other]
};

struct Input {
    Fill fill = Fill::kNothing;
    Extent extent = Extent::kOperand;
};

// How outputs are judged.
enum class Rule {
    kMoved,       // elements only change place: the same bits in any dtype
    kWhole,       // whole numbers in, whole numbers out: one rounding to the output's dtype at most
    kRounded,     // `ulps` of the output's dtype at the value
    kSpread,      // the same, plus fp32 rounding errors at the size of the largest output
    kDifference,  // a difference of larger numbers, which may be rounded to the output's dtype
};

using Call = Tensors (*)(const Tensors& inputs);

struct Row {
    std::string_view name;
    Rule rule = Rule::kMoved;
    std::array<Input, 4> inputs{};
    Call call = nullptr;
    double ulps = 0.5;  // 0.5: correctly rounded; above 1: of fp32, a 16-bit output may be two off
    bool has_gradient = true;
    bool writes = false;  // changes its inputs
};

[[nodiscard]] std::span<const Row> elementwise_rows();
[[nodiscard]] std::span<const Row> moving_rows();
[[nodiscard]] std::span<const Row> reducing_rows();
[[nodiscard]] std::span<const Row> product_rows();
[[nodiscard]] std::vector<Row> all_rows();

// Inputs of a row at a shape, on the CPU, contiguous; floating ones in `dtype`.
[[nodiscard]] Tensors inputs_of(Bench& bench, const Row& row, const Shape& shape,
                                c10::ScalarType dtype);
// What the row gives for these inputs: in fp64, or for kMoved in the dtypes as they are.
[[nodiscard]] Tensors reference_of(const Row& row, const Tensors& inputs);
// Compares every output with its reference. `inputs`: what the row was called with.
void judge(Bench& bench, const Row& row, const Tensors& inputs, const Tensors& got,
           const Tensors& want);
// Elements of `from` to one of `to`: the terms of its sum, where the one is reduced to the other.
[[nodiscard]] double ratio_of_sizes(const at::Tensor& from, const at::Tensor& to);
// Half-ulps of fp32 by which a legal sum of so many terms may be off, of eight lanes that cut off
// (docs/formulas.md#battery-bounds, long sums).
[[nodiscard]] double sum_operations(double terms);
// The largest finite magnitude; 0 for none.
[[nodiscard]] double largest_of(const at::Tensor& values);
// "mm bf16 17x33x5"
[[nodiscard]] std::string question_of(const Row& row, const Shape& shape, c10::ScalarType dtype);

}  // namespace ascertain::operators::battery
