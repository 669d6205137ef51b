// The user's own trainer, asked from outside (docs/trainer.md): does it get to its end with
// numbers, does it go on after kill -9, and does it learn on the device as on the reference?
#include "measure/checks/trainer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include "base/random.hpp"
#include "measure/checks/answers.hpp"
#include "measure/checks/equivalence_metrics.hpp"

namespace ascertain::checks {
namespace {

constexpr std::size_t kEarlySteps = 20;
constexpr double kFinalShare = 0.1;  // of a run's steps, whose mean loss is its result
constexpr std::size_t kCurvePointsMax = 2000;

using Curve = std::vector<std::pair<std::int64_t, std::optional<double>>>;

struct RunCurves {
    Curve losses;
    Curve grad_norms;
    Curve held_out;
    Json result;
};

Curve curve_of(const Json& result, const char* key) {
    Curve curve;
    const auto list = result.find(key);
    if (list == result.end() || !list->is_array()) return curve;
    for (const Json& entry : *list) {
        if (!entry.is_array() || entry.size() != 2 || !entry[0].is_number_integer()) continue;
        curve.emplace_back(entry[0].get<std::int64_t>(), entry[1].is_number()
                                                             ? std::optional(entry[1].get<double>())
                                                             : std::nullopt);
    }
    return curve;
}

RunCurves curves_of(const Answer& answer) {
    return {curve_of(answer.result, "losses"), curve_of(answer.result, "grad_norms"),
            curve_of(answer.result, "held_out_losses"), answer.result};
}

// At most kCurvePointsMax of them, evenly, with the last.
Json drawn(const Curve& curve) {
    Json steps = Json::array();
    Json values = Json::array();
    const std::size_t stride = 1 + curve.size() / kCurvePointsMax;
    for (std::size_t i = 0; i < curve.size(); ++i) {
        if (i % stride != 0 && i + 1 != curve.size()) continue;
        steps.push_back(curve[i].first);
        values.push_back(curve[i].second ? Json(*curve[i].second) : Json());
    }
    return {{"steps", steps}, {"losses", values}};
}

const Curve& judged_curve(const RunCurves& run) {
    return run.held_out.empty() ? run.losses : run.held_out;
}

// What a run came to: its last held-out loss, or the mean training loss of its last tenth. NaN
// where that is not finite or there is none.
double outcome_of(const RunCurves& run) {
    if (!run.held_out.empty()) return run.held_out.back().second.value_or(std::nan(""));
    if (run.losses.empty()) return std::nan("");
    const auto last = std::max<std::size_t>(
        1, static_cast<std::size_t>(static_cast<double>(run.losses.size()) * kFinalShare));
    double sum = 0.0;
    for (std::size_t i = run.losses.size() - last; i < run.losses.size(); ++i) {
        if (!run.losses[i].second) return std::nan("");
        sum += *run.losses[i].second;
    }
    return sum / static_cast<double>(last);
}

std::int64_t last_step(const RunCurves& run) {
    std::int64_t last = 0;
    for (const Curve* curve : {&run.losses, &run.held_out}) {
        if (!curve->empty()) last = std::max(last, curve->back().first);
    }
    return last;
}

std::size_t nonfinite(const Curve& curve) {
    return static_cast<std::size_t>(
        std::ranges::count_if(curve, [](const auto& point) { return !point.second; }));
}

// Controls take what was run before: what they corrupt are its numbers.
Request run_request(const Context& context, std::size_t member, std::size_t replica) {
    return {.kind = "run_trainer",
            .params = {{"seed", context.seed + replica},
                       {"replica", replica},
                       {"recorded", !has_time(context)}},
            .deadline = context.budget,
            .members = {member}};
}

// The first answer that is none, as the reason to give up.
std::optional<GiveUp> first_failure(const Context& context, std::span<const Answer> answers) {
    for (const Answer& answer : answers) {
        if (answer.kind == AnswerKind::kResult) continue;
        if (answer.member != context.reference()) return give_up(answer);
        return GiveUp{GiveUp::Reason::kNoReference, "the reference: " + answer.message};
    }
    return std::nullopt;
}

Metric or_absent(std::string name, double value, const char* unit, const char* reason) {
    return std::isfinite(value) ? metric_of(std::move(name), value, unit)
                                : absent_metric(std::move(name), unit, reason);
}

// Mean of log(device / reference) over the first steps that both have.
Metric early_norms(const RunCurves& device, const RunCurves& reference) {
    const std::string name = "early_grad_norm_log_ratio_mean";
    const std::map<std::int64_t, std::optional<double>> theirs(reference.grad_norms.begin(),
                                                               reference.grad_norms.end());
    double sum = 0.0;
    std::size_t count = 0;
    for (const auto& [step, norm] : device.grad_norms) {
        const auto found = theirs.find(step);
        if (found == theirs.end()) continue;
        if (!norm || !found->second || *norm <= 0.0 || *found->second <= 0.0) {
            return metric_of(name, std::nan(""), "ratio");
        }
        sum += std::log(*norm / *found->second);
        if (++count == kEarlySteps) break;
    }
    if (count < kEarlySteps) {
        return absent_metric(name, "ratio",
                             fmt::format("fewer than {} steps that both runs logged", kEarlySteps));
    }
    Metric metric = metric_of(name, sum / static_cast<double>(count), "ratio");
    metric.n = static_cast<std::int64_t>(count);
    return metric;
}

// The loss after the kill against the run that was never killed, at the steps that both have.
double difference_after(const RunCurves& killed, const RunCurves& whole, std::int64_t from) {
    const Curve& ours = killed.losses.empty() ? killed.held_out : killed.losses;
    const Curve& theirs = whole.losses.empty() ? whole.held_out : whole.losses;
    const std::map<std::int64_t, std::optional<double>> by_step(theirs.begin(), theirs.end());
    double sum = 0.0;
    double level = 0.0;
    for (const auto& [step, loss] : ours) {
        const auto found = by_step.find(step);
        if (step < from || found == by_step.end()) continue;
        if (!loss || !found->second) return std::nan("");
        sum += *loss - *found->second;
        level += std::abs(*found->second);
    }
    return level > 0.0 ? sum / level : std::nan("");
}

Step trainer_completes(const Context& context, const Json& state, std::span<const Answer> answers) {
    if (state.is_null()) {
        return Ask{.state = {{"asked", true}}, .requests = {run_request(context, 0, 0)}};
    }
    if (const auto failed = first_failure(context, answers)) return *failed;
    if (answers.size() != 1) return harness_error("one run was not answered once");
    const RunCurves run = curves_of(answers[0]);
    const Curve& curve = judged_curve(run);
    if (curve.empty()) return harness_error("the run has no loss");
    const double first = curve.front().second.value_or(std::nan(""));
    Done done;
    done.observation = {
        metric_of("nonfinite_steps",
                  static_cast<double>(nonfinite(run.losses) + nonfinite(run.held_out)), "count"),
        or_absent("remaining_loss", outcome_of(run) / first, "ratio",
                  "the first or the last loss is not finite"),
        metric_of("steps", static_cast<double>(last_step(run)), "count"),
        metric_of("seconds", run.result.value("seconds", 0.0), "s"),
        metric_of("malformed_lines", run.result.value("malformed_lines", 0.0), "count"),
        metric_of("left_behind", run.result.value("left_behind", 0.0), "count")};
    done.detail = {{"device", drawn(curve)}};
    return done;
}

Step trainer_resumes(const Context& context, const Json& state, std::span<const Answer> answers) {
    constexpr double kKillFrom = 0.5;  // share of the steps, so that a checkpoint lies before it
    constexpr double kKillTo = 0.9;
    if (state.is_null()) {
        return Ask{.state = {{"whole", nullptr}}, .requests = {run_request(context, 0, 0)}};
    }
    if (const auto failed = first_failure(context, answers)) return *failed;
    if (answers.size() != 1) return harness_error("one run was not answered once");
    if (state["whole"].is_null()) {
        const std::int64_t steps = last_step(curves_of(answers[0]));
        Random random(context.seed, 0);
        const double share = kKillFrom + (kKillTo - kKillFrom) * random.uniform();
        Request request = run_request(context, 0, 0);
        request.params["kill_at"] = std::max<std::int64_t>(
            1, static_cast<std::int64_t>(share * static_cast<double>(steps)));
        request.params["kill_delay"] = random.uniform();
        return Ask{.state = {{"whole", answers[0].result}}, .requests = {std::move(request)}};
    }
    Answer before;
    before.result = state["whole"];
    const RunCurves whole = curves_of(before);
    const RunCurves killed = curves_of(answers[0]);
    const auto at = killed.result.value("killed_at", Json());
    const auto from = killed.result.value("resumed_from", Json());
    if (!at.is_number() || !from.is_number()) return harness_error("the run was not killed");
    if (!killed.result.value("steps_named", false)) {
        return GiveUp{GiveUp::Reason::kNoReference,
                      "the metrics name no step, so nothing shows where the run went on"};
    }
    const auto killed_at = at.get<std::int64_t>();
    const auto resumed_from = from.get<std::int64_t>();
    const auto first_step =
        judged_curve(whole).empty() ? std::int64_t{1} : judged_curve(whole).front().first;
    const double done_steps =
        static_cast<double>(std::max<std::int64_t>(1, killed_at - first_step + 1));
    Done done;
    done.observation = {
        metric_of("steps_lost_share",
                  static_cast<double>(std::max<std::int64_t>(0, killed_at + 1 - resumed_from)) /
                      done_steps,
                  "ratio"),
        metric_of("steps_missing", static_cast<double>(last_step(whole) - last_step(killed)),
                  "count"),
        or_absent("loss_difference_after_resume", difference_after(killed, whole, resumed_from),
                  "ratio", "a loss after the kill is not finite, or has no step in common"),
        metric_of("killed_at", static_cast<double>(killed_at), "step"),
        metric_of("resumed_from", static_cast<double>(resumed_from), "step")};
    done.detail = {{"device", drawn(judged_curve(killed))},
                   {"reference", drawn(judged_curve(whole))},
                   {"killed_at", killed_at},
                   {"resumed_from", resumed_from}};
    return done;
}

Step trainer_equivalence(const Context& context, const Json& state,
                         std::span<const Answer> answers) {
    const Json& params = context.subject.params;
    const auto replicas = params.value("replicas", std::size_t{0});
    const auto tests = params.value("tests", std::size_t{1});
    const bool paired = params.value("paired", false);
    const EquivalenceDesign design{.margin = params.value("margin", EquivalenceDesign{}.margin)};
    if (replicas == 0 || tests == 0) return harness_error("nothing to compare with");
    if (state.is_null()) {
        Ask ask;
        ask.state = {{"asked", true}};
        for (std::size_t i = 0; i < tests; ++i) ask.requests.push_back(run_request(context, 0, i));
        for (std::size_t i = 0; i < replicas; ++i) {
            ask.requests.push_back(run_request(context, context.reference(), i));
        }
        return ask;
    }
    if (const auto failed = first_failure(context, answers)) return *failed;
    if (answers.size() != tests + replicas) return harness_error("a run was not answered once");
    std::vector<double> ours;
    std::vector<double> theirs;
    Json runs = Json::array();
    for (const Answer& answer : answers) {
        const bool of_reference = answer.member == context.reference();
        const RunCurves run = curves_of(answer);
        const double outcome = outcome_of(run);
        (of_reference ? theirs : ours).push_back(outcome);
        Json curve = drawn(judged_curve(run));
        curve["name"] = fmt::format("{} {}", of_reference ? "reference" : "device",
                                    of_reference ? theirs.size() : ours.size());
        curve["outcome"] = finite_or_null(outcome);
        runs.push_back(std::move(curve));
    }
    std::string unsound;
    const std::set<double> distinct(theirs.begin(), theirs.end());
    if (theirs.size() > 1 && distinct.size() == 1) {
        unsound =
            "the replicas of the reference are copies of each other: the command does not use "
            "ASCERTAIN_SEED, so they say nothing of how runs scatter";
    }
    const Equivalence found =
        paired ? paired_equivalence(theirs, ours, design) : equivalence(theirs, ours, design);
    const RunCurves device = curves_of(answers[0]);
    const RunCurves reference = curves_of(answers[tests]);
    Done done;
    append_equivalence(done.observation, found, design, replicas, tests, unsound);
    done.observation.push_back(
        paired ? early_norms(device, reference)
               : absent_metric("early_grad_norm_log_ratio_mean", "ratio",
                               "a recorded reference may have seen other data"));
    done.detail = {{"runs", std::move(runs)}};
    return done;
}

}  // namespace

std::span<const Definition> of_trainer() {
    static constexpr std::array kTrainer{
        Definition{
            .id = "trainer.completes",
            .asks = "Does your own trainer get to its end on the device, with numbers all the way?",
            .question = Question::kEndure,
            .family = "trainer_completes",
            .subjects = Subjects::kNone,
            .tamper = R"({"kind": "nonfinite"})",
            .cost = {60.0},
            .step = trainer_completes,
        },
        Definition{
            .id = "trainer.resumes",
            .asks = "Killed with kill -9 at a random moment, does it go on as if nothing had been?",
            .question = Question::kEndure,
            .family = "trainer_resumes",
            .subjects = Subjects::kNone,
            .tamper = R"({"kind": "scale_resumed", "amount": 0.05})",
            .cost = {60.0},
            .step = trainer_resumes,
        },
        Definition{
            .id = "trainer.equivalence",
            .asks = "Does it learn on the device what it learns on the reference?",
            .question = Question::kLearn,
            .family = "trainer_equivalence",
            .subjects = Subjects::kNone,
            .tamper = R"({"kind": "scale", "amount": 0.05})",
            .cost = {60.0},
            .step = trainer_equivalence,
        },
    };
    return kTrainer;
}

}  // namespace ascertain::checks
