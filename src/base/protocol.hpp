// Numbers that both ends of the worker protocol must agree on. The protocol itself is described in
// docs/protocol.md, its messages in data/schema/message.schema.json.
#pragma once

#include <cstddef>

namespace ascertain::protocol {

// A worker and a core whose versions differ refuse each other.
inline constexpr int kVersion = 1;
// The worker says it is alive this often, from a thread of its own.
inline constexpr double kHeartbeatInterval_s = 1.0;
// One message is one line of JSON of at most this many bytes; a longer one is a flood.
inline constexpr std::size_t kLineBytesMax = 32u << 20;
// The environment variable that carries the number of the inherited socket.
inline constexpr const char* kDescriptorVariable = "ASCERTAIN_WORKER_FD";

}  // namespace ascertain::protocol
