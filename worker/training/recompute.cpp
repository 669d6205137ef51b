#include "worker/training/recompute.hpp"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Context.h>
#include <ATen/core/Generator.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>

#include <mutex>
#include <vector>

namespace ascertain::training {
namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

// The block, kept alive by the graph that will run it again.
struct HeldBlock : torch::CustomClassHolder {
    explicit HeldBlock(Block held) : block(std::move(held)) {}
    Block block;
};

// Of the device and of the host: an operator without a kernel there draws from the host's.
std::vector<at::Generator> generators_of(at::Device device) {
    std::vector<at::Generator> generators{at::detail::getDefaultCPUGenerator()};
    if (!device.is_cpu()) generators.push_back(at::globalContext().defaultGenerator(device));
    return generators;
}

std::vector<at::Tensor> random_states(at::Device device) {
    std::vector<at::Tensor> states;
    for (at::Generator& generator : generators_of(device)) {
        const std::scoped_lock lock(generator.mutex());
        states.push_back(generator.get_state());
    }
    return states;
}

void set_random_states(at::Device device, const std::vector<at::Tensor>& states) {
    std::vector<at::Generator> generators = generators_of(device);
    for (std::size_t i = 0; i < generators.size(); ++i) {
        const std::scoped_lock lock(generators[i].mutex());
        generators[i].set_state(states[i]);
    }
}

struct Recompute : torch::autograd::Function<Recompute> {
    static variable_list forward(AutogradContext* context, const at::Tensor& x,
                                 c10::intrusive_ptr<HeldBlock> held) {
        context->saved_data["states"] = random_states(x.device());
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
        const std::vector<at::Tensor> states_now = random_states(x.device());
        set_random_states(x.device(), context->saved_data["states"].toTensorVector());
        variable_list outputs;
        {
            const c10::AutoGradMode with_gradients(true);
            outputs = held->block(x);
        }
        set_random_states(x.device(), states_now);
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
