#include "measure/checks/company.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "base/device_name.hpp"
#include "measure/checks/answers.hpp"

namespace ascertain::checks {
namespace {

constexpr Seconds kStoreDeadline{30.0};
// A rank that waits answers by itself; what is over for that is lost.
constexpr Seconds kMargin{5.0};
constexpr const char* kHere = "127.0.0.1";  // all ranks are processes of this machine

std::string stage_of(const Json& state) {
    return state.is_object() ? state.value("joining", "") : "";
}

Ask ask_for_store() {
    return {.state = {{"joining", "store"}},
            .requests = {{.kind = "store",
                          .params = Json::object(),
                          .deadline = kStoreDeadline,
                          .members = {0}}}};
}

Ask ask_to_join(const Context& context, const Json& port) {
    Request request = rendezvous_request(context, "all", port);
    request.members = all_ranks(context);
    return {.state = {{"joining", "rendezvous"}, {"port", port}}, .requests = {std::move(request)}};
}

}  // namespace

Seconds peer_timeout(Profile profile) {
    return profile == Profile::kQuick ? Seconds{20.0} : Seconds{60.0};
}

std::vector<std::size_t> all_ranks(const Context& context) {
    std::vector<std::size_t> ranks;
    for (std::size_t rank = 0; rank < context.devices.size(); ++rank) ranks.push_back(rank);
    return ranks;
}

std::optional<Step> join(const Context& context, const Json& state,
                         std::span<const Answer> answers) {
    const std::string stage = stage_of(state);
    if (stage == "done") return std::nullopt;
    if (stage.empty()) return Step(ask_for_store());
    const std::size_t expected = stage == "store" ? 1 : context.devices.size();
    if (answers.size() != expected) {
        return Step(harness_error(
            fmt::format("{} was answered by {} of {} ranks", stage, answers.size(), expected)));
    }
    for (const Answer& answer : answers) {
        if (answer.kind != AnswerKind::kResult) return Step(give_up(answer));
    }
    if (stage == "rendezvous") return std::nullopt;
    const auto port = answers[0].result.find("port");
    if (port == answers[0].result.end() || !port->is_number_integer()) {
        return Step(harness_error("store: the answer has no port"));
    }
    return Step(ask_to_join(context, *port));
}

Request rendezvous_request(const Context& context, const std::string& name, const Json& port) {
    const Seconds timeout = peer_timeout(context.profile);
    return {.kind = "rendezvous",
            .params = {{"host", kHere},
                       {"port", port},
                       {"name", name},
                       {"address", kHere},
                       {"timeout_s", timeout.count}},
            .deadline = timeout + kMargin,
            .members = {}};
}

bool just_joined(const Json& state) {
    return stage_of(state) == "rendezvous";
}

Request collective_request(const Context& context, Json params, Seconds expected) {
    params["seed"] = context.seed;
    return {.kind = "collective",
            .params = std::move(params),
            // Ten times what is expected, for a loaded machine, and once the wait for a lost rank.
            .deadline = expected * 10.0 + peer_timeout(context.profile) + kMargin,
            .members = all_ranks(context)};
}

std::variant<Observation, GiveUp> observation_of_rank(const Answer& answer,
                                                      std::span<const std::string_view> needed) {
    if (answer.kind == AnswerKind::kResult) return observation_of(answer, needed);
    GiveUp why = give_up(answer);
    why.message = fmt::format("rank {}: {}", answer.member, why.message);
    return why;
}

std::optional<GiveUp> no_fabric(const Context& context) {
    for (const DeviceInfo& device : context.devices) {
        // Ranks meet on the loopback of one machine, be it this one or another node.
        const std::string& first = context.devices.front().name;
        if (node_of(device.name) != node_of(first)) {
            return GiveUp{GiveUp::Reason::kNoReference,
                          fmt::format("{} and {} are on different machines: no backend here joins "
                                      "ranks across machines",
                                      first, device.name)};
        }
        const std::string_view local = local_part(device.name);
        if (local == "cpu" || local.starts_with("simulated")) continue;
        return GiveUp{GiveUp::Reason::kNoReference,
                      fmt::format("no backend here drives the links of {}: what gloo carries "
                                  "through the host says nothing of them",
                                  device.name)};
    }
    return std::nullopt;
}

}  // namespace ascertain::checks
