// The requests of docs/protocol.md that send data between ranks.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/host/session.hpp"

namespace ascertain::collectives {

[[nodiscard]] Result<Json> store(worker::Session& session, const Json& params);
[[nodiscard]] Result<Json> rendezvous(worker::Session& session, const Json& params);
[[nodiscard]] Result<Json> collective(worker::Session& session, const Json& params);

}  // namespace ascertain::collectives
