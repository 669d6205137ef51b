// replay, repeat and time of docs/protocol.md.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/host/session.hpp"

namespace ascertain::operators {

Result<Json> replay(worker::Session& session, const Json& params);
Result<Json> repeat(worker::Session& session, const Json& params);
Result<Json> time(worker::Session& session, const Json& params);

}  // namespace ascertain::operators
