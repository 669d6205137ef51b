#include "measure/checks/walk.hpp"

#include <fmt/format.h>

#include "measure/checks/answers.hpp"
#include "measure/checks/cases.hpp"

namespace ascertain::checks {
namespace {

// What the walk remembers between two steps. The rows already collected are kept as JSON, as
// [index, result] or [index, null, reason].
Json remember(std::size_t next, double spent_s, Json rows) {
    return {{"next", next}, {"spent_s", spent_s}, {"rows", std::move(rows)}};
}

Ask ask_for(std::size_t index, double spent_s, Json rows, Request request) {
    return {.state = remember(index, spent_s, std::move(rows)), .requests = {std::move(request)}};
}

std::vector<WalkRow> rows_from(const Json& rows) {
    std::vector<WalkRow> result;
    for (const Json& row : rows) {
        result.push_back({.index = row[0].get<std::size_t>(),
                          .result = row[1],
                          .no_reference = row.size() > 2 ? row[2].get<std::string>() : ""});
    }
    return result;
}

}  // namespace

Walked walk(const Context& context, const Json& state, std::span<const Answer> answers,
            const std::vector<const Json*>& cases,
            const std::function<Request(const Json& operator_case)>& ask,
            std::span<const std::string_view> needed) {
    if (cases.empty()) return Step{harness_error("there is no case to ask about")};
    if (state.is_null()) return Step{ask_for(0, 0.0, Json::array(), ask(*cases[0]))};
    if (answers.size() != 1) {
        return Step{harness_error(fmt::format("{} answers to one request", answers.size()))};
    }
    const Answer& answer = answers[0];
    const auto index = state["next"].get<std::size_t>();
    Json rows = state["rows"];
    if (answer.kind == AnswerKind::kResult) {
        const auto read = observation_of(answer, needed);
        if (const auto* broken = std::get_if<GiveUp>(&read)) return Step{*broken};
        rows.push_back(Json::array({index, answer.result}));
    } else if (answer.error_kind == "no_reference") {
        rows.push_back(Json::array({index, nullptr, answer.message}));
    } else {
        GiveUp reason = give_up(answer);
        reason.message = fmt::format("case {} ({}): {}", case_id(*cases[index]),
                                     case_label(*cases[index]), reason.message);
        return Step{std::move(reason)};
    }
    const double spent_s = state["spent_s"].get<double>() + answer.duration.count;
    const std::size_t next = index + 1;
    const bool time_left = spent_s + answer.duration.count <= context.budget.count;
    if (next >= cases.size() || !time_left) return rows_from(rows);
    return Step{ask_for(next, spent_s, std::move(rows), ask(*cases[next]))};
}

std::vector<const Json*> subject_cases(const Context& context) {
    std::vector<const Json*> cases;
    const Json* list = parameter(context, "cases", Json::value_t::array);
    if (list == nullptr) return cases;
    for (const Json& one : *list) cases.push_back(&one);
    return cases;
}

}  // namespace ascertain::checks
