#include "chips/simulated/arithmetic/kernels.hpp"

namespace ascertain::simulated::arithmetic {

std::span<c10::IValue> Operation::arguments() const {
    const std::size_t count = op_.schema().arguments().size();
    return {&stack_[stack_.size() - count], count};
}

const c10::IValue* Operation::find(std::string_view name) const {
    const auto& schema = op_.schema().arguments();
    for (std::size_t i = 0; i < schema.size(); ++i) {
        if (schema[i].name() == name) return &arguments()[i];
    }
    return nullptr;
}

at::Tensor Operation::tensor(std::string_view name) const {
    const c10::IValue* value = find(name);
    return value != nullptr && value->isTensor() ? value->toTensor() : at::Tensor();
}

double Operation::number(std::string_view name, double otherwise) const {
    const c10::IValue* value = find(name);
    if (value == nullptr || value->isNone()) return otherwise;
    return value->toScalar().toDouble();
}

bool Operation::writes() const {
    for (const c10::Argument& argument : op_.schema().arguments()) {
        if (argument.alias_info() != nullptr && argument.alias_info()->isWrite()) return true;
    }
    return false;
}

void Operation::answer(const at::Tensor& result, at::ScalarType dtype) {
    const auto& schema = op_.schema().arguments();
    at::Tensor written;
    for (std::size_t i = 0; i < schema.size(); ++i) {
        const auto* alias = schema[i].alias_info();
        if (alias != nullptr && alias->isWrite()) written = arguments()[i].toTensor();
    }
    if (written.defined()) {
        if (written.sizes() != result.sizes()) written.resize_(result.sizes());
        written.copy_(result);
    } else {
        written = result.to(dtype);
    }
    torch::jit::drop(stack_, schema.size());
    stack_.emplace_back(std::move(written));
}

void Operation::answer(std::vector<at::Tensor> results) {
    torch::jit::drop(stack_, op_.schema().arguments().size());
    for (at::Tensor& result : results) stack_.emplace_back(std::move(result));
}

}  // namespace ascertain::simulated::arithmetic
