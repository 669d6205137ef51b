#include "worker/operators/projection.hpp"

#include <ATen/ops/empty.h>
#include <ATen/ops/mv.h>

#include <algorithm>
#include <cmath>

#include "base/random.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators {
namespace {

constexpr std::int64_t kBlock = 512;  // rows that are widened to fp64 at a time

struct Factors {
    at::Tensor left;   // [m, k]
    at::Tensor right;  // [k, n]
};

std::optional<Factors> factors_of(const Case& operator_case, const Stack& stack) {
    const std::string& op = operator_case.op;
    if (op != "aten::mm" && op != "aten::linear") return std::nullopt;
    const bool linear = op == "aten::linear";
    if (linear && stack.size() > 2 && stack[2].isTensor() && stack[2].toTensor().defined()) {
        return std::nullopt;
    }
    const at::Tensor left = stack[0].toTensor();
    const at::Tensor right = stack[1].toTensor();
    if (left.dim() < 2 || right.dim() != 2) return std::nullopt;
    return Factors{left.reshape({-1, left.size(-1)}), linear ? right.t() : right};
}

at::Tensor signs(std::int64_t n, std::uint64_t seed) {
    at::Tensor x = at::empty({n}, at::TensorOptions(at::kDouble));
    auto* values = x.mutable_data_ptr<double>();
    Random random(seed, 23);
    for (std::int64_t i = 0; i < n; ++i) values[i] = random.below(2) == 0 ? -1.0 : 1.0;
    return x;
}

// Blocks of rows in fp64, with where they begin.
template <typename Work>
void for_blocks(const at::Tensor& matrix, Work work) {
    for (std::int64_t begin = 0; begin < matrix.size(0); begin += kBlock) {
        const std::int64_t rows = std::min(kBlock, matrix.size(0) - begin);
        work(begin, matrix.narrow(0, begin, rows).to(at::kDouble));
    }
}

at::Tensor times(const at::Tensor& matrix, const at::Tensor& vector, bool magnitudes) {
    at::Tensor result = at::empty({matrix.size(0)}, at::TensorOptions(at::kDouble));
    for_blocks(matrix, [&](std::int64_t begin, const at::Tensor& block) {
        result.narrow(0, begin, block.size(0))
            .copy_(at::mv(magnitudes ? block.abs() : block, vector));
    });
    return result;
}

// Standard deviation of one rounding of `value`: an ulp over the square root of twelve.
double rounding_variance(double value, const FloatFormat& format) {
    const double ulp = ulp_at(std::isfinite(value) ? value : 0.0, format);
    return ulp * ulp / 12.0;
}

}  // namespace

std::optional<double> projection_ratio(const Case& operator_case, const Stack& stack,
                                       const at::Tensor& product, std::uint64_t seed) {
    const std::optional<Factors> factors = factors_of(operator_case, stack);
    if (!factors || product.numel() == 0) return std::nullopt;
    const at::Tensor whole = product.reshape({-1, product.size(-1)});
    const std::int64_t columns = whole.size(1);
    const auto k = static_cast<double>(factors->left.size(1));
    const at::Tensor x = signs(columns, seed);
    const at::Tensor want = times(factors->left, times(factors->right, x, false), false);
    const at::Tensor size =
        times(factors->left, times(factors->right, at::Tensor(x.abs()), true), true);
    // As for long sums (docs/formulas.md#battery-bounds): what fp32 leaves of each sum.
    const double sums = 8.0 * std::ldexp(1.0, -24) * std::max(1.0, std::sqrt(k) / 8.0 + k / 512.0) /
                        std::sqrt(static_cast<double>(columns));
    constexpr double kDeviations = 8.5;
    const FloatFormat format = format_of(product.scalar_type());
    double worst = 0.0;
    for_blocks(whole, [&](std::int64_t begin, const at::Tensor& block) {
        const at::Tensor got = at::mv(block, x);
        const at::Tensor rows = block.contiguous();
        for (std::int64_t i = 0; i < rows.size(0); ++i) {
            const double* row = rows.const_data_ptr<double>() + i * columns;
            double variance = 0.0;
            for (std::int64_t j = 0; j < columns; ++j)
                variance += rounding_variance(row[j], format);
            const double allowed =
                kDeviations * std::sqrt(variance) + sums * size.const_data_ptr<double>()[begin + i];
            const double off = std::fabs(got.const_data_ptr<double>()[i] -
                                         want.const_data_ptr<double>()[begin + i]);
            const double ratio = off / std::max(allowed, 1e-300);
            // Infinities and NaN are counted where elements are compared.
            if (std::isfinite(ratio)) worst = std::max(worst, ratio);
        }
    });
    return worst;
}

}  // namespace ascertain::operators
