// trial.equivalence: trained until it has converged, does the model end at the same held-out loss
// on the device as on the reference? Asked of whole runs: replicas of the reference, moved apart by
// a ten-millionth of every weight, show how far healthy runs scatter.
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "measure/checks/answers.hpp"
#include "measure/checks/equivalence_metrics.hpp"
#include "measure/checks/steps.hpp"
#include "measure/checks/trial_models.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 2> kNeeded{"held_out_loss", "nonfinite_steps"};
constexpr std::size_t kReplicas = kReplicasMin;
constexpr double kPerturbation = 1e-7;
// docs/formulas.md#trial-convergence: below it the recipe has learnt the chains on every seed
// tried; above it the loss still falls in steps, whose moment noise decides.
constexpr double kConvergedLoss = 0.82;  // nats
constexpr int kControlSteps = 40;

// At standard the model is made dense: its runs scatter a third as much. At full it keeps its
// experts.
Json architecture_of(const Context& context) {
    const Json& architecture = context.subject.params["trial_architecture"];
    return context.profile == Profile::kFull ? architecture : without_experts(architecture);
}

Request train_request(const Context& context, const char* where, std::size_t member,
                      std::size_t replica) {
    const Json& params = context.subject.params;
    const bool on_reference = member == context.reference();
    return {.kind = "train",
            .params = {{"architecture", architecture_of(context)},
                       {"recipe", params["recipe"]},
                       {"steps", has_time(context) ? params["trial_steps"] : Json(kControlSteps)},
                       {"dtype", params["free_run_dtype"]},
                       {"seed", context.seed},
                       {"where", where},
                       {"perturb", on_reference ? kPerturbation : 0.0},
                       {"replica", replica},
                       {"held_out_batches", params["held_out_batches"]}},
            .deadline = deadline_of_training(context.profile),
            .members = {member}};
}

}  // namespace

Step trial_equivalence(const Context& context, const Json& state, std::span<const Answer> answers) {
    for (const char* key :
         {"trial_architecture", "recipe", "trial_steps", "held_out_batches", "free_run_dtype"}) {
        const bool there = context.subject.params.contains(key);
        if (!there) return harness_error(fmt::format("the trial needs {}", key));
    }
    if (state.is_null()) {
        Ask ask;
        ask.state = {{"asked", true}};
        ask.requests.push_back(train_request(context, "device", 0, 0));
        for (std::size_t i = 1; i <= kReplicas; ++i) {
            ask.requests.push_back(train_request(context, "reference", context.reference(), i));
        }
        return ask;
    }
    if (answers.size() != kReplicas + 1) return harness_error("a run was not answered once");
    std::vector<double> ours;
    std::vector<double> theirs;
    Json runs = Json::array();
    double worst = 0.0;
    for (const Answer& answer : answers) {
        const bool of_reference = answer.member == context.reference();
        if (answer.kind != AnswerKind::kResult && of_reference) {
            return harness_error("the reference could not train: " + answer.message);
        }
        if (answer.kind != AnswerKind::kResult) return give_up(answer);
        const auto read = observation_of(answer, kNeeded);
        if (const auto* broken = std::get_if<GiveUp>(&read)) return *broken;
        const double loss =
            find_metric(std::get<Observation>(read), "held_out_loss")->value.value_or(std::nan(""));
        (of_reference ? theirs : ours).push_back(loss);
        worst = std::isfinite(loss) ? std::max(worst, loss) : worst;
        runs.push_back({{"name", fmt::format("{} {}", of_reference ? "reference" : "device",
                                             of_reference ? theirs.size() : ours.size())},
                        {"outcome", finite_or_null(loss)},
                        {"losses", answer.result.value("losses", Json::array())}});
    }
    // A control is too short to converge; what it shows is that the test can fail.
    const bool in_transition = has_time(context) && worst > kConvergedLoss;
    const EquivalenceDesign design;
    Done done;
    append_equivalence(
        done.observation, equivalence(theirs, ours, design), design, theirs.size(), ours.size(),
        in_transition
            ? fmt::format("still in transition: a held-out loss of {:.3f} nats lies above "
                          "{}, where runs differ by when they learn and not by how well",
                          worst, kConvergedLoss)
            : "");
    done.observation.push_back(metric_of("held_out_loss_worst", worst, "nat"));
    done.detail = {{"runs", std::move(runs)}};
    return done;
}

}  // namespace ascertain::checks
