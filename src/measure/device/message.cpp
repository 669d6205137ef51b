#include "measure/device/message.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/protocol.hpp"

namespace ascertain::device {
namespace {

constexpr const char* kName = "worker message";

std::string text_or(const Json& object, std::string_view key, std::string_view otherwise) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>()
                                                       : std::string(otherwise);
}

Result<Message> hello_from(const Json& body) {
    if (!body.is_object()) return Error{ErrorCode::kBadInput, "hello is no object", kName};
    const auto protocol = integer_at(body, "protocol", kName);
    if (!protocol) return protocol.error();
    const auto device = text_at(body, "device", kName);
    if (!device) return device.error();
    const long long bounded = std::clamp(*protocol, -1LL, 1'000'000LL);
    return Message{Hello{.protocol = static_cast<int>(bounded),
                         .torch = text_or(body, "torch", ""),
                         .host = text_or(body, "host", ""),
                         .device = *device}};
}

Result<Message> refused_from(const Json& body) {
    if (!body.is_object()) return Error{ErrorCode::kBadInput, "refused is no object", kName};
    return Message{Refused{.kind = text_or(body, "kind", "unknown"),
                           .message = text_or(body, "message", "no reason given")}};
}

Result<Message> progress_from(std::int64_t id, const Json& body) {
    if (!body.is_object()) return Error{ErrorCode::kBadInput, "progress is no object", kName};
    const auto share = number_at(body, "share", kName);
    if (!share) return share.error();
    ProgressMessage message{
        .id = id, .share = *share, .text = text_or(body, "text", ""), .data = {}};
    if (const auto data = body.find("data"); data != body.end()) message.data = *data;
    return Message{std::move(message)};
}

Result<Message> error_from(std::int64_t id, const Json& body) {
    if (!body.is_object()) return Error{ErrorCode::kBadInput, "error is no object", kName};
    auto kind = text_at(body, "kind", kName);
    if (!kind) return kind.error();
    return Message{ErrorMessage{
        .id = id, .kind = std::move(*kind), .message = text_or(body, "message", "no message")}};
}

}  // namespace

Result<Message> parse_message(std::string_view line) {
    auto parsed = parse_json(line, kName, {.size_bytes_max = protocol::kLineBytesMax});
    if (!parsed) return parsed.error();
    Json& object = *parsed;
    if (!object.is_object()) return Error{ErrorCode::kBadInput, "not a JSON object", kName};
    if (const auto hello = object.find("hello"); hello != object.end()) return hello_from(*hello);
    if (const auto refused = object.find("refused"); refused != object.end()) {
        return refused_from(*refused);
    }
    if (object.contains("heartbeat")) {
        const auto number = integer_at(object, "heartbeat", kName);
        if (!number) return number.error();
        return Message{Heartbeat{.number = *number}};
    }
    const auto id = integer_at(object, "id", kName);
    if (!id) return id.error();
    if (const auto body = object.find("progress"); body != object.end()) {
        return progress_from(*id, *body);
    }
    if (const auto body = object.find("error"); body != object.end()) return error_from(*id, *body);
    const auto body = object.find("result");
    if (body == object.end()) {
        return Error{ErrorCode::kBadInput, "neither progress, result nor error", kName};
    }
    if (!body->is_object()) return Error{ErrorCode::kBadInput, "result is no object", kName};
    return Message{ResultMessage{.id = *id, .result = std::move(*body)}};
}

std::string request_line(std::int64_t id, std::string_view request, const Json& params,
                         Seconds deadline) {
    Json message;
    message["id"] = id;
    message["request"] = request;
    message["deadline_s"] = finite_or_null(deadline.count);
    message["params"] = params.is_null() ? Json::object() : params;
    // Text that is not UTF-8 is replaced, not thrown upon: the worker must still get its request.
    return message.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace ascertain::device
