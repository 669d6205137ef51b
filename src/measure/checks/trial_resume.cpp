// trial.resume: killed with kill -9 at a random step, killed while it writes a checkpoint, left
// hanging: does the run go on from its last good checkpoint, to the same bits?
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "base/random.hpp"
#include "measure/checks/answers.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 4> kNeeded{"checkpoints", "checkpoint_save",
                                                  "checkpoint_load", "checkpoint_bytes"};
constexpr std::int64_t kSaveEvery = 4;
constexpr Seconds kHangDeadline{15.0};

// The runs, one after another. "whole" and "again" are never disturbed: what differs between them
// is the device's own doing, and no checkpoint's.
struct Stage {
    const char* run;
    const char* disturbance;  // "": none; the request goes through
    bool resumes = false;
};
constexpr std::array kStages{
    Stage{"whole", ""},
    Stage{"again", ""},
    Stage{"killed", "dies_at"},
    Stage{"killed", "", true},
    Stage{"torn", "dies_in_checkpoint"},
    Stage{"torn", "", true},
    Stage{"hung", "hangs_at"},
    Stage{"hung", "", true},
};
// A hang costs its deadline, so at quick it is left out.
std::size_t stages_of(const Context& context) {
    return context.profile == Profile::kQuick ? 6 : kStages.size();
}
// The control needs the whole run and one that was resumed.
bool is_asked(const Context& context, std::size_t stage) {
    return has_time(context) || stage < 4;
}

std::int64_t steps_of(const Context& context) {
    return has_time(context) ? 3 * kSaveEvery : 2 * kSaveEvery;
}

// After the first checkpoint and before the last step.
std::int64_t death_of(const Context& context) {
    Random random(context.seed, 1);
    return kSaveEvery + 1 +
           static_cast<std::int64_t>(
               random.below(static_cast<std::uint64_t>(steps_of(context) - kSaveEvery - 1)));
}

Ask ask_stage(const Context& context, std::size_t number, Json results) {
    const Stage& stage = kStages[number];
    const Json& params = context.subject.params;
    Json asked = {{"architecture", params["trial_architecture"]},
                  {"recipe", params["recipe"]},
                  {"dtype", params["free_run_dtype"]},
                  {"seed", context.seed},
                  {"steps", steps_of(context)},
                  {"save_every", kSaveEvery},
                  {"run", stage.run},
                  {"resume", stage.resumes},
                  {"clear", *stage.disturbance == '\0'}};
    Seconds deadline = deadline_of_training(context.profile);
    if (*stage.disturbance != '\0') asked[stage.disturbance] = death_of(context);
    if (std::string_view(stage.disturbance) == "dies_in_checkpoint") {
        asked[stage.disturbance] = 2 * kSaveEvery;
    }
    if (std::string_view(stage.disturbance) == "hangs_at") deadline = kHangDeadline;
    return Ask{.state = {{"stage", number}, {"results", std::move(results)}},
               .requests = {{.kind = "train_checkpointed",
                             .params = std::move(asked),
                             .deadline = deadline,
                             .members = {0}}}};
}

struct Run {
    std::vector<std::optional<double>> losses;
    std::int64_t first_step = 0;
    std::string state;
};

Run run_of(const Json& result) {
    return {numbers_of(result.value("losses", Json::array())),
            result.value("first_step", std::int64_t{0}), result.value("state_hash", "")};
}

// Largest relative difference of a loss at the steps that `part` made; 1 where one is no number.
double difference(const Run& part, const Run& whole) {
    double worst = 0.0;
    for (std::size_t i = 0; i < part.losses.size(); ++i) {
        const std::size_t step = i + static_cast<std::size_t>(part.first_step);
        if (step >= whole.losses.size() || !part.losses[i] || !whole.losses[step]) return 1.0;
        worst = std::max(worst, std::abs(*part.losses[i] / *whole.losses[step] - 1.0));
    }
    return worst;
}

Step conclude(const Context& context, const Json& results) {
    const Run whole = run_of(results["0"]);
    const Run again = run_of(results["1"]);
    const bool repeatable = whole.state == again.state && !whole.state.empty();
    double worst = 0.0;
    std::size_t resumed = 0;
    std::size_t from_start = 0;
    std::size_t states_differing = 0;
    Json table = Json::array();
    for (std::size_t number = 0; number < kStages.size(); ++number) {
        const std::string key = fmt::format("{}", number);
        if (!kStages[number].resumes || !results.contains(key)) continue;
        const Run run = run_of(results[key]);
        const double own = difference(run, whole);
        ++resumed;
        worst = std::max(worst, own);
        from_start += run.first_step < kSaveEvery ? 1 : 0;
        states_differing += run.state == whole.state ? 0 : 1;
        table.push_back({{"run", kStages[number].run},
                         {"resumed_from", run.first_step},
                         {"loss_difference_max", own},
                         {"same_bits", run.state == whole.state},
                         {"skipped", results[key].value("skipped", Json::array())}});
    }
    Done done;
    done.observation = {
        metric_of("resumed_loss_difference_max", worst, "ratio"),
        metric_of("repeated_loss_difference_max", difference(again, whole), "ratio"),
        metric_of("resumed_from_start", static_cast<double>(from_start), "count"),
        repeatable
            ? metric_of("states_differing", static_cast<double>(states_differing), "count")
            : absent_metric("states_differing", "count",
                            "two undisturbed runs differ already: this device is not repeatable"),
        metric_of("resumptions", static_cast<double>(resumed), "count"),
        metric_of("steps", static_cast<double>(steps_of(context)), "count")};
    const auto last = observation_from_json(results["3"]["observation"], "answer");
    if (!last) return harness_error(last.error().text());
    for (const std::string_view name : kNeeded) {
        if (const Metric* metric = find_metric(*last, name)) done.observation.push_back(*metric);
    }
    done.detail = {{"resumptions", std::move(table)}};
    return done;
}

}  // namespace

Step trial_resume(const Context& context, const Json& state, std::span<const Answer> answers) {
    if (parameter(context, "trial_architecture", Json::value_t::object) == nullptr ||
        parameter(context, "recipe", Json::value_t::object) == nullptr ||
        parameter(context, "free_run_dtype", Json::value_t::string) == nullptr) {
        return harness_error("the trial needs an architecture, a recipe and a dtype");
    }
    if (state.is_null()) return ask_stage(context, 0, Json::object());
    if (answers.size() != 1) return harness_error("a run was not answered once");
    const auto number = state["stage"].get<std::size_t>();
    const Stage& stage = kStages.at(number);
    const Answer& answer = answers[0];
    Json results = state["results"];
    if (*stage.disturbance != '\0') {
        // Meant to die; what survives shows that nothing was tested.
        const bool died =
            answer.kind == AnswerKind::kCrashed || answer.kind == AnswerKind::kTimedOut;
        if (answer.kind == AnswerKind::kResult)
            return harness_error("the run that was to die did not");
        if (!died) return give_up(answer);
    } else {
        if (answer.kind == AnswerKind::kTimedOut || answer.kind == AnswerKind::kCrashed) {
            return GiveUp{GiveUp::Reason::kDeviceError,
                          fmt::format("{} run: {}", stage.run, answer.message)};
        }
        if (answer.kind != AnswerKind::kResult) return give_up(answer);
        const auto observation = observation_of(answer, kNeeded);
        if (const auto* broken = std::get_if<GiveUp>(&observation)) return *broken;
        results[fmt::format("{}", number)] = {
            {"losses", answer.result.value("losses", Json::array())},
            {"first_step", answer.result.value("first_step", Json(0))},
            {"state_hash", answer.result.value("state_hash", "")},
            {"skipped", answer.result.value("skipped", Json::array())},
            {"observation", answer.result["observation"]}};
    }
    std::size_t next = number + 1;
    while (next < stages_of(context) && !is_asked(context, next)) ++next;
    if (next < stages_of(context)) return ask_stage(context, next, std::move(results));
    return conclude(context, results);
}

}  // namespace ascertain::checks
