// links.data: does every collective deliver the right data, whoever sends it, at every size and in
// every dtype? All ranks check every byte; who is to blame is solved from what arrived.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>

#include "measure/checks/answers.hpp"
#include "measure/checks/company.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 4> kNeeded{"mismatches", "wrong_collectives", "unrepeated",
                                                  "collectives"};
constexpr std::size_t kFindingsKept = 40;

constexpr std::array kSums{"all_reduce", "reduce_scatter"};
constexpr std::array kMoves{"all_gather", "all_to_all", "broadcast", "send_recv"};

// The largest piece of one rank, in elements; what the plan sends more of is cut to it.
std::int64_t largest_piece(Profile profile) {
    switch (profile) {
        case Profile::kQuick: return 16'384;
        case Profile::kStandard: return 262'144;
        case Profile::kFull: return 4'194'304;
    }
    return 16'384;
}

std::int64_t iterations_of(Profile profile) {
    switch (profile) {
        case Profile::kQuick: return 3;
        case Profile::kStandard: return 20;
        case Profile::kFull: return 100;
    }
    return 3;
}

Json a_case(const std::string& kind, const std::string& dtype, std::int64_t elements,
            std::int64_t iterations) {
    return {{"kind", kind}, {"dtype", dtype}, {"elements", elements}, {"iterations", iterations}};
}

// Every collective in every dtype: one element, an odd number, a block.
void add_battery(Json& cases, std::int64_t iterations) {
    for (const std::int64_t elements :
         {std::int64_t{1}, std::int64_t{1'023}, std::int64_t{4'096}}) {
        for (const char* dtype : {"bf16", "fp16", "fp32"}) {
            for (const char* kind : kSums) {
                cases.push_back(a_case(kind, dtype, elements, iterations));
            }
            for (const char* kind : kMoves) {
                cases.push_back(a_case(kind, dtype, elements, iterations));
            }
        }
        for (const char* kind : kMoves) {
            cases.push_back(a_case(kind, "fp8_e4m3", elements, iterations));
        }
    }
    // Sums of fractions, whose last bits tell the order: ten times, since an order may change
    // rarely.
    for (const char* dtype : {"bf16", "fp32"}) {
        for (const char* kind : kSums) {
            Json one = a_case(kind, dtype, 4'096, std::max<std::int64_t>(10, iterations));
            one["repeats"] = true;
            cases.push_back(std::move(one));
        }
    }
    // Whether to skip a step is told to all in one boolean; masks are many.
    cases.push_back(a_case("all_reduce", "bool", 1, 4 * iterations));
    cases.push_back(a_case("all_reduce", "bool", 1'023, 4 * iterations));
    cases.push_back(a_case("barrier", "fp32", 1, iterations));
}

// What the plan sends, as far as the profile's time allows.
void add_planned(Json& cases, const Json& links, Profile profile) {
    for (const Json& link : links) {
        const std::int64_t wanted = link.value("elements", std::int64_t{1});
        cases.push_back(a_case(link.value("kind", ""), link.value("dtype", ""),
                               std::clamp<std::int64_t>(wanted, 1, largest_piece(profile)),
                               iterations_of(profile)));
    }
}

Ask ask(const Context& context, const Json& links, bool with_compute) {
    Json cases = Json::array();
    if (!has_time(context)) {
        // The least that a corrupted rank shows in: one sum and one move.
        cases = {a_case("all_reduce", "fp32", 1'023, 2), a_case("all_gather", "bf16", 1'023, 2)};
    } else if (with_compute) {
        add_planned(cases, links, context.profile);
        cases.push_back(a_case("all_reduce", "bf16", 4'096, iterations_of(context.profile)));
        cases.push_back(a_case("all_to_all", "bf16", 4'096, iterations_of(context.profile)));
    } else {
        add_battery(cases, iterations_of(context.profile));
        add_planned(cases, links, context.profile);
    }
    const Seconds expected = context.profile == Profile::kQuick ? Seconds{6.0} : Seconds{120.0};
    return {.state = {{"joining", "done"}, {"compute", with_compute}},
            .requests = {collective_request(
                context, {{"cases", std::move(cases)}, {"compute", with_compute}}, expected)}};
}

// What one rank saw wrong, with its own number and the case beside it.
void add_findings(const Answer& answer, Json& findings) {
    for (const Json& one : answer.result.value("cases", Json::array())) {
        for (const Json& finding : one.value("findings", Json::array())) {
            if (findings.size() >= kFindingsKept) return;
            Json row = finding;
            row["at_rank"] = answer.member;
            row["kind"] = one.value("kind", "");
            row["dtype"] = one.value("dtype", "");
            row["elements"] = one.value("elements", 0);
            findings.push_back(std::move(row));
        }
    }
}

// The rank that most findings name; of those that name none, the rank that saw them.
Json blamed(const Json& findings) {
    std::map<std::int64_t, std::size_t> named;
    std::map<std::int64_t, std::size_t> seen_by;
    for (const Json& finding : findings) {
        const Json& from = finding["from_rank"];
        if (from.is_number_integer()) ++named[from.get<std::int64_t>()];
        ++seen_by[finding["at_rank"].get<std::int64_t>()];
    }
    const auto& votes = named.empty() ? seen_by : named;
    const auto most =
        std::ranges::max_element(votes, {}, [](const auto& entry) { return entry.second; });
    return most == votes.end() ? Json() : Json(most->first);
}

struct Sums {
    double mismatches = 0.0;
    double wrong = 0.0;
    double unrepeated = 0.0;
    double collectives = 0.0;
};

std::optional<GiveUp> add_up(std::span<const Answer> answers, Sums& sums) {
    for (const Answer& answer : answers) {
        auto read = observation_of_rank(answer, kNeeded);
        if (auto* broken = std::get_if<GiveUp>(&read)) return std::move(*broken);
        const Observation& observation = std::get<Observation>(read);
        sums.mismatches += find_metric(observation, "mismatches")->value.value_or(0.0);
        sums.wrong += find_metric(observation, "wrong_collectives")->value.value_or(0.0);
        sums.unrepeated += find_metric(observation, "unrepeated")->value.value_or(0.0);
        sums.collectives += find_metric(observation, "collectives")->value.value_or(0.0);
    }
    return std::nullopt;
}

Json emulated_in(const Answer& answer) {
    Json names = Json::array();
    for (const Json& one : answer.result.value("cases", Json::array())) {
        const Json name = one.value("kind", "");
        const bool is_new = std::ranges::find(names, name) == names.end();
        if (one.value("emulated", false) && is_new) names.push_back(name);
    }
    return names;
}

Step finish(const Context& context, const Json& state, std::span<const Answer> answers) {
    Sums sums;
    sums.mismatches = state.value("mismatches", 0.0);
    sums.wrong = state.value("wrong", 0.0);
    sums.unrepeated = state.value("unrepeated", 0.0);
    sums.collectives = state.value("collectives", 0.0);
    if (auto why = add_up(answers, sums)) return *std::move(why);
    Json findings = state.value("findings", Json::array());
    for (const Answer& answer : answers) add_findings(answer, findings);
    if (!state.value("compute", false) && has_time(context)) {
        Ask next = ask(context, *parameter(context, "links", Json::value_t::array), true);
        next.state["mismatches"] = sums.mismatches;
        next.state["wrong"] = sums.wrong;
        next.state["unrepeated"] = sums.unrepeated;
        next.state["collectives"] = sums.collectives;
        next.state["findings"] = std::move(findings);
        return next;
    }
    if (sums.collectives < 1.0) return harness_error("no collective was run");
    Done done;
    done.observation = {metric_of("mismatches", sums.mismatches, "count"),
                        metric_of("wrong_collectives", sums.wrong, "count"),
                        metric_of("unrepeated", sums.unrepeated, "count"),
                        metric_of("collectives", sums.collectives, "count"),
                        metric_of("ranks", static_cast<double>(answers.size()), "count")};
    const Json& first = answers[0].result;
    done.detail = {{"backend", first.value("backend", "")},
                   {"staged", first.value("staged", false)},
                   {"emulated", emulated_in(answers[0])},
                   {"blamed_rank", blamed(findings)},
                   {"findings", std::move(findings)}};
    return done;
}

}  // namespace

Step links_data(const Context& context, const Json& state, std::span<const Answer> answers) {
    const Json* links = parameter(context, "links", Json::value_t::array);
    if (links == nullptr) return harness_error("links.data needs the messages of the plan");
    if (auto why = no_fabric(context)) return *std::move(why);
    if (auto step = join(context, state, answers)) return *std::move(step);
    if (just_joined(state)) return ask(context, *links, false);
    if (answers.size() != context.devices.size()) {
        return harness_error("not every rank answered once");
    }
    return finish(context, state, answers);
}

}  // namespace ascertain::checks
