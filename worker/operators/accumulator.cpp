#include "worker/operators/accumulator.hpp"

#include <algorithm>
#include <bit>
#include <string_view>
#include <vector>

#include "worker/operators/dtype.hpp"

namespace ascertain::operators {
namespace {

constexpr std::int64_t kBlock = 16;
constexpr std::int64_t kEmulatedSide = 64;  // rows and columns of the part that is emulated

// The fp32 number next to `value` towards zero (fp32's range is not reached here).
double truncated(double value) {
    constexpr int kDropped = 53 - 24;
    return std::bit_cast<double>(std::bit_cast<std::uint64_t>(value) >> kDropped << kDropped);
}

struct Product {
    at::Tensor left, right;  // [m, k], [k, n]
};

// The first matrices that are multiplied; undefined when the operator multiplies none.
Product product_of(std::string_view op, const Stack& stack) {
    const auto tensor = [&](std::size_t i) { return stack.at(i).toTensor(); };
    Product product;
    if (op == "aten::mm" || op == "aten::bmm" || op == "aten::_grouped_mm") {
        product = {tensor(0), tensor(1)};
    } else if (op == "aten::addmm" || op == "aten::baddbmm") {
        product = {tensor(1), tensor(2)};
    } else if (op == "aten::linear") {
        product = {tensor(0), tensor(1).transpose(-2, -1)};
    }
    if (!product.left.defined() || product.left.dim() < 2 || product.right.dim() < 2) return {};
    while (product.left.dim() > 2) product.left = product.left.select(0, 0);
    while (product.right.dim() > 2) product.right = product.right.select(0, 0);
    return product;
}

}  // namespace

double truncating_share(const at::Tensor& left, const at::Tensor& right, c10::ScalarType dtype) {
    const at::Tensor a = left.contiguous();
    const at::Tensor b = right.contiguous();
    const std::int64_t rows = a.size(0);
    const std::int64_t inner = a.size(1);
    const std::int64_t columns = b.size(1);
    const at::Tensor exact = a.mm(b).contiguous();
    const FloatFormat format = format_of(dtype);
    const double* x = a.const_data_ptr<double>();
    const double* y = b.const_data_ptr<double>();
    const double* reference = exact.const_data_ptr<double>();
    std::vector<double> sums(static_cast<std::size_t>(columns));
    std::vector<double> block(static_cast<std::size_t>(columns));
    std::int64_t differing = 0;
    for (std::int64_t row = 0; row < rows; ++row) {
        std::fill(sums.begin(), sums.end(), 0.0);
        for (std::int64_t begin = 0; begin < inner; begin += kBlock) {
            std::fill(block.begin(), block.end(), 0.0);
            for (std::int64_t k = begin; k < std::min(begin + kBlock, inner); ++k) {
                const double factor = x[row * inner + k];
                const double* line = y + k * columns;
                for (std::size_t j = 0; j < block.size(); ++j) block[j] += factor * line[j];
            }
            for (std::size_t j = 0; j < sums.size(); ++j) sums[j] = truncated(sums[j] + block[j]);
        }
        for (std::size_t j = 0; j < sums.size(); ++j) {
            const double ideal =
                rounded_to(reference[row * columns + static_cast<std::int64_t>(j)], format);
            differing += rounded_to(sums[j], format) != ideal ? 1 : 0;
        }
    }
    return static_cast<double>(differing) / static_cast<double>(rows * columns);
}

std::optional<Reduction> reduction_of(const Case& operator_case, const Stack& stack,
                                      c10::ScalarType output) {
    const Product product = product_of(operator_case.op, stack);
    if (!product.left.defined()) return std::nullopt;
    Reduction reduction;
    reduction.length = product.left.size(1);
    const bool narrow = c10::isFloatingType(output) && format_of(output).precision <= 11;
    if (reduction.length <= kPlainReductionMax || !narrow ||
        product.right.size(0) != reduction.length) {
        return reduction;
    }
    const at::Tensor left =
        product.left.narrow(0, 0, std::min(product.left.size(0), kEmulatedSide));
    const at::Tensor right =
        product.right.narrow(1, 0, std::min(product.right.size(1), kEmulatedSide));
    reduction.emulated_share = truncating_share(left, right, output);
    reduction.emulated_elements = left.size(0) * right.size(1);
    return reduction;
}

}  // namespace ascertain::operators
