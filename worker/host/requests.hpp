// The table of what can be asked of a worker. A new request is its file, one line in CMake, one
// line in requests.cpp and its section in docs/protocol.md.
#pragma once

#include <span>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/host/session.hpp"

namespace ascertain::worker {

// Answers one request with the `result` of docs/protocol.md. An expected failure is an Error, whose
// code becomes the error kind (failure.hpp); what torch throws may pass through: the host catches
// it.
using Handler = Result<Json> (*)(Session& session, const Json& params);

struct Request {
    std::string_view name;
    Handler handle;
};

[[nodiscard]] std::span<const Request> requests();

// The request of that name, or kBadInput with the near matches.
[[nodiscard]] Result<const Request*> find_request(std::string_view name);

Result<Json> describe(Session& session, const Json& params);

}  // namespace ascertain::worker
