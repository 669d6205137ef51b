// check_cases of docs/protocol.md: which of these operator cases could be replayed here?
#pragma once

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/host/session.hpp"

namespace ascertain::operators {

Result<Json> check_cases(worker::Session& session, const Json& params);

}  // namespace ascertain::operators
