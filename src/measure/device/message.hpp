// The messages of docs/protocol.md as values. Whatever does not fit is an error that says why.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "base/json.hpp"
#include "base/result.hpp"
#include "base/units.hpp"

namespace ascertain::device {

// What a worker says of itself in its first line.
struct Hello {
    int protocol = 0;
    std::string torch;  // version it runs with
    std::string host;   // "executable" or "python"
    std::string device;
};

// Said instead of hello; `kind` is version | device | library.
struct Refused {
    std::string kind;
    std::string message;
};

struct Heartbeat {
    std::int64_t number = 0;
};

struct ProgressMessage {
    std::int64_t id = 0;
    double share = 0.0;  // done so far, 0 to 1
    std::string text;
    Json data;  // null when the request sends none
};

struct ResultMessage {
    std::int64_t id = 0;
    Json result;
};

struct ErrorMessage {
    std::int64_t id = 0;
    std::string kind;
    std::string message;
};

using Message =
    std::variant<Hello, Refused, Heartbeat, ProgressMessage, ResultMessage, ErrorMessage>;

// Reads one line from a worker. Errors: kBadInput, with what is wrong.
[[nodiscard]] Result<Message> parse_message(std::string_view line);

// One request line, '\n' included. `params` is an object or null (which means {}).
[[nodiscard]] std::string request_line(std::int64_t id, std::string_view request,
                                       const Json& params, Seconds deadline);

}  // namespace ascertain::device
