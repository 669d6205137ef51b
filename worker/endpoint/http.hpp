// HTTP with limits: what a server sends is read to a bound, within a time, and a passing failure is
// tried again.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::endpoint {

struct HttpLimits {
    double connect_s = 10.0;
    double answer_s = 120.0;  // for one answer, whole
    int attempts = 4;         // of what may pass: no connection, 408, 429, 5xx, an answer cut short
    double backoff_s = 0.5;   // before the second attempt; doubled before each further one
    std::size_t body_bytes_max = std::size_t{64} << 20;
};

struct HttpAnswer {
    long status = 0;
    std::string body;
};

// The first of ASCERTAIN_API_KEY and OPENAI_API_KEY that is set; "" when none is.
[[nodiscard]] std::string key_from_environment();

class Http {
public:
    // `key`: sent as a bearer token; "" for none. It appears in no message.
    Http(std::string address, std::string key, const HttpLimits& limits);
    Http(const Http&) = delete;
    Http& operator=(const Http&) = delete;
    ~Http();

    // POSTs `body` as JSON to address + path, or GETs it where `body` is null. Any status is an
    // answer, except that those which may pass are tried again first. Errors: kDeviceUnavailable,
    // with what went wrong and how often it was tried. After a failure the next question is put
    // once: a server that is down need not be waited for each time.
    [[nodiscard]] Result<HttpAnswer> ask(const std::string& path, const Json& body);

private:
    struct Attempt;
    Attempt try_once(const std::string& url, const std::string* body);

    std::string address_;
    std::string key_;
    HttpLimits limits_;
    void* handle_ = nullptr;  // of libcurl
    bool failed_before_ = false;
};

}  // namespace ascertain::endpoint
