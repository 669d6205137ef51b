// Sums over dimensions in the declared order, and what is made of them: means, norms, softmax.
#include <ATen/Parallel.h>
#include <ATen/WrapDimUtils.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <array>
#include <vector>

#include "chips/simulated/arithmetic/kernels.hpp"

namespace ascertain::simulated::arithmetic {
namespace {

constexpr std::int64_t kChunk = 4096;  // terms that one set of lanes takes
constexpr std::size_t kLanesMax = 1024;

// values[0, count) added pairwise: halves of halves.
float add_pairwise(float* values, std::int64_t count) {
    for (; count > 1; count = (count + 1) / 2) {
        const std::int64_t half = (count + 1) / 2;
        for (std::int64_t i = 0; i + half < count; ++i) values[i] += values[i + half];
    }
    return values[0];
}

float sum_of_chunk(const float* x, std::int64_t n, std::int64_t lanes) {
    std::array<float, kLanesMax> lane;
    std::fill_n(lane.begin(), lanes, 0.0F);
    std::int64_t i = 0;
    for (; i + lanes <= n; i += lanes) {
        for (std::int64_t j = 0; j < lanes; ++j) lane[static_cast<std::size_t>(j)] += x[i + j];
    }
    for (std::int64_t j = 0; i + j < n; ++j) lane[static_cast<std::size_t>(j)] += x[i + j];
    return add_pairwise(lane.data(), lanes);
}

float sum_of_row(const float* x, std::int64_t n, std::int64_t lanes) {
    if (n <= kChunk) return sum_of_chunk(x, n, lanes);
    std::vector<float> chunks;
    for (std::int64_t i = 0; i < n; i += kChunk) {
        chunks.push_back(sum_of_chunk(x + i, std::min(kChunk, n - i), lanes));
    }
    return add_pairwise(chunks.data(), static_cast<std::int64_t>(chunks.size()));
}

// Which dimensions an argument "dim" means, in order; all where it is missing, None or empty.
std::vector<std::int64_t> dims_of(const Operation& operation, std::int64_t ndim) {
    const c10::IValue* dim = operation.find("dim");
    std::vector<std::int64_t> dims;
    if (dim != nullptr && dim->isInt()) dims.push_back(dim->toInt());
    if (dim != nullptr && dim->isIntList()) dims = dim->toIntVector();
    if (dims.empty()) {
        for (std::int64_t i = 0; i < ndim; ++i) dims.push_back(i);
    }
    for (std::int64_t& one : dims) one = at::maybe_wrap_dim(one, ndim);
    std::ranges::sort(dims);
    return dims;
}

// The sum of fp32 `x` over `dims`; kept as dimensions of size 1 where `keep`.
at::Tensor sum_over(const Sums& how, const at::Tensor& x, const std::vector<std::int64_t>& dims,
                    bool keep) {
    std::vector<std::int64_t> order;
    std::vector<std::int64_t> rest;
    std::vector<std::int64_t> kept;
    for (std::int64_t i = 0; i < x.dim(); ++i) {
        const bool summed = std::ranges::find(dims, i) != dims.end();
        if (!summed) order.push_back(i);
        if (!summed) rest.push_back(x.size(i));
        if (!summed || keep) kept.push_back(summed ? 1 : x.size(i));
    }
    order.insert(order.end(), dims.begin(), dims.end());
    std::int64_t terms = 1;
    for (const std::int64_t dim : dims) terms *= x.size(dim);
    rest.push_back(terms);
    return sum_last(how, x.permute(order).reshape(rest)).view(kept);
}

bool takes(const Operation& operation, const at::Tensor& x) {
    const c10::IValue* dtype = operation.find("dtype");
    const bool plain = dtype == nullptr || dtype->isNone() ||
                       is_working_float(static_cast<at::ScalarType>(dtype->toInt()));
    return operation.declared().sums.declared && plain && x.defined() && x.dim() > 0 &&
           x.numel() > 0 && is_working_float(x.scalar_type());
}

at::ScalarType result_dtype(const Operation& operation, const at::Tensor& x) {
    const c10::IValue* dtype = operation.find("dtype");
    const bool given = dtype != nullptr && !dtype->isNone();
    return given ? static_cast<at::ScalarType>(dtype->toInt()) : x.scalar_type();
}

bool keeps(const Operation& operation) {
    const c10::IValue* keep = operation.find("keepdim");
    return keep != nullptr && keep->toBool();
}

bool sum(Operation& operation) {
    const at::Tensor x = operation.tensor("self");
    if (!takes(operation, x)) return false;
    operation.answer(sum_over(operation.declared().sums, x.to(at::kFloat),
                              dims_of(operation, x.dim()), keeps(operation)),
                     result_dtype(operation, x));
    return true;
}

bool mean(Operation& operation) {
    const at::Tensor x = operation.tensor("self");
    if (!takes(operation, x)) return false;
    const std::vector<std::int64_t> dims = dims_of(operation, x.dim());
    double terms = 1.0;
    for (const std::int64_t dim : dims) terms *= static_cast<double>(x.size(dim));
    operation.answer(
        sum_over(operation.declared().sums, x.to(at::kFloat), dims, keeps(operation)).div_(terms),
        result_dtype(operation, x));
    return true;
}

bool vector_norm(Operation& operation) {
    const at::Tensor x = operation.tensor("self");
    if (!takes(operation, x) || operation.number("ord", 2.0) != 2.0) return false;
    operation.answer(sum_over(operation.declared().sums, x.to(at::kFloat).square(),
                              dims_of(operation, x.dim()), keeps(operation))
                         .sqrt_(),
                     result_dtype(operation, x));
    return true;
}

// The dimension last; `back` undoes it.
struct Rows {
    at::Tensor values;  // fp32, contiguous
    std::int64_t dim;

    [[nodiscard]] at::Tensor back(const at::Tensor& result) const {
        return result.transpose(dim, -1);
    }
};

Rows rows_of(const Operation& operation, const at::Tensor& x) {
    const std::int64_t dim = at::maybe_wrap_dim(operation.find("dim")->toInt(), x.dim());
    return {x.to(at::kFloat).transpose(dim, -1).contiguous(), dim};
}

bool takes_rows(const Operation& operation, const at::Tensor& x) {
    const c10::IValue* wider = operation.find("half_to_float");
    return x.defined() && x.dim() > 0 && x.numel() > 0 && is_working_float(x.scalar_type()) &&
           (wider == nullptr || !wider->toBool());
}

bool softmax(Operation& operation) {
    const at::Tensor x = operation.tensor("self");
    if (!takes_rows(operation, x)) return false;
    const Rows rows = rows_of(operation, x);
    const at::Tensor powers =
        exponential(operation.declared(), rows.values.sub(rows.values.amax(-1, true)));
    operation.answer(
        rows.back(powers.div(sum_last(operation.declared().sums, powers))).contiguous(),
        x.scalar_type());
    return true;
}

bool log_softmax(Operation& operation) {
    const at::Tensor x = operation.tensor("self");
    if (!takes_rows(operation, x)) return false;
    const Rows rows = rows_of(operation, x);
    const at::Tensor shifted = rows.values.sub(rows.values.amax(-1, true));
    const at::Tensor total =
        sum_last(operation.declared().sums, exponential(operation.declared(), shifted));
    operation.answer(rows.back(shifted.sub(total.log())).contiguous(), x.scalar_type());
    return true;
}

bool same_rows(const at::Tensor& gradient, const at::Tensor& output) {
    return gradient.defined() && output.defined() && gradient.sizes() == output.sizes() &&
           gradient.scalar_type() == output.scalar_type();
}

bool softmax_backward(Operation& operation) {
    const at::Tensor gradient = operation.tensor("grad_output");
    const at::Tensor output = operation.tensor("output");
    if (!same_rows(gradient, output) || !takes_rows(operation, output)) return false;
    const Rows y = rows_of(operation, output);
    const Rows g = rows_of(operation, gradient);
    const at::Tensor weighted = g.values.mul(y.values);
    const at::Tensor total = sum_last(operation.declared().sums, weighted);
    operation.answer(y.back(weighted.sub(y.values.mul(total))).contiguous(), output.scalar_type());
    return true;
}

bool log_softmax_backward(Operation& operation) {
    const at::Tensor gradient = operation.tensor("grad_output");
    const at::Tensor output = operation.tensor("output");
    if (!same_rows(gradient, output) || !takes_rows(operation, output)) return false;
    const Rows y = rows_of(operation, output);
    const Rows g = rows_of(operation, gradient);
    const at::Tensor total = sum_last(operation.declared().sums, g.values);
    const at::Tensor share = exponential(operation.declared(), y.values).mul(total);
    operation.answer(y.back(g.values.sub(share)).contiguous(), output.scalar_type());
    return true;
}

// Of fp32 alone: for other dtypes the CPU chooses the dtype of the statistics.
bool layer_norm(Operation& operation) {
    const at::Tensor x = operation.tensor("input");
    if (!operation.declared().sums.declared || x.scalar_type() != at::kFloat || x.numel() == 0 ||
        operation.writes()) {
        return false;
    }
    const auto dims =
        static_cast<std::int64_t>(operation.find("normalized_shape")->toIntVector().size());
    std::vector<std::int64_t> outer(x.sizes().begin(), x.sizes().end() - dims);
    outer.push_back(-1);
    const at::Tensor rows = x.reshape(outer).contiguous();
    const auto terms = static_cast<double>(rows.size(-1));
    const Sums& how = operation.declared().sums;
    const at::Tensor average = sum_last(how, rows).div_(terms);
    const at::Tensor centred = rows.sub(average);
    const at::Tensor scale =
        sum_last(how, centred.square()).div_(terms).add_(operation.number("eps", 1e-5)).rsqrt_();
    at::Tensor result = centred.mul(scale).view(x.sizes());
    const at::Tensor weight = operation.tensor("weight");
    const at::Tensor bias = operation.tensor("bias");
    if (weight.defined()) result = result.mul(weight);
    if (bias.defined()) result = result.add(bias);
    outer.pop_back();
    for (std::int64_t i = 0; i < dims; ++i) outer.push_back(1);
    operation.answer({result, average.view(outer), scale.view(outer)});
    return true;
}

constexpr std::array kKernels{OwnKernel{"sum", sum},
                              OwnKernel{"mean", mean},
                              OwnKernel{"linalg_vector_norm", vector_norm},
                              OwnKernel{"_softmax", softmax},
                              OwnKernel{"_log_softmax", log_softmax},
                              OwnKernel{"_softmax_backward_data", softmax_backward},
                              OwnKernel{"_log_softmax_backward_data", log_softmax_backward},
                              OwnKernel{"native_layer_norm", layer_norm}};

}  // namespace

at::Tensor sum_last(const Sums& how, const at::Tensor& x) {
    if (!how.declared) return x.sum({-1}, true);
    const at::Tensor rows = x.contiguous();
    const std::int64_t n = rows.size(-1);
    std::vector<std::int64_t> shape(rows.sizes().begin(), rows.sizes().end());
    shape.back() = 1;
    at::Tensor result = at::empty(shape, rows.options());
    const auto* from = rows.const_data_ptr<float>();
    auto* to = result.mutable_data_ptr<float>();
    const std::int64_t grain = std::max<std::int64_t>(1, 32768 / std::max<std::int64_t>(1, n));
    at::parallel_for(0, result.numel(), grain, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t row = begin; row < end; ++row) {
            to[row] = sum_of_row(from + row * n, n, how.lanes);
        }
    });
    return result;
}

std::span<const OwnKernel> sum_kernels() {
    return kKernels;
}

}  // namespace ascertain::simulated::arithmetic
