// Sums at indices in whatever order contributions arrive, as atomic additions do: another one at
// every call. Where torch was told to use deterministic algorithms the order is that of the
// indices.
#include <ATen/Context.h>
#include <ATen/ops/broadcast_tensors.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/tensor.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <random>
#include <vector>

#include "chips/simulated/arithmetic/kernels.hpp"

namespace ascertain::simulated::arithmetic {
namespace {

bool is_free() {
    return !at::globalContext().deterministicAlgorithms();
}

// Drawn from the machine: no seed of torch's decides who comes first.
at::Tensor arrival(std::int64_t count) {
    static thread_local std::mt19937_64 source(std::random_device{}());
    std::vector<std::int64_t> order(static_cast<std::size_t>(count));
    std::iota(order.begin(), order.end(), 0);
    std::ranges::shuffle(order, source);
    return at::tensor(order);
}

bool is_sum_of_floats(const at::Tensor& source) {
    return is_free() && source.defined() && is_working_float(source.scalar_type()) &&
           source.numel() > 0;
}

std::size_t place_of(const Operation& operation, std::string_view name) {
    const auto& schema = operation.op().schema().arguments();
    const auto found = std::ranges::find_if(
        schema, [&](const c10::Argument& argument) { return argument.name() == name; });
    return static_cast<std::size_t>(found - schema.begin());
}

void run_on_host(Operation& operation) {
    operation.op().redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &operation.stack());
}

// index_add(self, dim, index, source), scatter_add(self, dim, index, src): both along `dim`.
bool along_dimension(Operation& operation, const char* source_name) {
    const std::size_t place = place_of(operation, source_name);
    const std::size_t index_place = place_of(operation, "index");
    const at::Tensor source = operation.arguments()[place].toTensor();
    const at::Tensor index = operation.arguments()[index_place].toTensor();
    const std::int64_t dim = operation.find("dim")->toInt();
    if (!is_sum_of_floats(source) || index.dim() == 0 || source.dim() == 0) return false;
    const std::int64_t index_dim = index.dim() == 1 ? 0 : dim;
    const std::int64_t count = index.size(index_dim);
    // scatter_add takes less of the source than there is where the index is smaller.
    if (count < 2 || source.size(dim) < count) return false;
    const at::Tensor order = arrival(count);
    operation.arguments()[index_place] = index.index_select(index_dim, order);
    operation.arguments()[place] = source.index_select(dim, order);
    run_on_host(operation);
    return true;
}

bool index_add(Operation& operation) {
    return along_dimension(operation, "source");
}

bool scatter_add(Operation& operation) {
    return along_dimension(operation, "src");
}

bool scatter_reduce(Operation& operation) {
    const c10::IValue* reduce = operation.find("reduce");
    if (reduce == nullptr || reduce->toStringView() != "sum") return false;
    return along_dimension(operation, "src");
}

// index_put(self, indices, values, accumulate): over all the indices, which broadcast.
bool index_put(Operation& operation) {
    const c10::IValue* accumulate = operation.find("accumulate");
    const at::Tensor values = operation.tensor("values");
    if (accumulate == nullptr || !accumulate->toBool() || !is_sum_of_floats(values)) return false;
    const std::size_t place = place_of(operation, "indices");
    std::vector<at::Tensor> indices;
    for (const std::optional<at::Tensor>& index :
         operation.arguments()[place].toOptionalTensorVector()) {
        // A masked or whole dimension changes what values mean.
        if (!index || !index->defined() || index->scalar_type() != at::kLong) return false;
        indices.push_back(*index);
    }
    indices = at::broadcast_tensors(indices);
    const std::int64_t count = indices.empty() ? 0 : indices[0].numel();
    if (count < 2) return false;
    const at::Tensor self = operation.tensor("self");
    const auto taken = static_cast<std::int64_t>(indices.size());
    std::vector<std::int64_t> shape(indices[0].sizes().begin(), indices[0].sizes().end());
    std::vector<std::int64_t> flat{count};
    for (std::int64_t dim = taken; dim < self.dim(); ++dim) {
        shape.push_back(self.size(dim));
        flat.push_back(self.size(dim));
    }
    const at::Tensor order = arrival(count);
    c10::List<std::optional<at::Tensor>> shuffled;
    for (const at::Tensor& index : indices)
        shuffled.push_back(index.flatten().index_select(0, order));
    operation.arguments()[place] = shuffled;
    operation.arguments()[place_of(operation, "values")] =
        values.expand(shape).reshape(flat).index_select(0, order);
    run_on_host(operation);
    return true;
}

// (grad_output [..., width], indices [...], num_weights, padding_idx, scale_grad_by_freq).
bool embedding_backward(Operation& operation) {
    const at::Tensor gradient = operation.tensor("grad_output");
    const at::Tensor indices = operation.tensor("indices");
    if (!is_sum_of_floats(gradient) || indices.numel() < 2) return false;
    const at::Tensor order = arrival(indices.numel());
    operation.arguments()[place_of(operation, "grad_output")] =
        gradient.reshape({indices.numel(), gradient.size(-1)}).index_select(0, order);
    operation.arguments()[place_of(operation, "indices")] =
        indices.flatten().index_select(0, order);
    run_on_host(operation);
    return true;
}

constexpr std::array kKernels{OwnKernel{"index_add", index_add},
                              OwnKernel{"scatter_add", scatter_add},
                              OwnKernel{"scatter_reduce", scatter_reduce},
                              OwnKernel{"index_put", index_put},
                              OwnKernel{"_index_put_impl", index_put},
                              OwnKernel{"embedding_dense_backward", embedding_backward}};

}  // namespace

std::span<const OwnKernel> index_sum_kernels() {
    return kKernels;
}

}  // namespace ascertain::simulated::arithmetic
