#include "worker/operators/battery/rows.hpp"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "worker/operators/dtype.hpp"

namespace ascertain::operators::battery {
namespace {

constexpr std::int64_t kBatchSize = 3;

std::vector<std::int64_t> extent_of(Extent extent, const Shape& shape) {
    switch (extent) {
        case Extent::kOperand: return {shape.rows, shape.columns};
        case Extent::kOne: return {shape.columns};
        case Extent::kUpright: return {shape.rows, 1};
        case Extent::kScalar: return {};
        case Extent::kRows: return {shape.rows};
        case Extent::kRight: return {shape.columns, shape.other};
        case Extent::kWeight: return {shape.other, shape.columns};
        case Extent::kProduct: return {shape.rows, shape.other};
        case Extent::kBatch: return {kBatchSize, shape.rows, shape.columns};
        case Extent::kBatchRight: return {kBatchSize, shape.columns, shape.other};
    }
    return {};
}

// Whole numbers that bf16 holds, each unlike those beside, above and a tile away from it.
at::Tensor coded(at::IntArrayRef shape, c10::ScalarType dtype) {
    constexpr std::int64_t kPrime = 251;
    constexpr std::int64_t kStep = 97;
    std::int64_t count = 1;
    for (const std::int64_t size : shape) count *= size;
    const at::Tensor places = at::arange(count, at::TensorOptions(at::kLong));
    return places.mul(kStep)
        .add(places.div(kPrime, "floor"))
        .remainder(kPrime)
        .sub(kPrime / 2)
        .to(dtype)
        .view(shape);
}

at::Tensor filled(Bench& bench, const Input& input, const Shape& shape, c10::ScalarType dtype) {
    const std::vector<std::int64_t> extent = extent_of(input.extent, shape);
    switch (input.fill) {
        case Fill::kNothing: return {};
        case Fill::kNormal: return bench.normal(extent, dtype);
        case Fill::kWide: return bench.normal(extent, at::kFloat).mul(3.0).to(dtype);
        case Fill::kPositive: return bench.uniform(extent, 0.25, 4.0, dtype);
        case Fill::kUnit: return bench.uniform(extent, -0.9, 0.9, dtype);
        case Fill::kWhole: return bench.whole(extent, -4, 4, dtype);
        case Fill::kCoded: return coded(extent, dtype);
        case Fill::kMask: return bench.whole(extent, 0, 1, at::kBool);
        case Fill::kRow:
            return bench.whole(extent, 0, std::max<std::int64_t>(shape.rows - 1, 0), at::kLong);
        case Fill::kColumn:
            return bench.whole(extent, 0, std::max<std::int64_t>(shape.columns - 1, 0), at::kLong);
        case Fill::kOrder:
            if (input.extent == Extent::kRows) return bench.permutation(shape.rows);
            return bench.permutation(shape.columns).expand(extent).contiguous();
    }
    return {};
}

double half_ulp(c10::ScalarType dtype) {
    return std::ldexp(1.0, -format_of(dtype).precision);
}

Tolerance tolerance_of(const Row& row, const at::Tensor& want, double terms,
                       c10::ScalarType dtype) {
    // Legal fp32 arithmetic, at the size of the largest output: a few hundred operations, or the
    // sum that makes an element (docs/formulas.md#battery-bounds).
    const double operations = std::max(64.0, sum_operations(terms));
    // Operands are of this size; what cancels among them may be smaller.
    constexpr double kTerm = 1.0;
    // Half a unit is the one rounding; a result rounded from fp32 may fall beyond a tie.
    constexpr double kTie = 1.0 + 1.0 / 1024.0;
    const bool narrow = format_of(dtype).precision < format_of(at::kFloat).precision;
    Tolerance tolerance;
    tolerance.ulps = (narrow ? std::min(row.ulps, 2.0) : row.ulps) * kTie;
    if (row.rule == Rule::kSpread) {
        tolerance.spread = operations * half_ulp(at::kFloat) * std::max(largest_of(want), kTerm);
    } else if (row.rule == Rule::kDifference) {
        tolerance.spread =
            (narrow ? 2.0 : operations) * half_ulp(dtype) * std::max(largest_of(want), 4.0 * kTerm);
    }
    return tolerance;
}

}  // namespace

std::vector<Row> all_rows() {
    std::vector<Row> rows;
    for (const auto part : {product_rows(), reducing_rows(), elementwise_rows(), moving_rows()}) {
        rows.insert(rows.end(), part.begin(), part.end());
    }
    return rows;
}

Tensors inputs_of(Bench& bench, const Row& row, const Shape& shape, c10::ScalarType dtype) {
    Tensors inputs;
    for (const Input& input : row.inputs) {
        if (input.fill != Fill::kNothing) inputs.push_back(filled(bench, input, shape, dtype));
    }
    return inputs;
}

Tensors reference_of(const Row& row, const Tensors& inputs) {
    Tensors host;
    for (const at::Tensor& input : inputs) {
        const bool widen = row.rule != Rule::kMoved && at::isFloatingType(input.scalar_type());
        host.push_back(widen ? input.to(at::kDouble) : input.clone());
    }
    return row.call(host);
}

double ratio_of_sizes(const at::Tensor& from, const at::Tensor& to) {
    return static_cast<double>(from.numel()) /
           static_cast<double>(std::max<std::int64_t>(to.numel(), 1));
}

double largest_of(const at::Tensor& values) {
    if (values.numel() == 0) return 0.0;
    return values.abs().nan_to_num(0.0, 0.0, 0.0).max().item<double>();
}

std::string question_of(const Row& row, const Shape& shape, c10::ScalarType dtype) {
    return fmt::format("{} {} {}x{}x{}", row.name, name_of(dtype), shape.rows, shape.columns,
                       shape.other);
}

double sum_operations(double terms) {
    return 8.0 * std::max(1.0, std::sqrt(terms) / 8.0 + terms / 512.0);
}

void judge(Bench& bench, const Row& row, const Tensors& inputs, const Tensors& got,
           const Tensors& want) {
    if (got.size() != want.size()) {
        bench.faults(1, "number of outputs");
        return;
    }
    for (std::size_t i = 0; i < got.size(); ++i) {
        const at::Tensor answer = bench.fetch(got[i]);
        if (row.rule == Rule::kMoved || !at::isFloatingType(answer.scalar_type())) {
            bench.equal(answer, want[i], "", false);
        } else {
            const double terms = ratio_of_sizes(inputs[0], want[i]);
            bench.within(answer, want[i], tolerance_of(row, want[i], terms, answer.scalar_type()));
        }
    }
}

}  // namespace ascertain::operators::battery
