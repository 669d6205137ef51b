#include "chips/simulated/arithmetic/subnormals.hpp"

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>

#include <algorithm>
#include <array>
#include <cstdint>

namespace ascertain::simulated::arithmetic {
namespace {

constexpr std::array<std::string_view, 56> kArithmetic{
    "_addmm_activation",
    "_fused_adamw",
    "_grouped_mm",
    "_log_softmax",
    "_log_softmax_backward_data",
    "_softmax",
    "_softmax_backward_data",
    "add",
    "addcdiv",
    "addcmul",
    "addmm",
    "addmv",
    "baddbmm",
    "bmm",
    "cos",
    "cumsum",
    "div",
    "dot",
    "embedding_dense_backward",
    "exp",
    "gelu",
    "gelu_backward",
    "index_add",
    "lerp",
    "linalg_vector_norm",
    "log",
    "mean",
    "mm",
    "mse_loss",
    "mul",
    "mv",
    "native_layer_norm",
    "native_layer_norm_backward",
    "nll_loss_backward",
    "nll_loss_forward",
    "pow",
    "reciprocal",
    "relu",
    "rsqrt",
    "rsub",
    "scatter_add",
    "sigmoid",
    "sigmoid_backward",
    "silu",
    "silu_backward",
    "sin",
    "sqrt",
    "sub",
    "sum",
    "tanh",
    "tanh_backward",
    "threshold_backward",
    "var",
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention_for_cpu_backward",
    "square"};

bool is_subnormal(std::uint32_t bits) {
    return (bits & 0x7f800000U) == 0U && (bits & 0x007fffffU) != 0U;
}
bool is_subnormal(std::uint16_t bits) {
    return (bits & 0x7f80U) == 0U && (bits & 0x007fU) != 0U;
}

template <typename Bits>
bool holds_any(const Bits* values, std::int64_t count) {
    bool any = false;
    for (std::int64_t i = 0; i < count; ++i) any |= is_subnormal(values[i]);
    return any;
}

template <typename Bits>
void flush(Bits* values, std::int64_t count) {
    constexpr Bits kSign = Bits{1} << (8U * sizeof(Bits) - 1U);
    for (std::int64_t i = 0; i < count; ++i) {
        if (is_subnormal(values[i])) values[i] = static_cast<Bits>(values[i] & kSign);
    }
}

bool has_their_range(const at::Tensor& tensor) {
    return tensor.defined() && tensor.numel() > 0 &&
           (tensor.scalar_type() == at::kFloat || tensor.scalar_type() == at::kBFloat16);
}

bool holds_subnormals(const at::Tensor& tensor) {
    if (!has_their_range(tensor)) return false;
    const at::Tensor dense = tensor.contiguous();
    return dense.scalar_type() == at::kFloat
               ? holds_any(static_cast<const std::uint32_t*>(dense.const_data_ptr()), dense.numel())
               : holds_any(static_cast<const std::uint16_t*>(dense.const_data_ptr()),
                           dense.numel());
}

at::Tensor flushed(const at::Tensor& tensor) {
    at::Tensor copy = tensor.clone(at::MemoryFormat::Contiguous);
    if (copy.scalar_type() == at::kFloat) {
        flush(static_cast<std::uint32_t*>(copy.mutable_data_ptr()), copy.numel());
    } else {
        flush(static_cast<std::uint16_t*>(copy.mutable_data_ptr()), copy.numel());
    }
    return copy;
}

void flush_in_place(const at::Tensor& tensor) {
    if (holds_subnormals(tensor)) tensor.copy_(flushed(tensor));
}

}  // namespace

bool is_arithmetic(std::string_view name) {
    return name.starts_with("_foreach_") ||
           std::ranges::find(kArithmetic, name) != kArithmetic.end();
}

void flush_inputs(const c10::OperatorHandle& op, torch::jit::Stack& stack) {
    const auto& schema = op.schema().arguments();
    c10::IValue* arguments = &stack[stack.size() - schema.size()];
    for (std::size_t i = 0; i < schema.size(); ++i) {
        c10::IValue& value = arguments[i];
        const bool written = schema[i].alias_info() != nullptr && schema[i].alias_info()->isWrite();
        if (value.isTensorList()) {
            for (const at::Tensor& tensor : value.toTensorVector()) {
                if (written) flush_in_place(tensor);
            }
        } else if (value.isTensor() && written) {
            // An `out` argument is not read; flushing it changes nothing that stays.
            flush_in_place(value.toTensor());
        } else if (value.isTensor() && holds_subnormals(value.toTensor())) {
            value = flushed(value.toTensor());
        }
    }
}

void flush_outputs(const c10::OperatorHandle& op, torch::jit::Stack& stack) {
    const std::size_t count = op.schema().returns().size();
    for (std::size_t i = stack.size() - count; i < stack.size(); ++i) {
        if (stack[i].isTensor()) flush_in_place(stack[i].toTensor());
        if (!stack[i].isTensorList()) continue;
        for (const at::Tensor& tensor : stack[i].toTensorVector()) flush_in_place(tensor);
    }
}

}  // namespace ascertain::simulated::arithmetic
