#include "measure/checks/ops_battery.hpp"

#include <array>

#include "measure/checks/answers.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 6> kNeeded{"mismatches", "bound_ratio", "z_max",
                                                  "raised",     "questions",   "elements"};

std::string_view size_of(const Context& context) {
    if (!has_time(context)) return "least";
    switch (context.profile) {
        case Profile::kQuick: return "quick";
        case Profile::kStandard: return "standard";
        case Profile::kFull: return "full";
    }
    return "quick";
}

}  // namespace

Step ask_battery(std::string_view battery, const Context& context, const Json& state,
                 std::span<const Answer> answers) {
    const Json* dtype = parameter(context, "dtype", Json::value_t::string);
    if (dtype == nullptr) return harness_error("a battery needs the campaign's dtype");
    if (state.is_null()) {
        Json params = {{"battery", battery},
                       {"seed", context.seed},
                       {"size", size_of(context)},
                       {"dtype", *dtype}};
        return Ask{.state = {{"asked", true}},
                   .requests = {{.kind = "numerics",
                                 .params = std::move(params),
                                 .deadline = deadline_of_training(context.profile),
                                 .members = {0}}}};
    }
    if (answers.size() != 1) return harness_error("numerics was not answered once");
    if (answers[0].kind != AnswerKind::kResult) return give_up(answers[0]);
    auto read = observation_of(answers[0], kNeeded);
    if (auto* broken = std::get_if<GiveUp>(&read)) return std::move(*broken);
    const Observation& observation = std::get<Observation>(read);
    const Metric* questions = find_metric(observation, "questions");
    const Metric* raised = find_metric(observation, "raised");
    const bool nothing =
        questions->value.value_or(0.0) == 0.0 && raised->value.value_or(0.0) == 0.0;
    if (nothing) {
        return GiveUp{GiveUp::Reason::kUnsupported, "the device offers nothing of what was asked"};
    }
    Done done;
    done.observation = observation;
    done.detail = answers[0].result;
    done.detail.erase("observation");
    done.detail["battery"] = battery;
    return done;
}

}  // namespace ascertain::checks
