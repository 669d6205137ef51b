#include "worker/training/locate.hpp"

#include <algorithm>
#include <memory>

#include "worker/training/compare.hpp"
#include "worker/training/trainer.hpp"

namespace ascertain::training {
namespace {

// What one side made of the batch, module by module in the order of the forward pass.
struct Trace {
    std::vector<NamedTensor> outputs;
    std::vector<NamedTensor> output_gradients;  // undefined where none arrived
    std::vector<NamedTensor> weight_gradients;
    RoutingRecord routing;
};

Trace traced(Model& model, const Batch& batch, PassOptions options,
             const std::function<void(Parameters&)>& hook) {
    options.recompute = false;
    const auto trace = std::make_shared<Trace>();
    options.observe = [trace](const std::string& module, const at::Tensor& output) {
        const std::size_t place = trace->outputs.size();
        trace->outputs.push_back({module, output.detach()});
        trace->output_gradients.push_back({module, at::Tensor()});
        if (!output.requires_grad()) return;
        output.register_hook([trace, place](const at::Tensor& gradient) {
            trace->output_gradients[place].value = gradient.detach();
        });
    };
    const PassResult pass = compute_gradients(model, batch.to(model.device()), options);
    if (hook) hook(model.parameters());
    Trace made = *trace;
    made.weight_gradients = gradients_on_host(model.parameters());
    made.routing = pass.routing;
    return made;
}

std::optional<Located> suspect(const NamedTensor& reference, const NamedTensor& twin,
                               const NamedTensor& device, const char* phase, double floor) {
    if (!reference.value.defined() || !device.value.defined() || !twin.value.defined()) return {};
    const double ours = difference(device.value, reference.value, floor).relative_error;
    const double healthy = difference(twin.value, reference.value, floor).relative_error;
    if (ours <= std::max(kSuspectFactor * healthy, kSuspectFloor)) return {};
    return Located{reference.name, phase, ours, healthy};
}

// The module after `name` in the forward pass: whose backward made the gradient of name's output.
std::string module_after(const Trace& trace, std::size_t place) {
    return place + 1 < trace.outputs.size() ? trace.outputs[place + 1].name : "head";
}

}  // namespace

std::optional<Located> locate(Model& reference, Model& twin, Model& device, const Batch& batch,
                              const PassOptions& options,
                              const std::function<void(Parameters&)>& hook) {
    const Trace expected = traced(reference, batch, options, {});
    PassOptions replayed = options;
    replayed.replayed_choices = &expected.routing.choices;
    const Trace healthy = traced(twin, batch, replayed, {});
    const Trace ours = traced(device, batch, replayed, hook);
    const std::size_t modules = expected.outputs.size();
    for (std::size_t i = 0; i < modules; ++i) {
        const auto found =
            suspect(expected.outputs[i], healthy.outputs[i], ours.outputs[i], "forward", 0.0);
        if (found) return found;
    }
    for (std::size_t i = modules; i-- > 0;) {
        auto found = suspect(expected.output_gradients[i], healthy.output_gradients[i],
                             ours.output_gradients[i], "backward", 0.0);
        if (!found) continue;
        found->module = module_after(expected, i);
        return found;
    }
    const double norm = global_norm(expected.weight_gradients);
    double elements = 0.0;
    for (const NamedTensor& tensor : expected.weight_gradients) {
        elements += static_cast<double>(tensor.value.numel());
    }
    std::optional<Located> worst;
    for (std::size_t i = 0; i < expected.weight_gradients.size(); ++i) {
        const NamedTensor& tensor = expected.weight_gradients[i];
        const auto found = suspect(tensor, healthy.weight_gradients[i], ours.weight_gradients[i],
                                   "weight_gradient", norm_floor(tensor.value, norm, elements));
        if (found && (!worst || found->relative_error > worst->relative_error)) worst = found;
    }
    return worst;
}

}  // namespace ascertain::training
