// trial.free_run: trained from the same start on the same data, does the model learn on the device
// as it does on the reference? Early gradient norms compare the two before chaos parts them; the
// losses at the end say whether it learnt at all.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string>

#include "measure/checks/answers.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 4> kNeeded{"final_loss", "held_out_loss", "nonfinite_steps",
                                                  "unused_gradients"};
// docs/formulas.md#early-gradient-norms: later steps differ between healthy devices.
constexpr std::size_t kEarlySteps = 20;

// Where there is no time for the whole run, its early steps are compared alone.
Json steps_of(const Context& context) {
    return has_time(context) ? context.subject.params["trial_steps"] : Json(kEarlySteps);
}

Request train_request(const Context& context, const Json& dtype, const char* where,
                      std::size_t member) {
    const Json& params = context.subject.params;
    return {.kind = "train",
            .params = {{"architecture", params["trial_architecture"]},
                       {"recipe", params["recipe"]},
                       {"steps", steps_of(context)},
                       {"dtype", dtype},
                       {"seed", context.seed},
                       {"where", where},
                       {"perturb", 0.0},
                       {"held_out_batches", params["held_out_batches"]}},
            .deadline = deadline_of_training(context.profile),
            .members = {member}};
}

// One finished run.
struct Run {
    Observation observation;
    std::vector<std::optional<double>> losses;
    std::vector<std::optional<double>> grad_norms;
};

std::variant<Run, GiveUp> run_from(const Answer& answer) {
    if (answer.kind != AnswerKind::kResult) return give_up(answer);
    auto observation = observation_of(answer, kNeeded);
    if (auto* broken = std::get_if<GiveUp>(&observation)) return *broken;
    Run run{.observation = std::get<Observation>(std::move(observation)),
            .losses = {},
            .grad_norms = {}};
    run.losses = numbers_of(answer.result.value("losses", Json::array()));
    run.grad_norms = numbers_of(answer.result.value("grad_norms", Json::array()));
    if (run.losses.empty()) return harness_error("train: no loss of any step");
    return run;
}

// Mean and 95 % interval of log(device / reference) over the early steps.
Metric early_norms(const Run& device, const Run& reference) {
    const std::string name = "early_grad_norm_log_ratio_mean";
    const std::size_t steps =
        std::min({kEarlySteps, device.grad_norms.size(), reference.grad_norms.size()});
    if (steps < kEarlySteps) {
        return absent_metric(name, "ratio", fmt::format("fewer than {} steps", kEarlySteps));
    }
    double sum = 0.0;
    double sum_of_squares = 0.0;
    for (std::size_t i = 0; i < steps; ++i) {
        const auto& ours = device.grad_norms[i];
        const auto& theirs = reference.grad_norms[i];
        const bool positive = ours && theirs && *ours > 0.0 && *theirs > 0.0;
        if (!positive) return absent_metric(name, "ratio", "not finite");
        const double ratio = std::log(*ours / *theirs);
        sum += ratio;
        sum_of_squares += ratio * ratio;
    }
    const double count = static_cast<double>(steps);
    const double mean = sum / count;
    const double variance =
        std::max(0.0, sum_of_squares / count - mean * mean) * count / (count - 1);
    constexpr double kStudent95With19 = 2.093;  // two-sided, 19 degrees of freedom
    const double half_width = kStudent95With19 * std::sqrt(variance / count);
    Metric metric = metric_of(name, mean, "ratio");
    metric.n = static_cast<std::int64_t>(steps);
    metric.low = mean - half_width;
    metric.high = mean + half_width;
    return metric;
}

Metric renamed(const Run& run, std::string_view metric, std::string name) {
    Metric result = *find_metric(run.observation, metric);
    result.metric = std::move(name);
    return result;
}

// (device - reference) / reference of the held-out loss.
Metric held_out_difference(const Run& device, const Run& reference) {
    const Metric* ours = find_metric(device.observation, "held_out_loss");
    const Metric* theirs = find_metric(reference.observation, "held_out_loss");
    const std::string name = "held_out_loss_difference";
    if (!ours->value || !theirs->value) return absent_metric(name, "ratio", "not finite");
    return metric_of(name, (*ours->value - *theirs->value) / *theirs->value, "ratio");
}

// Share of the first loss that the last one still is; below one the model has learnt something.
Metric remaining_loss(const Run& run) {
    const Metric* last = find_metric(run.observation, "held_out_loss");
    const std::string name = "remaining_loss";
    if (!last->value || !run.losses.front()) return absent_metric(name, "ratio", "not finite");
    return metric_of(name, *last->value / *run.losses.front(), "ratio");
}

Json curves(const Answer& answer) {
    Json result = Json::object();
    for (const char* key : {"losses", "grad_norms", "held_out_losses", "seconds"}) {
        if (answer.result.contains(key)) result[key] = answer.result[key];
    }
    return result;
}

bool has_parameters(const Context& context) {
    return parameter(context, "trial_architecture", Json::value_t::object) != nullptr &&
           parameter(context, "recipe", Json::value_t::object) != nullptr &&
           parameter(context, "free_run_dtype", Json::value_t::string) != nullptr &&
           context.subject.params.contains("trial_steps") &&
           context.subject.params.contains("held_out_batches");
}

}  // namespace

Step trial_free_run(const Context& context, const Json& state, std::span<const Answer> answers) {
    if (!has_parameters(context)) {
        return harness_error("the free run needs an architecture, a recipe, a dtype and its steps");
    }
    if (state.is_null()) {
        const Json& dtype = context.subject.params["free_run_dtype"];
        return Ask{.state = {{"asked", true}},
                   .requests = {train_request(context, dtype, "device", 0),
                                train_request(context, dtype, "reference", context.reference())}};
    }
    if (answers.size() != 2) return harness_error("two runs did not give two answers");
    const Answer& ours = answers[0].request == 0 ? answers[0] : answers[1];
    const Answer& theirs = answers[0].request == 0 ? answers[1] : answers[0];
    if (ours.request != 0 || theirs.request != 1)
        return harness_error("one run was answered twice");

    const auto device = run_from(ours);
    if (const auto* reason = std::get_if<GiveUp>(&device)) return *reason;
    const auto reference = run_from(theirs);
    if (const auto* reason = std::get_if<GiveUp>(&reference)) {
        return harness_error("the reference could not train: " + reason->message);
    }
    const Run& device_run = std::get<Run>(device);
    const Run& reference_run = std::get<Run>(reference);

    Done done;
    done.observation = {early_norms(device_run, reference_run),
                        held_out_difference(device_run, reference_run),
                        remaining_loss(device_run),
                        renamed(device_run, "nonfinite_steps", "nonfinite_steps"),
                        renamed(device_run, "unused_gradients", "unused_gradients"),
                        renamed(device_run, "held_out_loss", "held_out_loss_device"),
                        renamed(reference_run, "held_out_loss", "held_out_loss_reference"),
                        renamed(device_run, "final_loss", "final_loss_device"),
                        renamed(reference_run, "final_loss", "final_loss_reference"),
                        metric_of("steps", static_cast<double>(device_run.losses.size()), "count")};
    if (find_metric(device_run.observation, "tokens_per_s") != nullptr) {
        done.observation.push_back(renamed(device_run, "tokens_per_s", "tokens_per_s"));
    }
    done.detail = {{"device", curves(ours)}, {"reference", curves(theirs)}};
    return done;
}

}  // namespace ascertain::checks
