#include "worker/operators/sample.hpp"

#include <ATen/ops/from_blob.h>

#include <algorithm>
#include <string>

#include "base/random.hpp"

namespace ascertain::operators {
namespace {

constexpr std::int64_t kSampleElements = std::int64_t{1} << 22;
constexpr std::int64_t kColumnsMax = 1024;
// Tensors of lists up to here stay whole.
constexpr std::int64_t kListElementsMax = std::int64_t{1} << 20;

// `count` of the places 0 ... size - 1, ascending: both ends, where tails go wrong, and one at
// random from each of equally large cells between.
at::Tensor places(std::int64_t size, std::int64_t count, std::uint64_t seed) {
    count = std::clamp<std::int64_t>(count, 1, size);
    const std::int64_t edge = count / 4;
    const std::int64_t cells = count - 2 * edge;
    const std::int64_t between = size - 2 * edge;
    std::vector<std::int64_t> list;
    for (std::int64_t i = 0; i < edge; ++i) list.push_back(i);
    Random random(seed, 7);
    for (std::int64_t cell = 0; cell < cells; ++cell) {
        const std::int64_t begin = between * cell / cells;
        const std::int64_t end = between * (cell + 1) / cells;
        list.push_back(
            edge + begin +
            static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(end - begin))));
    }
    for (std::int64_t i = edge; i > 0; --i) list.push_back(size - i);
    return at::from_blob(list.data(), {static_cast<std::int64_t>(list.size())},
                         at::TensorOptions().dtype(at::kLong))
        .clone();
}

// Rows of a tensor for kRows: as many as make the sample's size.
at::Tensor some_rows(const at::Tensor& tensor, std::uint64_t seed) {
    const std::int64_t row = std::max<std::int64_t>(1, tensor.numel() / tensor.size(0));
    return tensor.index_select(0, places(tensor.size(0), kSampleElements / row, seed));
}

std::int64_t column_count(std::int64_t columns) {
    return std::min(columns, kColumnsMax);
}

at::Tensor some_columns(const at::Tensor& tensor, std::int64_t dimension, std::uint64_t seed) {
    const std::int64_t size = tensor.size(dimension);
    return tensor.index_select(dimension, places(size, column_count(size), seed));
}

// Rows of a matrix product's left side; `columns` is the width of the product.
at::Tensor matrix_rows(const at::Tensor& tensor, std::int64_t columns, std::uint64_t seed) {
    const std::int64_t count = std::max<std::int64_t>(1, kSampleElements / column_count(columns));
    return tensor.index_select(-2, places(tensor.size(-2), count, seed + 1));
}

std::string base_name(const Case& operator_case) {
    std::string name = operator_case.op.substr(operator_case.op.rfind(':') + 1);
    while (name.size() > 1 && name.ends_with('_')) name.pop_back();
    return name;
}

// A bias that is added to the product: as wide as it, as long as it, or one in that dimension.
at::Tensor sampled_bias(const at::Tensor& bias, std::int64_t columns, std::uint64_t seed) {
    at::Tensor part = bias;
    if (part.dim() >= 2 && part.size(-2) > 1) part = matrix_rows(part, columns, seed);
    if (part.dim() >= 1 && part.size(-1) > 1) part = some_columns(part, -1, seed);
    return part;
}

Stack matrix_stack(const std::string& name, std::uint64_t seed, Stack stack) {
    const bool biased_first = name == "addmm" || name == "baddbmm";
    const std::size_t left = biased_first ? 1 : 0;
    const bool transposed = name == "linear";  // the right side is [columns, inner]
    const at::Tensor right = stack[left + 1].toTensor();
    const std::int64_t columns = right.size(transposed ? -2 : -1);
    stack[left] = matrix_rows(stack[left].toTensor(), columns, seed);
    stack[left + 1] = some_columns(right, transposed ? -2 : -1, seed);
    const std::size_t bias = biased_first ? 0 : 2;
    if (bias < stack.size() && stack[bias].isTensor() && stack[bias].toTensor().defined() &&
        name != "_grouped_mm") {
        stack[bias] = sampled_bias(stack[bias].toTensor(), columns, seed);
    }
    return stack;
}

// Every tensor that has the rows of the largest one; members of lists each by themselves.
Stack row_stack(std::uint64_t seed, Stack stack) {
    at::Tensor largest;
    for (const c10::IValue& value : stack) {
        if (!value.isTensor() || !value.toTensor().defined()) continue;
        if (!largest.defined() || value.toTensor().numel() > largest.numel()) {
            largest = value.toTensor();
        }
    }
    for (c10::IValue& value : stack) {
        if (value.isTensorList()) {
            c10::List<at::Tensor> parts;
            for (const at::Tensor& item : value.toTensorVector()) {
                parts.push_back(item.numel() > kListElementsMax ? some_rows(item, seed) : item);
            }
            value = parts;
        } else if (value.isTensor() && value.toTensor().defined()) {
            const at::Tensor tensor = value.toTensor();
            if (tensor.dim() == largest.dim() && tensor.dim() > 0 &&
                tensor.size(0) == largest.size(0)) {
                const std::int64_t row =
                    std::max<std::int64_t>(1, largest.numel() / largest.size(0));
                value = tensor.index_select(0, places(tensor.size(0), kSampleElements / row, seed));
            }
        }
    }
    return stack;
}

// Whether each output has the rows of an input of its shape, so that both are sampled alike.
bool rows_correspond(const Stack& stack, const std::vector<Output>& outputs) {
    const bool lists = std::any_of(stack.begin(), stack.end(),
                                   [](const c10::IValue& value) { return value.isTensorList(); });
    if (lists) return true;
    return std::all_of(outputs.begin(), outputs.end(), [&](const Output& output) {
        return std::any_of(stack.begin(), stack.end(), [&](const c10::IValue& value) {
            return value.isTensor() && value.toTensor().defined() && value.toTensor().dim() > 0 &&
                   value.toTensor().sizes() == output.value.sizes();
        });
    });
}

bool is_matrix_product(const std::string& name) {
    return name == "mm" || name == "addmm" || name == "bmm" || name == "baddbmm" ||
           name == "linear" || name == "_grouped_mm";
}

}  // namespace

SampleKind sample_kind(const Case& operator_case, Family family, const Stack& stack,
                       const std::vector<Output>& outputs) {
    std::int64_t elements = 0;
    for (const Output& output : outputs) elements += output.value.numel();
    if (is_rowwise(family)) {
        return elements > kWholeRowwiseMax && rows_correspond(stack, outputs) ? SampleKind::kRows
                                                                              : SampleKind::kWhole;
    }
    const std::string name = base_name(operator_case);
    if (is_matrix_product(name)) {
        // A wide weight costs as much as a large product: its fp64 copy.
        for (const c10::IValue& value : stack) {
            if (value.isTensor() && value.toTensor().defined()) {
                elements = std::max(elements, value.toTensor().numel());
            }
        }
        return elements > kWholeElementsMax ? SampleKind::kMatrix : SampleKind::kWhole;
    }
    if (elements <= kWholeElementsMax) return SampleKind::kWhole;
    return name == "embedding_dense_backward" ? SampleKind::kColumns : SampleKind::kWhole;
}

Stack sampled_stack(const Case& operator_case, SampleKind kind, std::uint64_t seed,
                    const Stack& stack) {
    switch (kind) {
        case SampleKind::kWhole: return stack;
        case SampleKind::kRows: return row_stack(seed, stack);
        case SampleKind::kMatrix: return matrix_stack(base_name(operator_case), seed, stack);
        case SampleKind::kColumns: {
            Stack part = stack;
            part[0] = some_columns(part[0].toTensor(), -1, seed);
            return part;
        }
    }
    return stack;
}

std::vector<Output> sampled_outputs(SampleKind kind, std::uint64_t seed,
                                    const std::vector<Output>& outputs) {
    std::vector<Output> parts;
    for (const Output& output : outputs) {
        const at::Tensor& value = output.value;
        switch (kind) {
            case SampleKind::kWhole: parts.push_back(output); break;
            case SampleKind::kRows: {
                const bool small_item = outputs.size() > 1 && value.numel() <= kListElementsMax;
                parts.push_back(
                    {output.name, small_item || value.dim() == 0 ? value : some_rows(value, seed)});
                break;
            }
            case SampleKind::kMatrix:
                parts.push_back({output.name,
                                 some_columns(matrix_rows(value, value.size(-1), seed), -1, seed)});
                break;
            case SampleKind::kColumns:
                parts.push_back({output.name, some_columns(value, -1, seed)});
                break;
        }
    }
    return parts;
}

}  // namespace ascertain::operators
