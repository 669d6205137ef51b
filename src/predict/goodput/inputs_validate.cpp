// What a projection refuses before it plays anything.
#include <fmt/format.h>

#include <cmath>

#include "base/units.hpp"
#include "predict/goodput/inputs.hpp"

namespace ascertain::goodput {
namespace {

Error missing(std::string_view field, std::string_view why) {
    return Error{ErrorCode::kBadInput, std::string(why), std::string(field)};
}

Result<void> validate_stage(const StageInput& stage) {
    const std::string where = "stages." + stage.kind;
    if (!(stage.steps > 0.0 || (stage.tokens > 0.0 && stage.tokens_per_step > 0.0))) {
        return missing(where, "needs steps, or tokens and tokens per step, above 0");
    }
    if (!(steps_of(stage) <= 1e12)) return missing(where, "more than 1e12 steps");
    if (auto checked = validate(stage.step_s, where + ".step_s", kTimeMax_s); !checked)
        return checked;
    if (!(stage.step_s.low > 0.0)) return missing(where + ".step_s", "must be above 0");
    return {};
}

// A stage runs on fleets that there are.
Result<void> validate_fleets(const ProjectionInput& input, const StageInput& stage) {
    const std::size_t fleets = input.second ? 2 : 1;
    if (stage.fleet >= fleets || stage.loose_fleet >= fleets ||
        (stage.shared_devices > 0 && fleets < 2)) {
        return missing("stages." + stage.kind, "runs on a second fleet, and none is described");
    }
    if (stage.devices < 0 || stage.shared_devices < 0 || stage.loose_devices < 0) {
        return missing("stages." + stage.kind, "devices must not be negative");
    }
    const std::int64_t there =
        stage.fleet == 0 || !input.second ? input.devices : input.second->devices;
    if (!(stage.rollout_s >= 0.0 && stage.rollout_s <= stage.step_s.mid)) {
        return missing("stages." + stage.kind + ".rollout_s",
                       "must lie between 0 and the step that it is a part of");
    }
    if (stage.devices > there) {
        return missing("stages." + stage.kind + ".devices",
                       fmt::format("asks for {} devices of a fleet of {}", stage.devices, there));
    }
    return {};
}

Result<void> validate_decision(const ProjectionInput& input) {
    if (input.deadline_s && !(*input.deadline_s > 0.0 && *input.deadline_s <= kTimeMax_s)) {
        return missing("decision.finish_within",
                       fmt::format("{} s lies outside 0 to 5 years", *input.deadline_s));
    }
    if (input.budget_usd && !(*input.budget_usd > 0.0 && *input.budget_usd < 1e15)) {
        return missing("decision.budget", fmt::format("{} USD is no budget", *input.budget_usd));
    }
    if (!(input.confidence > 0.0 && input.confidence < 1.0)) {
        return missing("decision.confidence",
                       fmt::format("must lie between 0 and 1, is {}", input.confidence));
    }
    if (input.belief_draws < 4 || input.belief_draws > 100'000 || input.histories_per_draw < 1 ||
        input.histories_per_draw > 100'000) {
        return missing("histories", "4 to 100,000 draws of 1 to 100,000 histories each");
    }
    double step_shares = 0.0;
    for (const StepShare& share : input.step_shares) {
        if (!(share.ratio >= 0.0))
            return missing("step_shares." + share.name, "must not be negative");
        step_shares += share.ratio;
    }
    if (step_shares > 1.0 + 1e-9) return missing("step_shares", "add up to more than 1");
    if (!(input.operations_correlation >= 0.0 && input.operations_correlation <= 1.0)) {
        return missing("operations_correlation", "must lie between 0 and 1");
    }
    if (!(input.efficiency_per_doubling > 0.5 && input.efficiency_per_doubling <= 1.0)) {
        return missing("efficiency_per_doubling", "must lie between 0.5 and 1");
    }
    if (!(input.idle_power_ratio >= 0.0 && input.idle_power_ratio <= 1.0)) {
        return missing("idle_power_ratio", "must lie between 0 and 1");
    }
    if (!(input.capex_lifetime_s >= kSecondsPerDay)) {
        return missing("capex_lifetime_s", "must be at least a day");
    }
    return {};
}

}  // namespace

Result<void> validate(const ProjectionInput& input) {
    if (input.devices < 1) {
        return missing("fleet.count", fmt::format("{} devices train nothing", input.devices));
    }
    if (input.stages.empty()) return missing("stages", "there is nothing to do: name a stage");
    for (const StageInput& stage : input.stages) {
        if (auto checked = validate_stage(stage); !checked) return checked;
        if (auto checked = validate_fleets(input, stage); !checked) return checked;
    }
    if (input.second) {
        if (auto checked = validate(input.second->failure.rate); !checked) return checked;
        if (input.second->devices < 1 || input.second->devices_per_node < 1 ||
            input.second->spare_nodes < 0) {
            return missing("second fleet", "needs devices, devices per node and spares, none < 0");
        }
        if (auto checked = validate(input.second->soak); !checked) return checked;
    }
    if (auto checked = validate(input.failure.rate); !checked) return checked;
    if (auto checked = validate(input.soak); !checked) return checked;
    if (auto checked = validate(input.findings); !checked) return checked;
    for (std::size_t i = kDetection; i < kInputs; ++i) {
        const auto belief = belief_of(input, static_cast<Input>(i));
        if (!belief) continue;
        if (auto checked = validate(*belief, row_of(static_cast<Input>(i)).name,
                                    row_of(static_cast<Input>(i)).limit);
            !checked)
            return checked;
    }
    if (!(input.beliefs.restart_s.mid > 0.0)) {
        return missing("restart_s", "nobody restarts in no time: state it, or use the defaults");
    }
    if (input.checkpoint_mode != CheckpointMode::kNone &&
        !(input.beliefs.write_bytes_per_s.low > 0.0 && input.beliefs.read_bytes_per_s.low > 0.0)) {
        return missing("write_bytes_per_s", "checkpoints need a storage bandwidth above 0");
    }
    return validate_decision(input);
}

}  // namespace ascertain::goodput
