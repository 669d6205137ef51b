#include "worker/training/recompute.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/core/Generator.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <mutex>

namespace ascertain::training {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The block, kept alive by the graph that will run it again.
struct HeldBlock : torch::CustomClassHolder {
    explicit HeldBlock(Block held) : block(std::move(held)) {}
    Block block;
};

at::Tensor random_state() {
    at::Generator generator = at::detail::getDefaultCPUGenerator();
    const std::scoped_lock lock(generator.mutex());
    return generator.get_state();
}

void set_random_state(const at::Tensor& state) {
    at::Generator generator = at::detail::getDefaultCPUGenerator();
    const std::scoped_lock lock(generator.mutex());
    generator.set_state(state);
}

struct Recompute : torch::autograd::Function<Recompute> {
    static variable_list forward(AutogradContext* context, const at::Tensor& x,
                                 c10::intrusive_ptr<HeldBlock> held) {
        context->saved_data["state"] = random_state();
        context->saved_data["block"] = at::IValue::make_capsule(held);
        context->save_for_backward({x});
        const c10::AutoGradMode no_gradients(false);
        return held->block(x);
    }

    static variable_list backward(AutogradContext* context, variable_list gradients) {
        const c10::intrusive_ptr<torch::CustomClassHolder> capsule =
            context->saved_data["block"].toCapsule();
        const auto* held = static_cast<const HeldBlock*>(capsule.get());
        const at::Tensor x = context->get_saved_variables()[0].detach().set_requires_grad(true);
        const at::Tensor state_now = random_state();
        set_random_state(context->saved_data["state"].toTensor());
        variable_list outputs;
        {
            const c10::AutoGradMode with_gradients(true);
            outputs = held->block(x);
        }
        set_random_state(state_now);
        variable_list roots;
        variable_list root_gradients;
        for (std::size_t i = 0; i < outputs.size(); ++i) {
            if (!gradients[i].defined() || !outputs[i].requires_grad()) continue;
            roots.push_back(outputs[i]);
            root_gradients.push_back(gradients[i]);
        }
        torch::autograd::backward(roots, root_gradients);
        return {x.grad(), at::Tensor()};
    }
};

}  // namespace

std::vector<at::Tensor> recomputed(Block block, const at::Tensor& x) {
    return Recompute::apply(x, c10::make_intrusive<HeldBlock>(std::move(block)));
}

}  // namespace ascertain::training
