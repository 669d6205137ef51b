// What a server answers to /completions, read without believing a word of it: lengths, token ids
// and numbers are checked before they count.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::endpoint {

using Tokens = std::vector<std::int64_t>;

// As likeliest token: the place has no score; it has one, but what the server likes best is not
// known.
inline constexpr std::int64_t kNotScored = -1;
inline constexpr std::int64_t kNotKnown = -2;

// What a server says of a given text.
struct PromptScores {
    std::vector<double> logprobs;         // of every token but the first, in nats
    std::vector<std::int64_t> likeliest;  // the token it would have put there
};

// What a server wrote.
struct Written {
    Tokens tokens;
    std::vector<double> logprobs;  // one for each token
};

// The choices of an answer, in the order of the prompts, `count` of them. Errors (all here:
// kDeviceUnavailable, what is wrong and where): not one JSON object, fewer or more choices, an
// index twice.
[[nodiscard]] Result<std::vector<Json>> choices_of(const std::string& body, std::size_t count);

// Reads `prompt_logprobs` (vLLM): a list with null for the first token, then for each token an
// object from token id to {logprob, rank}. Nothing when the server gives none. Errors: another
// number of tokens, a token that was asked about and is not there (another vocabulary), a
// log-probability that is not finite or above zero.
[[nodiscard]] Result<std::optional<PromptScores>> prompt_logprobs_of(const Json& choice,
                                                                     const Tokens& prompt);

// Reads `logprobs.token_logprobs` of an echoed prompt, whose first entry is null. Errors as above.
[[nodiscard]] Result<std::optional<PromptScores>> echoed_logprobs_of(const Json& choice,
                                                                     const Tokens& prompt);

// Reads what was written: ids from `token_ids`, from `logprobs.content[].id`, or from tokens spelt
// "token_id:7"; at most `limit` tokens below `vocab_size`. Errors: kUnsupported when the server
// gives no log-probabilities or no ids; kDeviceUnavailable for numbers that cannot be.
[[nodiscard]] Result<Written> written_of(const Json& choice, std::size_t limit,
                                         std::int64_t vocab_size);

}  // namespace ascertain::endpoint
