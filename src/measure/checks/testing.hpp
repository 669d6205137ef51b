// For the tests of checks: a check driven to its end by canned answers.
#pragma once

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "measure/checks/check.hpp"

namespace ascertain::checks::testing {

inline Answer result(Json body, double duration_s = 0.01) {
    Answer answer;
    answer.result = std::move(body);
    answer.duration = {duration_s};
    return answer;
}

inline Answer error(std::string kind, std::string message) {
    Answer answer;
    answer.kind = AnswerKind::kError;
    answer.error_kind = std::move(kind);
    answer.message = std::move(message);
    return answer;
}

inline Json metric(const std::string& name, const Json& value) {
    Json entry = {{"metric", name}, {"value", value}, {"unit", "ratio"},
                  {"n", 1},         {"low", nullptr}, {"high", nullptr}};
    if (value.is_null()) entry["reason"] = "not finite";
    return entry;
}

// A check with its context, and what it asked so far.
class Driver {
public:
    Driver(const char* id, Json params, double budget_s = 100.0)
        : definition_(*find(id)), budget_{budget_s} {
        subject_.name = definition_.subjects == Subjects::kOperators ? "mm" : "";
        subject_.params = std::move(params);
    }

    // Steps until the check is done; `answer` is what a worker says to a request.
    Step run(const std::function<Answer(const Request&)>& answer) {
        return run_ranks([&](const Request& request, std::size_t) { return answer(request); });
    }

    // The same with each member's own answer.
    Step run_ranks(const std::function<Answer(const Request&, std::size_t member)>& answer) {
        Json state;
        std::vector<Answer> answers;
        for (int turn = 0; turn < 1000; ++turn) {
            Step step = definition_.step(context(), state, answers);
            // Purity: the same question has the same answer.
            const Step again = definition_.step(context(), state, answers);
            ASCERTAIN_ASSERT(again.index() == step.index());
            auto* ask = std::get_if<Ask>(&step);
            if (ask == nullptr) return step;
            answers.clear();
            for (std::size_t i = 0; i < ask->requests.size(); ++i) {
                for (const std::size_t member : ask->requests[i].members) {
                    answers.push_back(answer(ask->requests[i], member));
                    answers.back().request = i;
                    answers.back().member = member;
                }
                asked.push_back(ask->requests[i]);
            }
            // The state must survive being written down.
            state = Json::parse(ask->state.dump());
        }
        return GiveUp{GiveUp::Reason::kHarnessError, "the check never ends"};
    }

    [[nodiscard]] Context context() {
        devices_.assign(ranks, {device, Json::object()});
        if (!last_device.empty()) devices_.back().name = last_device;
        return {.subject = subject_, .devices = devices_, .seed = 7, .budget = budget_};
    }

    std::vector<Request> asked;
    std::string device = "cpu";
    std::string last_device;  // of the last rank, where it is another; empty: it is not
    std::size_t ranks = 1;

private:
    const Definition& definition_;
    Subject subject_;
    std::vector<DeviceInfo> devices_;
    Seconds budget_;
};

// The value of a metric; absent values and metrics are NaN, which equals nothing.
inline double value_of(const Step& step, std::string_view name) {
    const auto* done = std::get_if<Done>(&step);
    if (done == nullptr) return std::nan("");
    const Metric* found = find_metric(done->observation, name);
    return found != nullptr && found->value ? *found->value : std::nan("");
}

inline bool gave_up(const Step& step, GiveUp::Reason reason) {
    const auto* why = std::get_if<GiveUp>(&step);
    return why != nullptr && why->reason == reason;
}

inline Json matrix(std::vector<int> shape, const char* dtype = "bf16") {
    return {{"tensor", {{"dtype", dtype}, {"shape", std::move(shape)}}}};
}

inline Json mm_case(const std::string& id, int m, int k, int n) {
    return {{"id", id}, {"operator", "aten::mm"}, {"arguments", {matrix({m, k}), matrix({k, n})}}};
}

}  // namespace ascertain::checks::testing
