#include "worker/training/planted/sampler.hpp"

#include <algorithm>

#include "worker/training/planted/numbers.hpp"
#include "worker/training/planted/rules.hpp"

namespace ascertain::training::planted {
namespace {

void count_if(bool done, const Asked& asked) {
    if (done) count_fired(asked);
}

void change_in_place(const char* point, const at::Tensor& values, at::Device device) {
    for (const Asked& asked : ask(point, device)) {
        if (!asked.acts) continue;
        const bool rows = asked.rule->does.kind == "permute_rows";
        count_if(becomes(values, rows ? permuted_rows(values) : altered(values, asked, 0)), asked);
    }
}

}  // namespace

void at_kv_cache(KvCache& cache, at::Device device) {
    for (const Asked& asked : ask("kv_cache", device)) {
        if (!asked.acts || asked.rule->does.kind != "stale_length") continue;
        const std::int64_t length =
            std::max<std::int64_t>(0, cache.length - asked.rule->does.whole("by"));
        count_if(length != cache.length, asked);
        cache.length = length;
    }
}

at::Tensor at_rollout_logits(const at::Tensor& logits, at::Device device) {
    at::Tensor made = logits;
    for (const Asked& asked : ask("rollout_logits", device)) {
        const at::Tensor next = asked.acts ? altered(made, asked, 0) : at::Tensor();
        if (!next.defined()) continue;
        count_if(!next.equal(made), asked);
        made = next;
    }
    return made;
}

void at_tokens_to_host(const at::Tensor& tokens, std::int64_t step, at::Device device) {
    for (const Asked& asked : ask("tokens_to_host", device)) {
        if (!asked.acts || step == 0 || asked.rule->does.kind != "stale") continue;
        // One row is read before its copy has arrived: it shows the token of the step before.
        const auto row = static_cast<std::int64_t>(asked.draw >> 1U) % tokens.size(0);
        const at::Tensor own = tokens.select(0, row);
        count_if(becomes(own.narrow(0, step, 1), own.narrow(0, step - 1, 1).clone()), asked);
    }
}

void at_rollout_log_probabilities(const at::Tensor& values, at::Device device) {
    change_in_place("rollout_log_probabilities", values, device);
}

void at_advantages(const at::Tensor& values, at::Device device) {
    change_in_place("advantages", values, device);
}

}  // namespace ascertain::training::planted
