// module of docs/protocol.md: the user's own module, judged as a whole and taken apart.
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/host/session.hpp"

namespace ascertain::module {

Result<Json> module(worker::Session& session, const Json& params);

}  // namespace ascertain::module
