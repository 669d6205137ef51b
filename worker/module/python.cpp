#include "worker/module/python.hpp"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>

#include <utility>

#include "worker/host/torch.hpp"

namespace ascertain::module {
namespace {

ErrorCode code_of(const std::string& kind) {
    if (kind == "unsupported") return ErrorCode::kUnsupported;
    if (kind == "out_of_memory") return ErrorCode::kEnvironment;
    if (kind == "device_error") return ErrorCode::kDeviceUnavailable;
    return ErrorCode::kBadInput;
}

struct Reply {
    std::vector<at::Tensor> tensors;
    Json facts;
};

Result<Reply> call(const char* action, const Json& params) {
    const auto op = c10::Dispatcher::singleton().findSchema({"ascertain_module::call", ""});
    if (!op) {
        return Error{ErrorCode::kUnsupported,
                     "this worker holds no module of the user's: it needs the Python host, started "
                     "with --module FILE.py:FUNCTION",
                     "module"};
    }
    std::vector<c10::IValue> stack = {std::string(action), params.dump()};
    op->callBoxed(&stack);
    Reply reply{stack.at(0).toTensorVector(), {}};
    auto facts = parse_json(stack.at(1).toStringRef(), "module");
    if (!facts) return facts.error();
    reply.facts = *std::move(facts);
    if (!reply.facts.contains("error")) return reply;
    const Json& error = reply.facts["error"];
    return Error{code_of(error.value("kind", "")), error.value("message", ""), ""};
}

}  // namespace

Result<Json> prepare(const std::string& how, const std::string& device, std::uint64_t seed,
                     int replica) {
    auto reply =
        call("prepare", {{"how", how}, {"device", device}, {"seed", seed}, {"replica", replica}});
    if (!reply) return reply.error();
    return std::move(reply->facts);
}

Result<Values> run() {
    auto reply = call("run", Json::object());
    if (!reply) return reply.error();
    Values values;
    values.tensors = std::move(reply->tensors);
    for (std::size_t i = 0; i < values.tensors.size(); ++i) {
        values.names.push_back(reply->facts.at("names").at(i));
        if (reply->facts.at("absent").at(i) == true) values.tensors[i] = at::Tensor();
    }
    values.facts = std::move(reply->facts);
    return values;
}

Result<Json> bypassed() {
    auto reply = call("bypassed", Json::object());
    if (!reply) return reply.error();
    return reply->facts.at("bypassed");
}

}  // namespace ascertain::module
