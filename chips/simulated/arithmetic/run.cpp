#include "chips/simulated/arithmetic/run.hpp"

#include <ATen/record_function.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <unordered_map>

#include "chips/simulated/arithmetic/kernels.hpp"
#include "chips/simulated/arithmetic/subnormals.hpp"

namespace ascertain::simulated::arithmetic {
namespace {

struct State {
    Declared declared;
    std::unordered_map<std::string_view, Kernel> kernels;
};

// Never destroyed: kernels run while static objects go.
State& state() {
    static auto* made = new State;
    return *made;
}

void add(std::span<const OwnKernel> kernels) {
    for (const OwnKernel& kernel : kernels) state().kernels.emplace(kernel.name, kernel.run);
}

void choose_kernels(const Declared& declared) {
    if (declared.products.declared) add(product_kernels());
    if (declared.sums.declared || declared.functions_polynomial) add(sum_kernels());
    if (declared.functions_polynomial) add(function_kernels());
    if (declared.index_sums_any_order) add(index_sum_kernels());
    if (declared.attention == Attention::kFlash) add(attention_kernels());
}

// "mm" of "aten::mm", "exp" of "aten::exp_".
std::string_view plain_name(const c10::OperatorHandle& op) {
    std::string_view name = op.operator_name().name;
    name.remove_prefix(name.find("::") + 2);
    if (name.ends_with("_")) name.remove_suffix(1);
    return name;
}

void run_kernel(const Declared& declared, const c10::OperatorHandle& op, torch::jit::Stack& stack) {
    const auto own = state().kernels.find(plain_name(op));
    if (own != state().kernels.end()) {
        // What a kernel is made of is none of the operators that the device ran.
        const at::RecordFunctionGuard quiet(false);
        Operation operation(declared, op, stack);
        if (own->second(operation)) return;
    }
    op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack);
}

}  // namespace

std::string declare_from_environment() {
    const char* path = std::getenv(kFileVariable);
    if (path == nullptr || *path == '\0') return "";
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file)
        return std::string(path) + ": the variant file cannot be read (" + kFileVariable + ")";
    auto read = read_declared(text, path);
    if (!read) return read.error().text();
    state().declared = *std::move(read);
    choose_kernels(state().declared);
    return "";
}

const Declared& declared() {
    return state().declared;
}

void run(const c10::OperatorHandle& op, torch::jit::Stack& stack) {
    const Declared& all = state().declared;
    if (all.id.empty()) {
        op.redispatchBoxed(c10::DispatchKeySet(c10::DispatchKey::CPU), &stack);
    } else if (all.subnormals_flushed && is_arithmetic(plain_name(op))) {
        const at::RecordFunctionGuard quiet(false);
        flush_inputs(op, stack);
        run_kernel(all, op, stack);
        flush_outputs(op, stack);
    } else {
        run_kernel(all, op, stack);
    }
}

}  // namespace ascertain::simulated::arithmetic
