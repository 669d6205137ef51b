#include "worker/host/channel.hpp"

#include <fmt/format.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/protocol.hpp"

namespace ascertain::worker {
namespace {

// JSON text that is always valid UTF-8: what a library put into its error message may not be.
std::string line_of(const Json& message) {
    return message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

Result<std::optional<Json>> Channel::receive() {
    std::size_t searched = 0;
    for (;;) {
        const std::size_t end = pending_.find('\n', searched);
        if (end != std::string::npos) {
            const std::string line = pending_.substr(0, end);
            pending_.erase(0, end + 1);
            Result<Json> message =
                parse_json(line, "worker message", {.size_bytes_max = protocol::kLineBytesMax});
            if (!message) return message.error();
            if (!message->is_object()) {
                return Error{ErrorCode::kBadInput, "a message must be a JSON object",
                             "worker message"};
            }
            return std::optional<Json>(std::move(message).value());
        }
        searched = pending_.size();
        if (searched > protocol::kLineBytesMax) {
            return Error{ErrorCode::kBadInput,
                         fmt::format("a line is longer than {} bytes", protocol::kLineBytesMax),
                         "worker message"};
        }
        std::array<char, 65536> bytes;
        const ssize_t count = ::recv(descriptor_, bytes.data(), bytes.size(), 0);
        if (count == 0) return std::optional<Json>();
        if (count > 0) {
            pending_.append(bytes.data(), static_cast<std::size_t>(count));
        } else if (errno == ECONNRESET) {
            return std::optional<Json>();
        } else if (errno != EINTR) {
            return Error{ErrorCode::kEnvironment,
                         fmt::format("cannot read the socket: {}", std::strerror(errno)), ""};
        }
    }
}

bool Channel::send(const Json& message) {
    const std::string line = line_of(message);
    if (line.size() > protocol::kLineBytesMax) return true;
    const std::lock_guard lock(sending_);
    std::string_view rest = line;
    while (!rest.empty()) {
        const ssize_t count = ::send(descriptor_, rest.data(), rest.size(), MSG_NOSIGNAL);
        if (count >= 0) {
            rest.remove_prefix(static_cast<std::size_t>(count));
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

bool Channel::fits(const Json& message) {
    return line_of(message).size() <= protocol::kLineBytesMax;
}

}  // namespace ascertain::worker
