// One operator call as conditions see it, and whether a rule's `where` lets it through. CPU tensors
// throughout: they lie in the device's memory under the CPU's name.
#pragma once

#include <ATen/core/Tensor.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/stack.h>

#include <string>
#include <vector>

#include "defects/defect.hpp"

namespace ascertain::simulated::defects {

// A matrix product's operands: out = beta * addend + alpha * left x right.
struct Product {
    at::Tensor left;    // [..., m, k]
    at::Tensor right;   // [..., k, n]
    at::Tensor addend;  // undefined: none
    double alpha = 1.0;
    double beta = 0.0;
};

// What an operator wrote, and what was there before (undefined where the memory was new).
struct Output {
    at::Tensor now;
    at::Tensor before;
};

struct Call {
    std::string name;  // without namespace and overload
    std::string overload;
    std::vector<at::Tensor> tensors;
    std::vector<Output> written;  // arguments; `before` is a copy where somebody asked for it
    Product product;
    bool is_view = false;
    std::int64_t device = -1;  // -1: no tensor says
};

[[nodiscard]] std::string base_name(const c10::OperatorHandle& op);
// "index_add" for "index_add_": what is done, wherever it is written.
[[nodiscard]] std::string_view plain_name(std::string_view name);
[[nodiscard]] Call read_call(const c10::OperatorHandle& op, const torch::jit::Stack& stack,
                             std::int64_t device);
// The first factor of a product, else the first floating argument with dimensions, else the first.
[[nodiscard]] std::optional<at::Tensor> main_tensor(const Call& call);
[[nodiscard]] bool where_fits(const ascertain::defects::Where& where, const Call& call,
                              const c10::OperatorHandle& op, const torch::jit::Stack& stack);
// True for the dtypes that a word of the language stands for.
[[nodiscard]] at::ScalarType dtype_of(std::string_view word);

}  // namespace ascertain::simulated::defects
