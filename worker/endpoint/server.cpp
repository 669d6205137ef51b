#include "worker/endpoint/server.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "base/text.hpp"

namespace ascertain::endpoint {
namespace {

constexpr const char* kCompletions = "/completions";
constexpr std::size_t kMessageBytesMax = 300;

// What a server says is wrong, in its own words where it has any.
Error refused(const HttpAnswer& answer, const std::string& url) {
    std::string said = answer.body;
    const auto document = parse_json(answer.body, "answer");
    if (document && document->is_object()) {
        const Json error = document->value("error", *document);
        if (error.is_object() && error.contains("message") && error["message"].is_string()) {
            said = error["message"].get<std::string>();
        }
    }
    const bool key = answer.status == 401 || answer.status == 403;
    std::string message =
        fmt::format("the server answers {}: {}", answer.status, shortened(said, kMessageBytesMax));
    if (key) message += "; set ASCERTAIN_API_KEY to its key";
    return {ErrorCode::kDeviceUnavailable, std::move(message), url};
}

bool is_refusal_of_a_member(const HttpAnswer& answer, const Error& error) {
    // A token that the server has not is no member that it does not know.
    if (error.message.find("vocab") != std::string::npos) return false;
    return answer.status == 400 || answer.status == 404 || answer.status == 422 ||
           answer.status == 501;
}

// Sampling from the model's own distribution: whatever a server or its generation_config would add.
Json plain_sampling(bool greedy) {
    return {{"temperature", greedy ? 0.0 : 1.0},
            {"top_p", 1.0},
            {"top_k", -1},
            {"min_p", 0.0},
            {"presence_penalty", 0.0},
            {"frequency_penalty", 0.0},
            {"repetition_penalty", 1.0}};
}

// The address without the last part of its path: /version stands beside /v1.
std::string beside(const std::string& address) {
    constexpr std::string_view kV1 = "/v1";
    return address.ends_with(kV1) ? address.substr(0, address.size() - kV1.size()) : address;
}

}  // namespace

Result<void> Server::meet() {
    const auto answer = http_.ask("/models", Json());
    if (!answer) return answer.error();
    const std::string url = address_ + "/models";
    if (answer->status != 200) return refused(*answer, url);
    const auto document = parse_json(answer->body, "answer");
    const bool listed = document && document->is_object() && document->contains("data") &&
                        (*document)["data"].is_array() && !(*document)["data"].empty();
    const Json first = listed ? (*document)["data"][0] : Json();
    if (!first.is_object() || !first.contains("id") || !first["id"].is_string()) {
        return Error{ErrorCode::kDeviceUnavailable,
                     "does not list a model as an OpenAI-compatible server does: is this its /v1?",
                     url};
    }
    model_ = first["id"].get<std::string>();
    const auto length = first.find("max_model_len");
    if (length != first.end() && length->is_number_integer() && length->get<std::int64_t>() > 0) {
        length_max_ = length->get<std::int64_t>();
    }
    Http plain(beside(address_), "", {.answer_s = 5.0, .attempts = 1});
    const auto version = plain.ask("/version", Json());
    if (version && version->status == 200) {
        const auto said = parse_json(version->body, "answer");
        if (said && said->is_object() && said->contains("version") &&
            (*said)["version"].is_string()) {
            version_ = shortened((*said)["version"].get<std::string>(), 60);
        }
    }
    return {};
}

Result<std::vector<Json>> Server::complete(const std::vector<Tokens>& prompts,
                                           const Json& members) {
    Json body{{"model", model_}, {"prompt", prompts}};
    body.update(members);
    const auto answer = http_.ask(kCompletions, body);
    if (!answer) return answer.error();
    if (answer->status != 200) {
        Error error = refused(*answer, address_ + kCompletions);
        if (is_refusal_of_a_member(*answer, error)) error.code = ErrorCode::kUnsupported;
        return error;
    }
    auto choices = choices_of(answer->body, prompts.size());
    if (!choices) return Error{choices.error().code, choices.error().message, address_};
    return choices;
}

Result<std::optional<std::vector<PromptScores>>> Server::score_by(
    Scoring scoring, const std::vector<Tokens>& texts) {
    const bool echo = scoring == Scoring::kEcho;
    Json members = plain_sampling(true);
    members["max_tokens"] = 1;
    if (echo) {
        members["echo"] = true;
        members["logprobs"] = 1;
    } else {
        members["prompt_logprobs"] = 1;
    }
    const auto choices = complete(texts, members);
    if (!choices) return choices.error();
    std::vector<PromptScores> all;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto read = echo ? echoed_logprobs_of((*choices)[i], texts[i])
                               : prompt_logprobs_of((*choices)[i], texts[i]);
        if (!read) return Error{read.error().code, read.error().message, address_};
        if (!*read) return std::optional<std::vector<PromptScores>>();
        all.push_back(**read);
    }
    return std::optional(std::move(all));
}

Result<Scoring> Server::scoring(const Tokens& text) {
    if (scoring_) return *scoring_;
    for (const Scoring candidate : {Scoring::kPromptLogprobs, Scoring::kEcho}) {
        const auto read = score_by(candidate, {text});
        // A server that refuses the member does not know it; one that errs in another way is wrong.
        if (!read && read.error().code != ErrorCode::kUnsupported) return read.error();
        if (!read || !*read) continue;
        scoring_ = candidate;
        return candidate;
    }
    scoring_ = Scoring::kNone;
    return Scoring::kNone;
}

Result<std::vector<PromptScores>> Server::score(const std::vector<Tokens>& texts) {
    const auto read = score_by(scoring_.value_or(Scoring::kPromptLogprobs), texts);
    if (!read) return read.error();
    if (!*read) {
        return Error{ErrorCode::kDeviceUnavailable,
                     "the server scored a first text and gives no log-probabilities of this one",
                     address_};
    }
    return **read;
}

Result<std::vector<Written>> Server::write(const std::vector<Tokens>& prompts,
                                           const WriteOptions& options) {
    Json members = plain_sampling(options.greedy);
    members["max_tokens"] = options.new_tokens;
    members["logprobs"] = 1;
    members["seed"] = options.seed & 0x7fffffffU;
    members["ignore_eos"] = true;
    members["return_token_ids"] = true;
    members["return_tokens_as_token_ids"] = true;
    const auto choices = complete(prompts, members);
    if (!choices) return choices.error();
    std::vector<Written> all;
    for (const Json& choice : *choices) {
        auto written = written_of(choice, options.new_tokens, options.vocab_size);
        if (!written) return Error{written.error().code, written.error().message, address_};
        all.push_back(*std::move(written));
    }
    return all;
}

}  // namespace ascertain::endpoint
