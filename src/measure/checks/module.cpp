// module.eager, module.compiled, module.graphed: a module of the user's own, forward and backward,
// held against fp64 in eager mode on the CPU.
#include <array>

#include "measure/checks/answers.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 5> kNeeded{
    "error_ratio", "error_max_ratio", "nonfinite_mismatches", "mismatched_tensors", "tensors"};

Step ask_module(const char* mode, const Context& context, const Json& state,
                std::span<const Answer> answers) {
    if (parameter(context, "module", Json::value_t::string) == nullptr)
        return harness_error("this check needs a module");
    if (state.is_null()) {
        return Ask{.state = {{"asked", true}},
                   .requests = {{.kind = "module",
                                 .params = {{"mode", mode}, {"seed", context.seed}},
                                 .deadline = deadline_of_training(context.profile),
                                 .members = {0}}}};
    }
    if (answers.size() != 1) return harness_error("module was not answered once");
    if (answers[0].kind != AnswerKind::kResult) {
        // The file was read and built once already: what it raises now, it raises on this device.
        if (answers[0].kind == AnswerKind::kError && answers[0].error_kind == "invalid_request")
            return GiveUp{GiveUp::Reason::kDeviceError, answers[0].message};
        return give_up(answers[0]);
    }
    auto read = observation_of(answers[0], kNeeded);
    if (auto* broken = std::get_if<GiveUp>(&read)) return std::move(*broken);
    Done done;
    done.observation = std::get<Observation>(std::move(read));
    done.detail = answers[0].result;
    done.detail.erase("observation");
    return done;
}

}  // namespace

Step module_eager(const Context& context, const Json& state, std::span<const Answer> answers) {
    return ask_module("eager", context, state, answers);
}

Step module_compiled(const Context& context, const Json& state, std::span<const Answer> answers) {
    return ask_module("compiled", context, state, answers);
}

Step module_graphed(const Context& context, const Json& state, std::span<const Answer> answers) {
    return ask_module("graphed", context, state, answers);
}

}  // namespace ascertain::checks
