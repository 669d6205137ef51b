// Matrix products in the declared order and width.
#include <ATen/ExpandUtils.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <algorithm>
#include <array>
#include <vector>

#include "chips/simulated/arithmetic/kernels.hpp"
#include "chips/simulated/arithmetic/tiles.hpp"

namespace ascertain::simulated::arithmetic {
namespace {

// The blocks of one accumulator, in the order in which they join it.
std::vector<std::int64_t> blocks_of_part(const Products& how, std::int64_t part,
                                         std::int64_t blocks) {
    std::vector<std::int64_t> chosen;
    if (how.order == BlockOrder::kInterleaved) {
        for (std::int64_t i = part; i < blocks; i += how.parts) chosen.push_back(i);
        // Even places first: neighbours never follow one another.
        std::ranges::stable_partition(chosen,
                                      [&](std::int64_t i) { return (i / how.parts) % 2 == 0; });
        return chosen;
    }
    const std::int64_t end = blocks * (part + 1) / how.parts;
    for (std::int64_t i = blocks * part / how.parts; i < end; ++i) chosen.push_back(i);
    if (how.order == BlockOrder::kDescending) std::ranges::reverse(chosen);
    return chosen;
}

std::int64_t block_length(const Products& how, std::int64_t k) {
    return how.block > 0 ? std::min(how.block, k) : (k + how.parts - 1) / how.parts;
}

// left [b, m, k], right [b, k, n]: every block is a product that the accumulator takes in.
at::Tensor sum_of_blocks(const Products& how, const at::Tensor& left, const at::Tensor& right) {
    const std::int64_t k = left.size(2);
    const std::int64_t block = block_length(how, k);
    const std::int64_t blocks = (k + block - 1) / block;
    at::Tensor total;
    for (std::int64_t part = 0; part < how.parts; ++part) {
        at::Tensor sum;
        for (const std::int64_t i : blocks_of_part(how, part, blocks)) {
            const std::int64_t length = std::min(block, k - i * block);
            const at::Tensor rows = left.narrow(2, i * block, length);
            const at::Tensor columns = right.narrow(1, i * block, length);
            if (sum.defined()) {
                sum.baddbmm_(rows, columns);
            } else {
                sum = rows.bmm(columns);
            }
        }
        if (sum.defined()) total = total.defined() ? total.add_(sum) : sum;
    }
    return total;
}

// left [b, m, k], right [b, k, n], term by term: see tiles.hpp.
at::Tensor sum_of_terms(const Products& how, const at::Tensor& left, const at::Tensor& right) {
    const std::int64_t batch = left.size(0);
    const std::int64_t m = left.size(1);
    const std::int64_t k = left.size(2);
    const std::int64_t n = right.size(2);
    const std::int64_t row_tiles = (m + kTileRows - 1) / kTileRows;
    const std::int64_t column_tiles = (n + kTileColumns - 1) / kTileColumns;
    // Zeros fill up the last tiles, and the columns of a tile lie together.
    at::Tensor rows = at::zeros({batch, row_tiles * kTileRows, k}, left.options());
    rows.narrow(1, 0, m).copy_(left);
    at::Tensor columns = at::zeros({batch, k, column_tiles * kTileColumns}, right.options());
    columns.narrow(2, 0, n).copy_(right);
    columns =
        columns.view({batch, k, column_tiles, kTileColumns}).permute({0, 2, 1, 3}).contiguous();
    at::Tensor out =
        at::empty({batch, row_tiles, column_tiles, kTileRows, kTileColumns}, left.options());
    const auto* l = rows.const_data_ptr<float>();
    const auto* r = columns.const_data_ptr<float>();
    auto* o = out.mutable_data_ptr<float>();
    const std::int64_t block = block_length(how, k);
    std::vector<std::vector<std::int64_t>> parts;
    for (std::int64_t part = 0; part < how.parts; ++part) {
        parts.push_back(blocks_of_part(how, part, (k + block - 1) / block));
    }
    at::parallel_for(0, batch * row_tiles, 1, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin * column_tiles; i < end * column_tiles; ++i) {
            const std::int64_t row_tile = i / column_tiles;
            const std::int64_t column_tile = row_tile / row_tiles * column_tiles + i % column_tiles;
            const Tile tile{l + row_tile * kTileRows * k, r + column_tile * k * kTileColumns, k};
            float* total = o + i * kTileRows * kTileColumns;
            std::fill_n(total, kTileRows * kTileColumns, 0.0F);
            for (const auto& blocks : parts) {
                std::array<float, kTileRows * kTileColumns> sum{};
                for (const std::int64_t at : blocks) {
                    const std::int64_t stop = std::min(k, (at + 1) * block);
                    if (how.truncated) {
                        add_truncated(tile, at * block, stop, sum.data());
                    } else {
                        add_rounded(tile, at * block, stop, sum.data());
                    }
                }
                for (std::size_t j = 0; j < sum.size(); ++j) total[j] += sum[j];
            }
        }
    });
    return out.permute({0, 1, 3, 2, 4})
        .reshape({batch, row_tiles * kTileRows, column_tiles * kTileColumns})
        .narrow(1, 0, m)
        .narrow(2, 0, n);
}

struct Operands {
    at::Tensor left;
    at::Tensor right;
    at::Tensor addend;
    double alpha = 1.0;
    double beta = 0.0;
    std::int64_t dims = 0;  // that the factors must have
};

bool can_be_multiplied(const Operands& with) {
    const auto& [left, right, addend, alpha, beta, dims] = with;
    if (!left.defined() || !right.defined() || left.dim() != dims || right.dim() != dims) {
        return false;
    }
    const bool fits = left.size(-1) == right.size(-2) && left.size(-1) > 0 && left.numel() > 0 &&
                      right.numel() > 0 && (dims == 2 || left.size(0) == right.size(0));
    return fits && is_working_float(left.scalar_type()) &&
           left.scalar_type() == right.scalar_type() &&
           (!addend.defined() || addend.scalar_type() == left.scalar_type());
}

// Products of 16-bit operands have at most 22 bits: rounding them to fp32 changes nothing.
Products products_of(const Operation& operation, at::ScalarType dtype) {
    Products how = operation.declared().products;
    if (dtype != at::kFloat) how.product_rounded = false;
    return how;
}

bool multiply(Operation& operation, Operands with) {
    if (!can_be_multiplied(with)) return false;
    const at::ScalarType dtype = with.left.scalar_type();
    const Products how = products_of(operation, dtype);
    at::Tensor result = product(how, with.left.to(at::kFloat), with.right.to(at::kFloat));
    if (with.alpha != 1.0) result.mul_(with.alpha);
    if (with.addend.defined() && with.beta != 0.0) {
        if (!at::is_expandable_to(with.addend.sizes(), result.sizes())) return false;
        result.add_(with.addend.to(at::kFloat), with.beta);
    }
    operation.answer(result, dtype);
    return true;
}

// mm takes no other arguments than its factors; an overload with another result dtype does.
bool mm(Operation& operation) {
    if (operation.find("out_dtype") != nullptr) return false;
    return multiply(operation,
                    {operation.tensor("self"), operation.tensor("mat2"), {}, 1.0, 0.0, 2});
}

bool bmm(Operation& operation) {
    if (operation.find("out_dtype") != nullptr) return false;
    return multiply(operation,
                    {operation.tensor("self"), operation.tensor("mat2"), {}, 1.0, 0.0, 3});
}

bool addmm(Operation& operation) {
    if (operation.find("out_dtype") != nullptr) return false;
    return multiply(operation,
                    {operation.tensor("mat1"), operation.tensor("mat2"), operation.tensor("self"),
                     operation.number("alpha", 1.0), operation.number("beta", 1.0), 2});
}

bool baddbmm(Operation& operation) {
    if (operation.find("out_dtype") != nullptr) return false;
    return multiply(operation, {operation.tensor("batch1"), operation.tensor("batch2"),
                                operation.tensor("self"), operation.number("alpha", 1.0),
                                operation.number("beta", 1.0), 3});
}

// Groups of rows (or of k) with a matrix each; `offs` says where groups end.
bool grouped_mm(Operation& operation) {
    const at::Tensor left = operation.tensor("self");
    const at::Tensor right = operation.tensor("mat2");
    const at::Tensor ends = operation.tensor("offs");
    const c10::IValue* bias = operation.find("bias");
    const c10::IValue* dtype = operation.find("out_dtype");
    const bool plain = (bias == nullptr || bias->isNone()) && (dtype == nullptr || dtype->isNone());
    if (!plain || !ends.defined() || left.dim() != 2 || !is_working_float(left.scalar_type()) ||
        left.scalar_type() != right.scalar_type() || ends.scalar_type() != at::kInt) {
        return false;
    }
    const Products how = products_of(operation, left.scalar_type());
    const at::Tensor a = left.to(at::kFloat);
    const at::Tensor b = right.to(at::kFloat);
    const at::Tensor places = ends.contiguous();
    const auto groups = places.numel();
    const bool over_k = right.dim() == 2;
    at::Tensor result = over_k ? at::zeros({groups, a.size(0), b.size(1)}, a.options())
                               : at::zeros({a.size(0), b.size(2)}, a.options());
    std::int64_t begin = 0;
    for (std::int64_t group = 0; group < groups; ++group) {
        const std::int64_t length = places.const_data_ptr<int>()[group] - begin;
        if (length > 0 && over_k) {
            result.select(0, group).copy_(
                product(how, a.narrow(1, begin, length), b.narrow(0, begin, length)));
        } else if (length > 0) {
            result.narrow(0, begin, length)
                .copy_(product(how, a.narrow(0, begin, length), b.select(0, group)));
        }
        begin += length;
    }
    operation.answer(result, left.scalar_type());
    return true;
}

bool matrix_by_vector(Operation& operation) {
    const bool adds = operation.find("mat") != nullptr;
    const at::Tensor matrix = operation.tensor(adds ? "mat" : "self");
    const at::Tensor vector = operation.tensor("vec");
    if (!matrix.defined() || matrix.dim() != 2 || vector.dim() != 1) return false;
    Operands with{matrix, vector.unsqueeze(1), {}, 1.0, 0.0, 2};
    if (!can_be_multiplied(with)) return false;
    at::Tensor result = product(products_of(operation, matrix.scalar_type()), matrix.to(at::kFloat),
                                vector.to(at::kFloat).unsqueeze(1))
                            .squeeze(1);
    if (adds) {
        result.mul_(operation.number("alpha", 1.0));
        const double beta = operation.number("beta", 1.0);
        if (beta != 0.0) result.add_(operation.tensor("self").to(at::kFloat), beta);
    }
    operation.answer(result, matrix.scalar_type());
    return true;
}

constexpr std::array kKernels{OwnKernel{"mm", mm},
                              OwnKernel{"bmm", bmm},
                              OwnKernel{"addmm", addmm},
                              OwnKernel{"baddbmm", baddbmm},
                              OwnKernel{"_grouped_mm", grouped_mm},
                              OwnKernel{"mv", matrix_by_vector},
                              OwnKernel{"addmv", matrix_by_vector}};

}  // namespace

at::Tensor product(const Products& how, const at::Tensor& left, const at::Tensor& right) {
    const bool flat = left.dim() == 2;
    const at::Tensor rows = flat ? left.unsqueeze(0) : left;
    const at::Tensor columns = flat ? right.unsqueeze(0) : right;
    const at::Tensor result = how.truncated || how.product_rounded
                                  ? sum_of_terms(how, rows, columns)
                                  : sum_of_blocks(how, rows, columns);
    return flat ? result.squeeze(0) : result;
}

std::span<const OwnKernel> product_kernels() {
    return kKernels;
}

}  // namespace ascertain::simulated::arithmetic
