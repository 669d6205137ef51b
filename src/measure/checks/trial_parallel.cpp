// trial.parallel: a step that several ranks make together, in each form in which the campaign's
// model can be split, against the step that one rank makes alone; in fp32, by the limits of the
// forced comparison.
#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "measure/checks/answers.hpp"
#include "measure/checks/company.hpp"
#include "measure/checks/steps.hpp"
#include "measure/checks/trial_models.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 3> kNeeded{"relative_loss", "tensor_relative_error_max",
                                                  "tensors"};
constexpr std::array<std::string_view, 6> kForms{"data",     "tensor",      "expert",
                                                 "pipeline", "interleaved", "context"};

// The variant of the trial's model that a form is asked of; null where it makes no sense.
Json architecture_for(std::string_view form, const Json& architecture, std::size_t ranks) {
    if (form == "expert" && !has_experts(architecture)) return {};
    const bool whole = form == "expert" || (form == "data" && has_experts(architecture));
    if (whole) return without_balance_loss(architecture);
    Json dense = without_experts(architecture);
    const bool in_stages = form == "pipeline" || form == "interleaved";
    // A layer for each stage at least, of which an interleaved rank has two.
    if (in_stages) {
        Json& count = dense["layers"][0]["count"];
        count = std::max(count.get<std::size_t>(), 2 * ranks);
    }
    return dense;
}

// The next form from `number` on that is asked of this model; kForms.size(): none.
std::size_t next_form(const Context& context, std::size_t number) {
    const Json& architecture = context.subject.params["trial_architecture"];
    // A control is asked the first alone.
    if (!has_time(context) && number > 0) return kForms.size();
    while (number < kForms.size() &&
           architecture_for(kForms[number], architecture, context.devices.size()).is_null()) {
        ++number;
    }
    return number;
}

Ask ask(const Context& context, std::size_t number, Json table) {
    const Json& params = context.subject.params;
    Request request;
    request.kind = "parallel_step";
    request.params = {
        {"architecture",
         architecture_for(kForms[number], params["trial_architecture"], context.devices.size())},
        {"recipe", params["recipe"]},
        {"dtype", "fp32"},
        {"seed", context.seed},
        {"form", kForms[number]}};
    request.deadline = deadline_of_one(context.profile) + peer_timeout(context.profile);
    request.members = all_ranks(context);
    return {.state = {{"joining", "done"}, {"form", number}, {"table", std::move(table)}},
            .requests = {std::move(request)}};
}

// What all ranks found of one form, the worst of them; or why it could not be asked.
std::variant<Json, GiveUp> row_of(std::string_view form, std::span<const Answer> answers) {
    Json row{{"form", form},
             {"relative_loss", 0.0},
             {"tensor_relative_error_max", 0.0},
             {"ranks", answers.size()}};
    for (const Answer& answer : answers) {
        if (answer.kind == AnswerKind::kError && answer.error_kind == "unsupported") {
            return Json{{"form", form}, {"unfit", answer.message}};
        }
        if (answer.kind != AnswerKind::kResult) {
            GiveUp why = give_up(answer);
            why.message = fmt::format("{} parallel, rank {}: {}", form, answer.member, why.message);
            return why;
        }
        auto read = observation_of(answer, kNeeded);
        if (auto* broken = std::get_if<GiveUp>(&read)) return std::move(*broken);
        const Observation& observation = std::get<Observation>(read);
        if (find_metric(observation, "tensors")->value.value_or(0.0) < 1.0) {
            return harness_error(fmt::format("{} parallel: no tensor was compared", form));
        }
        for (const char* name :
             {"relative_loss", "tensor_relative_error_max", "weights_relative_error"}) {
            const Metric* metric = find_metric(observation, name);
            if (metric == nullptr || !metric->value) continue;
            const double own = *metric->value;
            if (own < row.value(name, 0.0)) continue;
            row[name] = own;
            if (std::string_view(name) == "tensor_relative_error_max") {
                row["worst_tensor"] = answer.result.value("worst_tensor", "");
            }
        }
    }
    return row;
}

Metric worst_of(const Json& table, const char* name) {
    double worst = -1.0;
    for (const Json& row : table) worst = std::max(worst, row.value(name, -1.0));
    return worst < 0.0 ? absent_metric(name, "ratio", "no form measures it")
                       : metric_of(name, worst, "ratio");
}

Step conclude(const Context& context, Json table) {
    const auto compared = std::ranges::count_if(
        table, [](const Json& row) { return row.contains("tensor_relative_error_max"); });
    if (compared == 0) {
        return GiveUp{GiveUp::Reason::kNoReference,
                      fmt::format("no form of parallelism fits {} ranks and this model",
                                  context.devices.size())};
    }
    Done done;
    done.observation = {worst_of(table, "relative_loss"),
                        worst_of(table, "tensor_relative_error_max"),
                        worst_of(table, "weights_relative_error"),
                        metric_of("forms", static_cast<double>(compared), "count"),
                        metric_of("ranks", static_cast<double>(context.devices.size()), "count")};
    done.detail = {{"forms", std::move(table)}};
    return done;
}

}  // namespace

Step trial_parallel(const Context& context, const Json& state, std::span<const Answer> answers) {
    if (parameter(context, "trial_architecture", Json::value_t::object) == nullptr ||
        parameter(context, "recipe", Json::value_t::object) == nullptr) {
        return harness_error("the trial needs an architecture and a recipe");
    }
    if (auto step = join(context, state, answers)) return *std::move(step);
    if (just_joined(state)) return ask(context, next_form(context, 0), Json::array());
    if (answers.size() != context.devices.size()) {
        return harness_error("not every rank answered once");
    }
    const auto number = state["form"].get<std::size_t>();
    auto row = row_of(kForms.at(number), answers);
    if (auto* why = std::get_if<GiveUp>(&row)) return std::move(*why);
    Json table = state["table"];
    table.push_back(std::get<Json>(std::move(row)));
    const std::size_t next = next_form(context, number + 1);
    if (next < kForms.size()) return ask(context, next, std::move(table));
    return conclude(context, std::move(table));
}

}  // namespace ascertain::checks
