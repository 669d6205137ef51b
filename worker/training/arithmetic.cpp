#include "worker/training/arithmetic.hpp"

#include <ATen/ops/_grouped_mm.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/linear.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/scaled_dot_product_attention.h>
#include <ATen/ops/softmax.h>
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <vector>

namespace ascertain::training {
namespace {

struct DtypeName {
    std::string_view name;
    at::ScalarType dtype;
};
constexpr DtypeName kDtypes[] = {
    {"fp32", at::kFloat}, {"bf16", at::kBFloat16}, {"fp16", at::kHalf}, {"fp64", at::kDouble}};

bool is_wide(at::ScalarType dtype) {
    return dtype == at::kFloat || dtype == at::kDouble;
}

// x times weight transposed, the inner dimension summed in `parts` parts from last to first.
at::Tensor summed_in_parts(const at::Tensor& x, const at::Tensor& weight, std::int64_t parts) {
    const std::int64_t inner = x.size(-1);
    const std::int64_t count = std::min(parts, inner);
    at::Tensor total;
    for (std::int64_t part = count - 1; part >= 0; --part) {
        const std::int64_t begin = inner * part / count;
        const std::int64_t length = inner * (part + 1) / count - begin;
        const at::Tensor product =
            at::mm(x.narrow(-1, begin, length), weight.narrow(-1, begin, length).t());
        total = total.defined() ? total.add(product) : product;
    }
    return total;
}

at::Tensor attention_spelt_out(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                               const at::Tensor& mask, bool causal, double scale) {
    const std::int64_t repeats = q.size(1) / k.size(1);
    const at::Tensor keys = k.repeat_interleave(repeats, 1);
    const at::Tensor values = v.repeat_interleave(repeats, 1);
    at::Tensor visible = mask;
    if (!visible.defined() && causal) {
        visible = at::ones({q.size(2), q.size(2)}, q.options().dtype(at::kBool)).tril();
    }
    at::Tensor scores = at::matmul(q.mul(scale), keys.transpose(-2, -1));
    if (visible.defined()) {
        const double hidden = -std::numeric_limits<double>::infinity();
        scores = scores.masked_fill(visible.logical_not(), hidden);
    }
    return at::matmul(at::softmax(scores, -1), values);
}

// _grouped_mm wants every row to start on a multiple of 16 bytes.
bool rows_are_aligned(const at::Tensor& x, const at::Tensor& weight) {
    constexpr std::int64_t kAlignment_bytes = 16;
    const auto element = static_cast<std::int64_t>(x.element_size());
    return x.size(-1) * element % kAlignment_bytes == 0 &&
           weight.size(-2) * element % kAlignment_bytes == 0;
}

}  // namespace

Result<at::ScalarType> dtype_from_name(std::string_view name) {
    for (const DtypeName& known : kDtypes) {
        if (known.name == name) return known.dtype;
    }
    return Error{ErrorCode::kUnsupported,
                 fmt::format("training in \"{}\" is not offered; fp32, bf16 and fp16 are", name),
                 "dtype"};
}

std::string_view name_of_dtype(at::ScalarType dtype) {
    for (const DtypeName& known : kDtypes) {
        if (known.dtype == dtype) return known.name;
    }
    return "unknown";
}

at::Tensor round_to(const Arithmetic& arithmetic, const at::Tensor& x) {
    if (is_wide(arithmetic.dtype)) return x;
    const at::Tensor rounded = x.to(arithmetic.dtype);
    return arithmetic.emulated ? rounded.to(at::kFloat) : rounded;
}

at::Tensor widen(const at::Tensor& x) {
    return is_wide(x.scalar_type()) ? x : x.to(at::kFloat);
}

at::Tensor linear(const Arithmetic& arithmetic, const at::Tensor& x, const at::Tensor& weight,
                  const at::Tensor& bias) {
    const at::Tensor rows = round_to(arithmetic, x);
    const at::Tensor columns = round_to(arithmetic, weight);
    const std::optional<at::Tensor> shift =
        bias.defined() ? std::optional<at::Tensor>(round_to(arithmetic, bias)) : std::nullopt;
    if (arithmetic.summation_parts == 1) {
        const at::Tensor product = at::linear(rows, columns, shift);
        return arithmetic.emulated ? round_to(arithmetic, product) : product;
    }
    const at::Tensor product = summed_in_parts(rows, columns, arithmetic.summation_parts);
    return round_to(arithmetic, shift ? product.add(*shift) : product);
}

at::Tensor grouped_linear(const Arithmetic& arithmetic, const at::Tensor& x,
                          const at::Tensor& weight, const at::Tensor& ends) {
    const at::Tensor rows = round_to(arithmetic, x);
    const at::Tensor columns = round_to(arithmetic, weight);
    const bool grouped = arithmetic.summation_parts == 1 && rows.scalar_type() != at::kDouble &&
                         rows_are_aligned(rows, columns);
    if (grouped) {
        const at::Tensor product = at::_grouped_mm(rows, columns.transpose(-2, -1), ends);
        return arithmetic.emulated ? round_to(arithmetic, product) : product;
    }
    const at::Tensor host_ends = ends.to(at::kCPU);
    std::vector<at::Tensor> products;
    std::int64_t begin = 0;
    for (std::int64_t expert = 0; expert < columns.size(0); ++expert) {
        const std::int64_t end = host_ends.const_data_ptr<int>()[expert];
        const at::Tensor own = rows.narrow(0, begin, end - begin);
        const at::Tensor matrix = columns.select(0, expert);
        products.push_back(arithmetic.summation_parts == 1
                               ? at::mm(own, matrix.t())
                               : summed_in_parts(own, matrix, arithmetic.summation_parts));
        begin = end;
    }
    return round_to(arithmetic, at::cat(products));
}

at::Tensor attention(const Arithmetic& arithmetic, const at::Tensor& q, const at::Tensor& k,
                     const at::Tensor& v, const at::Tensor& mask, bool causal, double scale) {
    const at::Tensor queries = round_to(arithmetic, q);
    const at::Tensor keys = round_to(arithmetic, k);
    const at::Tensor values = round_to(arithmetic, v);
    if (arithmetic.summation_parts != 1) {
        return round_to(arithmetic,
                        attention_spelt_out(queries, keys, values, mask, causal, scale));
    }
    const bool grouped = q.size(1) != k.size(1);
    const std::optional<at::Tensor> visible =
        mask.defined() ? std::optional<at::Tensor>(mask) : std::nullopt;
    const at::Tensor output = at::scaled_dot_product_attention(
        queries, keys, values, visible, 0.0, causal && !mask.defined(), scale, grouped);
    return arithmetic.emulated ? round_to(arithmetic, output) : output;
}

}  // namespace ascertain::training
