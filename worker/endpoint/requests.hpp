// The requests of docs/protocol.md that an endpoint answers: describe, logprobs, generate.
#pragma once

#include <string>

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/endpoint/server.hpp"
#include "worker/host/loop.hpp"

namespace ascertain::endpoint {

// Answers as a worker does: the same members, with what a server cannot tell null and a reason.
// What a server does not offer is kUnsupported; what it gets wrong kDeviceUnavailable.
[[nodiscard]] Result<Json> answer(Server& server, const worker::ReportProgress& progress,
                                  const std::string& request, const Json& params);

}  // namespace ascertain::endpoint
