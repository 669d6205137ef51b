// How the ranks of a group find one another before a check asks them anything together.
#pragma once

#include <optional>

#include "measure/checks/check.hpp"

namespace ascertain::checks {

// How long a rank waits for the others, in joining and in each collective; past it the ranks that
// wait say so, and the one that does not answer is named.
[[nodiscard]] Seconds peer_timeout(Profile profile);

// Indices of all ranks: 0 .. n-1.
[[nodiscard]] std::vector<std::size_t> all_ranks(const Context& context);

// The step by which the ranks join, or nothing once they have: then the answers are to what the
// check itself asked, or, right after joining, none of its own. `state` is the check's; joining
// keeps its place in state["joining"]; a check that goes on sets it to "done".
[[nodiscard]] std::optional<Step> join(const Context& context, const Json& state,
                                       std::span<const Answer> answers);
// Whether the answers that came with `state` are those of joining.
[[nodiscard]] bool just_joined(const Json& state);

// To two ranks or more, who then join the group `name` in place of the one they are in; `port` is
// state["port"] as joining left it.
[[nodiscard]] Request rendezvous_request(const Context& context, const std::string& name,
                                         const Json& port);

// A collective request to all ranks. `params` holds cases and what else it takes.
[[nodiscard]] Request collective_request(const Context& context, Json params, Seconds expected);

// The observation of a rank's answer, as observation_of reads it; where there is none, why, with
// the number of the rank.
[[nodiscard]] std::variant<Observation, GiveUp> observation_of_rank(
    const Answer& answer, std::span<const std::string_view> needed);

// Nothing when the fabric that these devices train over is what would be measured; else why not:
// an accelerator whose data would travel through the host says nothing of its own links.
[[nodiscard]] std::optional<GiveUp> no_fabric(const Context& context);

}  // namespace ascertain::checks
