// One end of the socket between the core and a worker: one message, one line of JSON.
#pragma once

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::worker {

// Reads from one thread, writes from any. Does not own the descriptor.
class Channel {
public:
    explicit Channel(int descriptor) : descriptor_(descriptor) {}
    Channel(const Channel&) = delete;
    Channel& operator=(const Channel&) = delete;

    // The next message; nothing when the other end has closed. Waits for it. Errors: kBadInput for
    // a line longer than protocol::kLineBytesMax or one that is no JSON object; kEnvironment when
    // the descriptor cannot be read.
    [[nodiscard]] Result<std::optional<Json>> receive();

    // Writes one message as one line, whole, whichever thread calls. False when the other end has
    // closed. A message beyond protocol::kLineBytesMax is not sent: see fits().
    [[nodiscard]] bool send(const Json& message);

    // Whether `message` is short enough to be sent.
    [[nodiscard]] static bool fits(const Json& message);

private:
    int descriptor_;
    std::string pending_;  // bytes received after the last complete line
    std::mutex sending_;
};

}  // namespace ascertain::worker
