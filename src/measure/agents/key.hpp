// The secret that the agents of one campaign share with its coordinator: CURVE keys in one file.
#pragma once

#include <string>

#include "base/result.hpp"

namespace ascertain::agents {

// What an agent needs: whom to believe, and who to be. All three are CURVE25519 keys in Z85 text
// (ZeroMQ RFC 32), 40 characters each. One pair serves all agents of a campaign.
struct AgentKey {
    std::string coordinator_public;
    std::string agent_public;
    std::string agent_secret;
    std::string join{};  // where to join, "tcp://head:5757"
};

// The coordinator's own: never written anywhere.
struct CampaignKey {
    AgentKey agent;
    std::string coordinator_secret;
};

// Two fresh key pairs. Errors: kEnvironment when this libzmq has no CURVE.
[[nodiscard]] Result<CampaignKey> make_campaign_key();

// Writes the agents' part to `path`, readable by its owner alone (mode 0600), in place of what was
// there, in one step. Errors: kEnvironment, naming what failed.
[[nodiscard]] Result<void> write_agent_key(const AgentKey& key, const std::string& path);

// Errors: kEnvironment when there is no such file; kBadInput for one that others may read or write,
// or that holds no key.
[[nodiscard]] Result<AgentKey> read_agent_key(const std::string& path);

}  // namespace ascertain::agents
