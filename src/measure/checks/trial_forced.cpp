// trial.forced_fp32 and trial.forced: with the same weights and the same batch, does the device
// compute the loss, every gradient and every update that the reference computes? First in fp32,
// where any wrong operator shows, then in the precision of the campaign. The core test of Q3.
#include <fmt/format.h>

#include <array>

#include "measure/checks/answers.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 4> kNeeded{"relative_loss_max", "tensor_relative_error_max",
                                                  "optimizer_relative_error_max",
                                                  "router_bias_mismatches"};
// Tensors are listed worst first; the report shows these and counts the rest.
constexpr std::size_t kTensorsShown = 40;

// Steps of the reference's training at which the two are compared, and batches at each.
// docs/formulas.md#teacher-forced says what they were tried with.
int batches_of(const Context& context) {
    if (!has_time(context)) return 4;
    return context.profile == Profile::kQuick ? 8 : 16;
}
// Step 0 alone needs no training, and shows whatever is wrong with the arithmetic.
Json steps_of(const Context& context) {
    if (!has_time(context)) return Json::array({0});
    return context.profile == Profile::kQuick ? Json{0, 10} : Json{0, 10, 100};
}

Json first_entries(const Json& list, std::size_t count) {
    Json result = Json::array();
    for (const Json& entry : list) {
        if (result.size() == count) break;
        result.push_back(entry);
    }
    return result;
}

Step forced(const Context& context, const Json& state, std::span<const Answer> answers,
            const std::string& dtype) {
    const Json* architecture = parameter(context, "trial_architecture", Json::value_t::object);
    const Json* recipe = parameter(context, "recipe", Json::value_t::object);
    if (architecture == nullptr || recipe == nullptr || dtype.empty()) {
        return harness_error("the trial needs an architecture, a recipe and a dtype");
    }
    if (state.is_null()) {
        return Ask{.state = {{"asked", true}},
                   .requests = {{.kind = "teacher_force",
                                 .params = {{"architecture", *architecture},
                                            {"recipe", *recipe},
                                            {"steps", steps_of(context)},
                                            {"batches", batches_of(context)},
                                            {"dtype", dtype},
                                            {"seed", context.seed}},
                                 .deadline = deadline_of_training(context.profile),
                                 .members = {0}}}};
    }
    if (answers.size() != 1) return harness_error("teacher_force was not answered once");
    if (answers[0].kind != AnswerKind::kResult) return give_up(answers[0]);
    auto observation = observation_of(answers[0], kNeeded);
    if (const auto* broken = std::get_if<GiveUp>(&observation)) return *broken;
    const Json& result = answers[0].result;
    const auto points = result.find("points");
    if (points == result.end() || !points->is_array() || points->empty()) {
        return harness_error("teacher_force: no point was compared");
    }
    Done done;
    done.observation = std::get<Observation>(std::move(observation));
    done.observation.push_back(metric_of("points", static_cast<double>(points->size()), "count"));
    done.detail = {{"dtype", dtype}, {"points", *points}};
    if (const auto tensors = result.find("tensors"); tensors != result.end()) {
        done.detail["tensors"] = first_entries(*tensors, kTensorsShown);
        done.detail["tensors_compared"] = tensors->size();
    }
    return done;
}

}  // namespace

Step trial_forced_fp32(const Context& context, const Json& state, std::span<const Answer> answers) {
    return forced(context, state, answers, "fp32");
}

Step trial_forced(const Context& context, const Json& state, std::span<const Answer> answers) {
    const Json* dtype = parameter(context, "dtype", Json::value_t::string);
    return forced(context, state, answers, dtype == nullptr ? "" : dtype->get<std::string>());
}

}  // namespace ascertain::checks
