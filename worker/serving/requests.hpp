// The requests of docs/protocol.md that serve a model: what it says of given text, and what it
// writes on.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/host/session.hpp"

namespace ascertain::serving {

[[nodiscard]] Result<Json> logprobs(worker::Session& session, const Json& params);
[[nodiscard]] Result<Json> generate(worker::Session& session, const Json& params);
[[nodiscard]] Result<Json> publish(worker::Session& session, const Json& params);

}  // namespace ascertain::serving
