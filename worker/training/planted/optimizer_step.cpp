#include <c10/core/GradMode.h>

#include "base/text.hpp"
#include "worker/training/optimizer.hpp"
#include "worker/training/planted/numbers.hpp"
#include "worker/training/planted/points.hpp"
#include "worker/training/planted/rules.hpp"

namespace ascertain::training::planted {

OptimizerStep::OptimizerStep(const Parameters& parameters, const std::vector<Moments>& moments) {
    const c10::AutoGradMode no_gradients(false);
    for (const Asked& asked : ask("optimizer", parameters.all().front().value.device())) {
        if (!asked.acts) continue;
        const std::string& kind = asked.rule->does.kind;
        if (kind == "skip") times_ = 0;
        if (kind == "twice") times_ *= 2;
        std::size_t index = 0;
        std::vector<at::Tensor> named;
        for (const Parameter& parameter : parameters.all()) {
            if (!parameter.trained) continue;
            const Moments& own = moments[index++];
            const std::string& wanted = asked.rule->where.parameter;
            if (!wanted.empty() && !matches_wildcard(parameter.name, wanted)) continue;
            named.push_back(parameter.value);
            if (kind == "leave_out")
                left_out_.push_back({parameter.value, parameter.value.clone()});
            if (kind == "low_precision_state") {
                after_.push_back({asked, parameter.value});
                after_.push_back({asked, own.first});
                after_.push_back({asked, own.second});
            }
        }
        if (named.empty()) continue;
        // One bit of one stored weight: it stays flipped.
        if (kind == "flip_bit") after_.push_back({asked, named[(asked.draw >> 8U) % named.size()]});
        count_fired(asked);
    }
}

OptimizerStep::~OptimizerStep() {
    const c10::AutoGradMode no_gradients(false);
    for (const Kept& kept : left_out_) kept.value.copy_(kept.before);
    for (const After& after : after_) {
        const bool changed = becomes(after.value, altered(after.value, after.asked, 0));
        static_cast<void>(changed);
    }
}

}  // namespace ascertain::training::planted
