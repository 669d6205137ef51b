// The chip's own kernels: operators done in its declared arithmetic instead of the CPU's. All work
// on CPU tensors that lie in the device's memory.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "chips/simulated/arithmetic/declared.hpp"

namespace ascertain::simulated::arithmetic {

// One call: its arguments by name, and the answer in place of them.
class Operation {
public:
    Operation(const Declared& declared, const c10::OperatorHandle& op, torch::jit::Stack& stack)
        : declared_(declared), op_(op), stack_(stack) {}

    [[nodiscard]] const Declared& declared() const { return declared_; }
    [[nodiscard]] const c10::OperatorHandle& op() const { return op_; }
    [[nodiscard]] torch::jit::Stack& stack() { return stack_; }
    [[nodiscard]] std::span<c10::IValue> arguments() const;
    // Null when the operator has no such argument.
    [[nodiscard]] const c10::IValue* find(std::string_view name) const;
    [[nodiscard]] at::Tensor tensor(std::string_view name) const;  // undefined: none
    [[nodiscard]] double number(std::string_view name, double otherwise) const;

    // Replaces the arguments by the one result, written (rounded, resized) where the operator
    // writes, or else in new memory as `dtype`.
    void answer(const at::Tensor& result, at::ScalarType dtype);
    void answer(std::vector<at::Tensor> results);  // of an operator that writes no argument
    // Whether an argument is written.
    [[nodiscard]] bool writes() const;

private:
    const Declared& declared_;
    const c10::OperatorHandle& op_;
    torch::jit::Stack& stack_;
};

// Whether the kernel did the operation; if not, nothing was touched and the CPU's kernel shall.
using Kernel = bool (*)(Operation&);

struct OwnKernel {
    std::string_view name;  // of the operator, without namespace and overload, without '_'
    Kernel run;
};

[[nodiscard]] std::span<const OwnKernel> product_kernels();
[[nodiscard]] std::span<const OwnKernel> sum_kernels();
[[nodiscard]] std::span<const OwnKernel> function_kernels();
[[nodiscard]] std::span<const OwnKernel> index_sum_kernels();
[[nodiscard]] std::span<const OwnKernel> attention_kernels();

// left [..., m, k] times right [..., k, n], fp32, as the declaration says.
[[nodiscard]] at::Tensor product(const Products& how, const at::Tensor& left,
                                 const at::Tensor& right);
// Over the last dimension of x [..., n], fp32; kept as a dimension of size 1.
[[nodiscard]] at::Tensor sum_last(const Sums& how, const at::Tensor& x);
// e to the x, fp32: the chip's, or the CPU's where no functions are declared.
[[nodiscard]] at::Tensor exponential(const Declared& declared, const at::Tensor& x);

[[nodiscard]] inline bool is_working_float(at::ScalarType dtype) {
    return dtype == at::kFloat || dtype == at::kBFloat16 || dtype == at::kHalf;
}

}  // namespace ascertain::simulated::arithmetic
