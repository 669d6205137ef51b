#include "measure/agents/message.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/json.hpp"
#include "measure/device/name.hpp"

namespace ascertain::agents {
namespace {

constexpr const char* kName = "agent message";
constexpr std::size_t kDevicesMax = 256;  // on one node
constexpr std::size_t kNameCharactersMax = 64;

using device::Ending;

constexpr std::array kEndings{
    std::pair{Ending::kResult, "result"},          std::pair{Ending::kError, "error"},
    std::pair{Ending::kTimedOut, "timed_out"},     std::pair{Ending::kCrashed, "crashed"},
    std::pair{Ending::kNotStarted, "not_started"},
};

const char* text_of(Ending ending) {
    for (const auto& [value, text] : kEndings) {
        if (value == ending) return text;
    }
    return "crashed";
}

Error wrong(std::string_view what) {
    return Error{ErrorCode::kBadInput, std::string(what), kName};
}

std::string dumped(const Json& message) {
    // Text that is not UTF-8 is replaced, not thrown upon.
    return message.dump(-1, ' ', false, Json::error_handler_t::replace);
}

// ---- writing ----

Json written(const AgentHello& hello) {
    return {{"hello",
             {{"protocol", hello.protocol},
              {"version", hello.version},
              {"node", hello.node},
              {"host", hello.host},
              {"instance", hello.instance},
              {"devices", hello.devices}}}};
}
Json written(const Beat& beat) {
    return {{"heartbeat", beat.number}};
}
Json written(const AgentProgress& message) {
    return {{"id", message.id},
            {"progress",
             {{"share", message.progress.share},
              {"text", message.progress.text},
              {"data", message.progress.data}}}};
}
Json written(const AgentReply& message) {
    const device::Reply& reply = message.reply;
    return {{"id", message.id},
            {"reply",
             {{"ending", text_of(reply.ending)},
              {"result", reply.result},
              {"error_kind", reply.error_kind},
              {"message", reply.message},
              {"duration_s", finite_or_null(reply.duration.count)},
              {"stderr", reply.stderr_text}}}};
}
Json written(const Leaving& leaving) {
    return {{"leaving", {{"reason", leaving.reason}}}};
}
Json written(const Welcome& /*welcome*/) {
    return {{"welcome", {{"protocol", kAgentProtocol}}}};
}
Json written(const NotWelcome& refused) {
    return {{"refused", {{"kind", refused.kind}, {"message", refused.message}}}};
}
Json written(const AgentAsk& ask) {
    return {{"id", ask.id},
            {"ask",
             {{"device", ask.device},
              {"worker", ask.worker},
              {"request", ask.order.request},
              {"params", ask.order.params},
              {"deadline_s", finite_or_null(ask.order.deadline.count)}}}};
}
Json written(const KillAll& /*kill*/) {
    return {{"kill_all", true}};
}
Json written(const Stop& /*stop*/) {
    return {{"stop", true}};
}

// ---- reading ----

Result<Json> object_in(std::string_view text) {
    auto parsed = parse_json(text, kName, {.size_bytes_max = kFrameBytesMax});
    if (parsed && !parsed->is_object()) return wrong("not a JSON object");
    return parsed;
}

Result<std::int64_t> id_of(const Json& object) {
    const auto id = integer_at(object, "id", kName);
    if (!id) return id.error();
    return std::int64_t{*id};
}

Result<AgentHello> read_hello(const Json& body) {
    if (!body.is_object()) return wrong("hello is no object");
    const auto protocol = integer_at(body, "protocol", kName);
    if (!protocol) return protocol.error();
    AgentHello hello;
    hello.protocol = static_cast<int>(std::clamp(*protocol, -1LL, 1'000'000LL));
    for (const auto& [key, place] :
         {std::pair{"version", &hello.version}, std::pair{"node", &hello.node},
          std::pair{"host", &hello.host}, std::pair{"instance", &hello.instance}}) {
        auto text = text_at(body, key, kName);
        if (!text) return text.error();
        *place = *std::move(text);
    }
    if (!good_node_name(hello.node)) return wrong("hello: no node is called that");
    const auto devices = body.find("devices");
    if (devices == body.end() || !devices->is_array() || devices->size() > kDevicesMax) {
        return wrong("hello: devices is no list of at most 256 names");
    }
    for (const Json& device : *devices) {
        if (!device.is_string()) return wrong("hello: a device is no text");
        const auto name = device::parse_name(device.get<std::string>());
        if (!name || !name->node.empty()) return wrong("hello: no device is called that");
        hello.devices.push_back(device.get<std::string>());
    }
    return hello;
}

Result<device::Progress> read_progress(const Json& body) {
    if (!body.is_object()) return wrong("progress is no object");
    const auto share = number_at(body, "share", kName);
    if (!share) return share.error();
    const auto text = text_at(body, "text", kName);
    if (!text) return text.error();
    device::Progress progress{std::clamp(*share, 0.0, 1.0), *text, {}};
    if (const auto data = body.find("data"); data != body.end()) progress.data = *data;
    return progress;
}

Result<device::Reply> read_reply(const Json& body) {
    if (!body.is_object()) return wrong("reply is no object");
    const auto ending = text_at(body, "ending", kName);
    if (!ending) return ending.error();
    const auto* known = std::find_if(kEndings.begin(), kEndings.end(),
                                     [&](const auto& row) { return row.second == *ending; });
    if (known == kEndings.end()) return wrong("reply: no ending is called that");
    device::Reply reply;
    reply.ending = known->first;
    for (const auto& [key, place] :
         {std::pair{"error_kind", &reply.error_kind}, std::pair{"message", &reply.message},
          std::pair{"stderr", &reply.stderr_text}}) {
        auto text = text_at(body, key, kName);
        if (!text) return text.error();
        *place = *std::move(text);
    }
    const auto duration = number_at(body, "duration_s", kName);
    if (!duration) return duration.error();
    reply.duration = {*duration};
    const auto result = body.find("result");
    const bool has_result = result != body.end() && result->is_object();
    if (reply.ending == Ending::kResult && !has_result) return wrong("reply: result is no object");
    if (has_result) reply.result = *result;
    return reply;
}

Result<AgentAsk> read_ask(const Json& object, const Json& body) {
    const auto id = id_of(object);
    if (!id) return id.error();
    if (!body.is_object()) return wrong("ask is no object");
    const auto device = text_at(body, "device", kName);
    if (!device) return device.error();
    const auto worker = integer_at(body, "worker", kName);
    if (!worker) return worker.error();
    if (*worker < 0 || *worker >= kWorkersPerDeviceMax) return wrong("ask: no such worker");
    const auto request = text_at(body, "request", kName);
    if (!request) return request.error();
    const auto deadline = number_at(body, "deadline_s", kName);
    if (!deadline) return deadline.error();
    const auto params = body.find("params");
    return AgentAsk{*id,
                    *device,
                    static_cast<int>(*worker),
                    {*request, params == body.end() ? Json::object() : *params, {*deadline}}};
}

}  // namespace

std::string frame(const FromAgent& message) {
    return std::visit([](const auto& one) { return dumped(written(one)); }, message);
}

std::string frame(const FromCoordinator& message) {
    return std::visit([](const auto& one) { return dumped(written(one)); }, message);
}

Result<FromAgent> parse_from_agent(std::string_view text) {
    const auto object = object_in(text);
    if (!object) return object.error();
    if (const auto body = object->find("hello"); body != object->end()) {
        auto hello = read_hello(*body);
        if (!hello) return hello.error();
        return FromAgent{*std::move(hello)};
    }
    if (object->contains("heartbeat")) {
        const auto number = integer_at(*object, "heartbeat", kName);
        if (!number) return number.error();
        return FromAgent{Beat{*number}};
    }
    if (const auto body = object->find("leaving"); body != object->end()) {
        if (!body->is_object()) return wrong("leaving is no object");
        auto reason = text_at(*body, "reason", kName);
        if (!reason) return reason.error();
        return FromAgent{Leaving{*std::move(reason)}};
    }
    const auto id = id_of(*object);
    if (!id) return id.error();
    if (const auto body = object->find("progress"); body != object->end()) {
        auto progress = read_progress(*body);
        if (!progress) return progress.error();
        return FromAgent{AgentProgress{*id, *std::move(progress)}};
    }
    const auto body = object->find("reply");
    if (body == object->end()) return wrong("neither progress nor reply");
    auto reply = read_reply(*body);
    if (!reply) return reply.error();
    return FromAgent{AgentReply{*id, *std::move(reply)}};
}

Result<FromCoordinator> parse_from_coordinator(std::string_view text) {
    const auto object = object_in(text);
    if (!object) return object.error();
    if (object->contains("welcome")) return FromCoordinator{Welcome{}};
    if (object->contains("kill_all")) return FromCoordinator{KillAll{}};
    if (object->contains("stop")) return FromCoordinator{Stop{}};
    if (object->contains("heartbeat")) return FromCoordinator{Beat{}};
    if (const auto body = object->find("refused"); body != object->end()) {
        if (!body->is_object()) return wrong("refused is no object");
        const auto kind = text_at(*body, "kind", kName);
        if (!kind) return kind.error();
        const auto message = text_at(*body, "message", kName);
        if (!message) return message.error();
        return FromCoordinator{NotWelcome{*kind, *message}};
    }
    const auto body = object->find("ask");
    if (body == object->end()) return wrong("no message is called that");
    auto ask = read_ask(*object, *body);
    if (!ask) return ask.error();
    return FromCoordinator{*std::move(ask)};
}

bool good_node_name(std::string_view name) {
    const auto good = [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '.' || c == '_' || c == '-';
    };
    return !name.empty() && name.size() <= kNameCharactersMax && std::ranges::all_of(name, good);
}

}  // namespace ascertain::agents
