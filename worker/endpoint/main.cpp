// ascertain-endpoint: a worker whose device is a server. `--device` is its address.
#include <curl/curl.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>
#include <utility>

#include "base/protocol.hpp"
#include "worker/endpoint/requests.hpp"
#include "worker/host/channel.hpp"
#include "worker/host/loop.hpp"

namespace {

using namespace ascertain;

constexpr int kExitUsage = 64;
constexpr const char* kUsage =
    "usage: ASCERTAIN_WORKER_FD=N ascertain-endpoint --device http://HOST:PORT/v1\n"
    "Serves the worker protocol (docs/protocol.md) on the inherited descriptor N.\n";

// Seconds for one answer, where the user's server needs more or less than usual.
constexpr const char* kTimeoutVariable = "ASCERTAIN_ENDPOINT_TIMEOUT_S";

template <typename Number>
bool read_number(const char* text, Number& number) {
    if (text == nullptr) return false;
    const char* end = text + std::strlen(text);
    const auto read = std::from_chars(text, end, number);
    return read.ec == std::errc() && read.ptr == end;
}

int serve(worker::Channel& channel, const std::string& device) {
    endpoint::HttpLimits limits;
    if (double seconds = 0.0; read_number(std::getenv(kTimeoutVariable), seconds) && seconds > 0) {
        limits.answer_s = seconds;
    }
    endpoint::Server server(device, endpoint::key_from_environment(), limits);
    const auto met = server.meet();
    if (!met) return worker::refuse(channel, "device", met.error().text());
    const Json hello{{"protocol", protocol::kVersion},
                     {"torch", ""},
                     {"torch_built", "0.0"},
                     {"host", "endpoint"},
                     {"device", device},
                     {"pid", static_cast<std::int64_t>(::getpid())}};
    if (!channel.send({{"hello", hello}})) return worker::kExitStopped;
    worker::ReportProgress progress;
    return worker::answer_requests(
        channel, [&](worker::ReportProgress report) { progress = std::move(report); },
        [&](const std::string& request, const Json& params) -> Result<Json> {
            try {
                return endpoint::answer(server, progress, request, params);
            } catch (const std::exception& problem) {
                return Error{ErrorCode::kInternal, problem.what(), "endpoint"};
            }
        });
}

}  // namespace

int main(int count, char** values) {
    int descriptor = -1;
    const bool called_right = count == 3 && std::strcmp(values[1], "--device") == 0 &&
                              read_number(std::getenv(protocol::kDescriptorVariable), descriptor);
    if (!called_right || descriptor < 0) {
        std::fputs(kUsage, stderr);
        return kExitUsage;
    }
    ::curl_global_init(CURL_GLOBAL_DEFAULT);
    worker::Channel channel(descriptor);
    return serve(channel, values[2]);
}
