#include "worker/endpoint/http.hpp"

#include <curl/curl.h>
#include <fmt/format.h>

#include <chrono>
#include <cstdlib>
#include <string_view>
#include <thread>
#include <utility>

namespace ascertain::endpoint {
namespace {

struct Sink {
    std::string body;
    std::size_t limit = 0;
    bool overflowed = false;
};

std::size_t take(char* bytes, std::size_t size, std::size_t count, void* sink) {
    auto* into = static_cast<Sink*>(sink);
    if (into->body.size() + size * count > into->limit) {
        into->overflowed = true;
        return 0;
    }
    into->body.append(bytes, size * count);
    return size * count;
}

bool may_pass(long status) {
    return status == 408 || status == 429 || status >= 500;
}

bool is_loopback(std::string_view address) {
    const std::string_view host = address.substr(address.find("://") + 3);
    return host.starts_with("127.") || host.starts_with("localhost") || host.starts_with("[::1]");
}

Error unavailable(std::string message, const std::string& url) {
    return {ErrorCode::kDeviceUnavailable, std::move(message), url};
}

}  // namespace

std::string key_from_environment() {
    for (const char* name : {"ASCERTAIN_API_KEY", "OPENAI_API_KEY"}) {
        const char* value = std::getenv(name);
        if (value != nullptr && *value != '\0') return value;
    }
    return "";
}

struct Http::Attempt {
    HttpAnswer answer{};
    std::string failed{};  // empty: the answer is there
    bool again = false;    // another attempt may do better
};

Http::Http(std::string address, std::string key, const HttpLimits& limits)
    : address_(std::move(address)), key_(std::move(key)), limits_(limits) {
    handle_ = ::curl_easy_init();
}

Http::~Http() {
    if (handle_ != nullptr) ::curl_easy_cleanup(handle_);
}

Http::Attempt Http::try_once(const std::string& url, const std::string* body) {
    Attempt attempt;
    CURL* curl = handle_;
    if (curl == nullptr) return {.failed = "libcurl could not be started"};
    ::curl_easy_reset(curl);
    Sink sink{.body = {}, .limit = limits_.body_bytes_max};
    curl_slist* headers = ::curl_slist_append(nullptr, "Content-Type: application/json");
    if (!key_.empty()) {
        headers = ::curl_slist_append(headers, ("Authorization: Bearer " + key_).c_str());
    }
    const auto milliseconds = [](double seconds) { return static_cast<long>(seconds * 1000.0); };
    ::curl_easy_setopt(curl, CURLOPT_URL, url.c_str());
    ::curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    ::curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);  // a key goes where it was sent
    ::curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    ::curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(limits_.connect_s));
    ::curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, milliseconds(limits_.answer_s));
    ::curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    ::curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
    ::curl_easy_setopt(curl, CURLOPT_WRITEDATA, &sink);
    if (is_loopback(url)) ::curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    if (body != nullptr) {
        ::curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE,
                           static_cast<curl_off_t>(body->size()));
        ::curl_easy_setopt(curl, CURLOPT_POSTFIELDS, body->c_str());
    }
    const CURLcode code = ::curl_easy_perform(curl);
    ::curl_slist_free_all(headers);
    ::curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &attempt.answer.status);
    if (sink.overflowed) {
        attempt.failed = fmt::format("it sent more than {} MB", limits_.body_bytes_max / 1'000'000);
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        attempt.failed = fmt::format("no whole answer within {} s", limits_.answer_s);
        attempt.again = true;
    } else if (code != CURLE_OK) {
        attempt.failed = ::curl_easy_strerror(code);
        attempt.again = code == CURLE_COULDNT_CONNECT || code == CURLE_GOT_NOTHING ||
                        code == CURLE_PARTIAL_FILE || code == CURLE_RECV_ERROR ||
                        code == CURLE_SEND_ERROR || code == CURLE_COULDNT_RESOLVE_HOST;
    } else if (may_pass(attempt.answer.status)) {
        attempt.again = true;
    }
    attempt.answer.body = std::move(sink.body);
    return attempt;
}

Result<HttpAnswer> Http::ask(const std::string& path, const Json& body) {
    const std::string url = address_ + path;
    const std::string text = body.is_null() ? "" : body.dump();
    const int attempts = failed_before_ ? 1 : limits_.attempts;
    double wait_s = limits_.backoff_s;
    for (int number = 1;; ++number) {
        Attempt attempt = try_once(url, body.is_null() ? nullptr : &text);
        const bool last = number >= attempts || !attempt.again;
        if (last) failed_before_ = !attempt.failed.empty() || attempt.again;
        if (attempt.failed.empty() && last) return std::move(attempt.answer);
        if (last) {
            return unavailable(fmt::format("{} (tried {} {})", attempt.failed, number,
                                           number == 1 ? "time" : "times"),
                               url);
        }
        std::this_thread::sleep_for(std::chrono::duration<double>(wait_s));
        wait_s *= 2.0;
    }
}

}  // namespace ascertain::endpoint
