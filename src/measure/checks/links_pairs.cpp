// links.pairs: is one rank, or the link between two, slower than the others? A tournament of pairs
// with re-matches (localise.hpp). What shares a machine shares its noise, so it never decides
// there.
#include <fmt/format.h>

#include <algorithm>

#include "measure/checks/answers.hpp"
#include "measure/checks/company.hpp"
#include "measure/checks/localise.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

constexpr std::int64_t kElements = 1 << 18;  // half a MiB in bf16
constexpr std::int64_t kIterations = 7;
constexpr int kRoundsBeyond = 8;  // further rounds until what is slow must be told

Json to_state(const std::vector<TimedPair>& pairs) {
    Json list = Json::array();
    for (const TimedPair& pair : pairs) {
        list.push_back({pair.first, pair.second, pair.seconds, pair.round});
    }
    return list;
}

std::vector<TimedPair> pairs_from(const Json& state) {
    std::vector<TimedPair> pairs;
    for (const Json& entry : state.value("pairs", Json::array())) {
        pairs.push_back({entry[0].get<int>(), entry[1].get<int>(), entry[2].get<double>(),
                         entry[3].get<int>()});
    }
    return pairs;
}

Topology topology_of(const Context& context) {
    return {static_cast<int>(context.devices.size()), 0};
}

int rounds_done(const std::vector<TimedPair>& pairs) {
    return pairs.empty() ? 0 : pairs.back().round + 1;
}

// One request for each pair of the round, to its two ranks. `requests` of the pairs that met.
template <typename Make>
Ask ask_pairs(Json state, const std::vector<std::pair<int, int>>& met, Make make) {
    Ask ask;
    state["met"] = met;
    ask.state = std::move(state);
    for (std::size_t i = 0; i < met.size(); ++i) {
        Request request = make(i);
        request.members = {static_cast<std::size_t>(met[i].first),
                           static_cast<std::size_t>(met[i].second)};
        ask.requests.push_back(std::move(request));
    }
    return ask;
}

Ask ask_to_meet(const Context& context, const std::vector<TimedPair>& pairs, const Json& port) {
    const int round = rounds_done(pairs);
    Json state = {{"joining", "done"}, {"stage", "meet"}, {"port", port}};
    state["pairs"] = to_state(pairs);
    return ask_pairs(std::move(state), next_pairs(topology_of(context), pairs, context.seed),
                     [&](std::size_t i) {
                         return rendezvous_request(context,
                                                   fmt::format("round {} pair {}", round, i), port);
                     });
}

Ask ask_to_send(const Context& context, const Json& before) {
    Json state = before;
    state["stage"] = "send";
    const Json cases = Json::array({{{"kind", "send_recv"},
                                     {"dtype", "bf16"},
                                     {"elements", kElements},
                                     {"iterations", kIterations}}});
    const auto met = before["met"].get<std::vector<std::pair<int, int>>>();
    return ask_pairs(std::move(state), met, [&](std::size_t) {
        return collective_request(context, {{"cases", cases}, {"timed", true}}, {2.0});
    });
}

// The median over iterations of the slower of the two.
std::optional<double> seconds_of(std::span<const Answer> answers, std::size_t request) {
    std::vector<double> slower;
    for (const Answer& answer : answers) {
        if (answer.request != request) continue;
        const Json cases = answer.result.value("cases", Json::array());
        if (cases.size() != 1) return std::nullopt;
        const auto times = numbers_of(cases[0].value("seconds", Json()));
        if (slower.empty()) slower.resize(times.size(), 0.0);
        if (times.empty() || times.size() != slower.size()) return std::nullopt;
        for (std::size_t i = 0; i < times.size(); ++i) {
            slower[i] = std::max(slower[i], times[i].value_or(0.0));
        }
    }
    if (slower.empty()) return std::nullopt;
    std::ranges::nth_element(slower,
                             slower.begin() + static_cast<std::ptrdiff_t>(slower.size() / 2));
    return slower[slower.size() / 2];
}

Step finish(const Context& context, const std::vector<TimedPair>& pairs) {
    const Topology topology = topology_of(context);
    const Slow slow = slow_part(topology, pairs);
    const bool found = slow.part != SlowPart::kNothing;
    Done done;
    done.observation = {metric_of("slow_parts", found ? 1.0 : 0.0, "count"),
                        metric_of("slow_factor", found ? slow.factor : 1.0, "ratio"),
                        metric_of("pairs_timed", static_cast<double>(pairs.size()), "count"),
                        metric_of("rounds", static_cast<double>(rounds_done(pairs)), "count")};
    Json rows = Json::array();
    for (const TimedPair& pair : pairs) {
        rows.push_back({{"first", pair.first},
                        {"second", pair.second},
                        {"seconds", pair.seconds},
                        {"round", pair.round}});
    }
    done.detail = {{"slow", found ? Json(name_of(topology, slow)) : Json()},
                   {"pairs", std::move(rows)}};
    return done;
}

}  // namespace

Step links_pairs(const Context& context, const Json& state, std::span<const Answer> answers) {
    if (parameter(context, "links", Json::value_t::array) == nullptr) {
        return harness_error("links.pairs needs the messages of the plan");
    }
    if (auto why = no_fabric(context)) return *std::move(why);
    if (auto step = join(context, state, answers)) return *std::move(step);
    if (just_joined(state)) return ask_to_meet(context, {}, state["port"]);
    for (const Answer& answer : answers) {
        if (answer.kind != AnswerKind::kResult) return give_up(answer);
    }
    if (state.value("stage", "") == "meet") return ask_to_send(context, state);
    std::vector<TimedPair> pairs = pairs_from(state);
    const int round = rounds_done(pairs);
    const auto met = state["met"].get<std::vector<std::pair<int, int>>>();
    for (std::size_t i = 0; i < met.size(); ++i) {
        const auto seconds = seconds_of(answers, i);
        if (!seconds) return harness_error("links.pairs: a pair was not timed");
        pairs.push_back({met[i].first, met[i].second, *seconds, round});
    }
    const Topology topology = topology_of(context);
    const int limit = topology.ranks + kRoundsBeyond;
    if (is_settled(topology, pairs) || round + 1 >= limit) return finish(context, pairs);
    return ask_to_meet(context, pairs, state["port"]);
}

}  // namespace ascertain::checks
