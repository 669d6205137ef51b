// A server as the requests see it: its name, the way in which it gives log-probabilities, scores of
// texts and texts it writes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "worker/endpoint/completion.hpp"
#include "worker/endpoint/http.hpp"

namespace ascertain::endpoint {

// How a server gives log-probabilities of a text that it is handed.
enum class Scoring {
    kPromptLogprobs,  // vLLM: `prompt_logprobs`
    kEcho,            // the older interface: `echo` with `logprobs`
    kNone,            // only of what it writes itself
};

struct WriteOptions {
    std::size_t new_tokens = 0;
    bool greedy = false;
    std::uint64_t seed = 0;
    std::int64_t vocab_size = 0;
};

class Server {
public:
    Server(const std::string& address, std::string key, const HttpLimits& limits)
        : address_(address), http_(address, std::move(key), limits) {}

    // Reads /models. Errors: kDeviceUnavailable when nothing sensible answers.
    [[nodiscard]] Result<void> meet();

    [[nodiscard]] const std::string& address() const { return address_; }
    [[nodiscard]] const std::string& model() const { return model_; }
    // Tokens that the server takes, text and answer together; nothing when it does not say.
    [[nodiscard]] std::optional<std::int64_t> length_max() const { return length_max_; }
    // "0.32.0" of a server that tells; else "".
    [[nodiscard]] const std::string& version() const { return version_; }

    // Found out with the first text it is asked about.
    [[nodiscard]] Result<Scoring> scoring(const Tokens& text);
    // `texts` in one request, all under the scoring that was found (not kNone).
    [[nodiscard]] Result<std::vector<PromptScores>> score(const std::vector<Tokens>& texts);
    // What it writes after each of `prompts`, in one request.
    [[nodiscard]] Result<std::vector<Written>> write(const std::vector<Tokens>& prompts,
                                                     const WriteOptions& options);

private:
    Result<std::vector<Json>> complete(const std::vector<Tokens>& prompts, const Json& members);
    Result<std::optional<std::vector<PromptScores>>> score_by(Scoring scoring,
                                                              const std::vector<Tokens>& texts);

    std::string address_;
    Http http_;
    std::string model_{};
    std::string version_{};
    std::optional<std::int64_t> length_max_{};
    std::optional<Scoring> scoring_{};
};

}  // namespace ascertain::endpoint
