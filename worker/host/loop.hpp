// One request after another over a channel, with a sign of life every second: what every worker
// does, whether torch is behind it or a server.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/host/channel.hpp"

namespace ascertain::worker {

inline constexpr int kExitStopped = 0;  // told to stop, or the core went away
inline constexpr int kExitBreach = 2;   // the core broke the protocol
inline constexpr int kExitRefused = 3;  // said `refused` instead of hello

// Tells the core how far the request in progress is: share in [0, 1]; data is null or an object.
using ReportProgress = std::function<void(double share, std::string_view text, const Json& data)>;

// Answers one request by name. Must not throw.
using Answerer = std::function<Result<Json>(const std::string& request, const Json& params)>;

// Serves until told to stop, until the other end closes or breaks the protocol; returns the exit
// code. `made` is handed the way to report progress before the first request.
[[nodiscard]] int answer_requests(Channel& channel, const std::function<void(ReportProgress)>& made,
                                  const Answerer& answer_one);

// Says `refused` instead of hello; returns kExitRefused.
[[nodiscard]] int refuse(Channel& channel, std::string_view kind, const std::string& message);

}  // namespace ascertain::worker
