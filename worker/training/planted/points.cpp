#include "worker/training/planted/points.hpp"

#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/stack.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <string_view>

#include "base/text.hpp"
#include "worker/training/optimizer.hpp"
#include "worker/training/planted/numbers.hpp"
#include "worker/training/planted/rules.hpp"

namespace ascertain::training::planted {
namespace {

at::Device device_of(const Parameters& parameters) {
    return parameters.all().front().value.device();
}

bool names(const Asked& asked, std::string_view name) {
    const std::string& wanted = asked.rule->where.parameter;
    return wanted.empty() || matches_wildcard(name, wanted);
}

bool has(const Asked& asked, std::string_view kind) {
    return asked.rule->does.kind == kind;
}

void count_if(bool done, const Asked& asked) {
    if (done) count_fired(asked);
}

bool is_stale(const Asked& asked) {
    return has(asked, "stale") || has(asked, "stale_first");
}

at::Tensor stale(const Asked& asked, const void* owner, const at::Tensor& value) {
    return kept(asked, owner, value, has(asked, "stale") ? asked.rule->does.whole("steps") : 0);
}

// Lets `change` work on the trained parameters that the rule names, and counts the rule once when
// any of them changed. `change` also gets how many came before.
template <typename Change>
void at_each(const Parameters& parameters, const Asked& asked, const Change& change) {
    bool done = false;
    std::int64_t index = 0;
    for (const Parameter& parameter : parameters.all()) {
        if (!parameter.trained || !names(asked, parameter.name)) continue;
        done |= change(parameter, index++);
    }
    count_if(done, asked);
}

// Which tensors of a checkpoint, as a wildcard.
std::string state_of(const Asked& asked) {
    const std::string& where = asked.rule->where.state;
    if (!where.empty()) return where;
    const bool dropped = has(asked, "drop_state") && asked.rule->does.word("state") != "all";
    return dropped ? asked.rule->does.word("state") : "*";
}

// So often a step is made that was to be made `times` times.
int repeated(int times, const Asked& asked) {
    if (!asked.acts || !(has(asked, "skip") || has(asked, "twice"))) return times;
    count_fired(asked);
    return has(asked, "skip") ? 0 : 2 * times;
}

// What a rule makes of a parameter's values or gradients.
at::Tensor made_of(const at::Tensor& value, const Parameter& parameter, const Asked& asked,
                   std::int64_t index) {
    if (is_stale(asked)) {
        return stale(asked, parameter.value.unsafeGetTensorImpl(), value.clone());
    }
    if (has(asked, "permute_rows")) return value.dim() == 2 ? permuted_rows(value) : at::Tensor();
    if (has(asked, "permute_heads") && value.dim() == 2 && value.size(0) % 4 == 0) {
        return value.roll(value.size(0) / 4, 0);
    }
    return asked.acts ? altered(value, asked, index) : at::Tensor();
}

// What a rule makes of one tensor of a checkpoint; undefined where it leaves it alone.
at::Tensor made_of(const NamedTensor& tensor, const Asked& asked, std::int64_t index) {
    if (!asked.acts || !names(asked, tensor.name)) return {};
    if (!matches_wildcard(tensor.name, state_of(asked))) return {};
    if (has(asked, "stale")) return last_kept(asked, tensor.value.unsafeGetTensorImpl());
    if (has(asked, "drop_state")) return at::zeros_like(tensor.value);
    return altered(tensor.value, asked, index);
}

}  // namespace

void at_data(Batch& batch, at::Device device) {
    for (const Asked& asked : ask("data", device)) {
        static constexpr char kTokens = 0;
        static constexpr char kTargets = 0;
        Batch made;
        if (is_stale(asked)) {
            made = {stale(asked, &kTokens, batch.tokens.clone()),
                    stale(asked, &kTargets, batch.targets.clone())};
        } else if (has(asked, "repeat_batch")) {
            made = {kept(asked, &kTokens, batch.tokens.clone(), 1),
                    kept(asked, &kTargets, batch.targets.clone(), 1)};
        } else if (has(asked, "swap_sequence_and_batch")) {
            // [s, b] read as [b, s]: every token keeps its target and loses its context.
            made = {batch.tokens.t().contiguous().view(batch.tokens.sizes()),
                    batch.targets.t().contiguous().view(batch.targets.sizes())};
        } else if (has(asked, "permute_rows")) {
            made = {permuted_rows(batch.tokens), batch.targets};
        }
        if (!asked.acts || !made.tokens.defined()) continue;
        count_if(!made.tokens.equal(batch.tokens), asked);
        batch = made;
    }
}

Weights::Weights(const char* point, const Parameters& parameters) {
    const c10::AutoGradMode no_gradients(false);
    for (const Asked& asked : ask(point, device_of(parameters))) {
        at_each(parameters, asked, [&](const Parameter& parameter, std::int64_t index) {
            const at::Tensor own = parameter.value.detach().clone();
            const at::Tensor made = made_of(own, parameter, asked, index);
            if (!asked.acts || !becomes(parameter.value, made)) return false;
            replaced_.push_back({parameter.value, own});
            return true;
        });
    }
}

Weights::~Weights() {
    const c10::AutoGradMode no_gradients(false);
    for (auto entry = replaced_.rbegin(); entry != replaced_.rend(); ++entry) {
        entry->value.copy_(entry->own);
    }
}

void at_loss(PassResult& result, at::Device device) {
    for (const Asked& asked : ask("loss", device)) {
        if (!asked.acts) continue;
        const at::Tensor loss = altered(result.loss, asked, 0);
        if (!loss.defined()) continue;
        count_if(!loss.equal(result.loss), asked);
        result.loss = loss;
        result.next_token_loss = altered(result.next_token_loss, asked, 0);
    }
}

double at_number(const char* point, double value, at::Device device) {
    double made = value;
    for (const Asked& asked : ask(point, device)) {
        if (!asked.acts) continue;
        const at::Tensor next = altered(at::scalar_tensor(made, at::kDouble), asked, 0);
        if (!next.defined()) continue;
        count_if(next.item<double>() != made, asked);
        made = next.item<double>();
    }
    return made;
}

void at_gradients(Parameters& parameters) {
    const c10::AutoGradMode no_gradients(false);
    for (const Asked& asked : ask("gradients", device_of(parameters))) {
        at_each(parameters, asked, [&](const Parameter& parameter, std::int64_t index) {
            const at::Tensor gradient = parameter.value.grad();
            if (!gradient.defined()) return false;
            const at::Tensor made = made_of(gradient, parameter, asked, index);
            return asked.acts && becomes(gradient, made);
        });
    }
}

at::Tensor at_grad_norm(const at::Tensor& norm, const Parameters& parameters) {
    at::Tensor made = norm;
    for (const Asked& asked : ask("grad_norm", device_of(parameters))) {
        if (!asked.acts) continue;
        at::Tensor next;
        if (has(asked, "leave_out")) {
            std::vector<at::Tensor> counted;
            for (const Parameter& parameter : parameters.all()) {
                if (!parameter.value.grad().defined() || names(asked, parameter.name)) continue;
                counted.push_back(parameter.value.grad());
            }
            next = counted.empty() ? at::zeros_like(norm)
                                   : at::stack(at::_foreach_norm(counted, 2)).norm();
        } else {
            next = altered(made, asked, 0);
        }
        if (!next.defined()) continue;
        count_if(!next.equal(made), asked);
        made = next;
    }
    return made;
}

int times_router_bias(const Parameters& parameters) {
    const c10::AutoGradMode no_gradients(false);
    // What a checkpoint may come to hold instead of what will be.
    for (const Asked& asked : armed("checkpoint_save", device_of(parameters))) {
        if (!has(asked, "stale")) continue;
        for (const Parameter& parameter : parameters.all()) {
            if (parameter.trained) continue;
            static_cast<void>(
                kept(asked, parameter.value.unsafeGetTensorImpl(), parameter.value.clone(), 1));
        }
    }
    int times = 1;
    for (const Asked& asked : ask("router_bias", device_of(parameters))) {
        times = repeated(times, asked);
    }
    return times;
}

void at_evaluate(at::Device device) {
    static_cast<void>(ask("evaluate", device));
}

void at_checkpoint_save(std::vector<NamedTensor>& tensors, at::Device device) {
    const c10::AutoGradMode no_gradients(false);
    for (const Asked& asked : ask("checkpoint_save", device)) {
        bool done = false;
        std::int64_t index = 0;
        for (NamedTensor& tensor : tensors) {
            const at::Tensor made = made_of(tensor, asked, index);
            if (!made.defined()) continue;
            done |= !made.equal(tensor.value);
            tensor.value = made;
            ++index;
        }
        count_if(done, asked);
    }
}

void at_checkpoint_load(const std::vector<NamedTensor>& tensors, at::Device device) {
    const c10::AutoGradMode no_gradients(false);
    for (const Asked& asked : ask("checkpoint_load", device)) {
        bool done = false;
        std::int64_t index = 0;
        for (const NamedTensor& tensor : tensors) {
            done |= becomes(tensor.value, made_of(tensor, asked, index++));
        }
        count_if(done, asked);
    }
}

}  // namespace ascertain::training::planted
