#include "worker/endpoint/completion.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cmath>

#include "base/text.hpp"

namespace ascertain::endpoint {
namespace {

// Rounding may lift the log of a probability of one a little above zero.
constexpr double kLogprobMax = 1e-3;

Error wrong(std::string what) {
    return {ErrorCode::kDeviceUnavailable, "the server's answer " + std::move(what), ""};
}

const Json* member(const Json& object, const char* key) {
    if (!object.is_object()) return nullptr;
    const auto found = object.find(key);
    return found == object.end() || found->is_null() ? nullptr : &*found;
}

Result<double> logprob_of(const Json& value, std::size_t place) {
    const double number = value.is_number() ? value.get<double>() : std::nan("");
    if (!std::isfinite(number)) {
        return wrong(fmt::format("has no finite log-probability for token {}", place));
    }
    if (number > kLogprobMax) {
        return wrong(fmt::format("says {:.4g} for token {}: no log-probability is above zero",
                                 number, place));
    }
    return number;
}

// "17" or "token_id:17".
std::optional<std::int64_t> id_in(std::string_view text) {
    constexpr std::string_view kPrefix = "token_id:";
    if (text.starts_with(kPrefix)) text.remove_prefix(kPrefix.size());
    std::int64_t id = -1;
    const auto read = std::from_chars(text.data(), text.data() + text.size(), id);
    const bool whole = read.ec == std::errc{} && read.ptr == text.data() + text.size();
    return whole && id >= 0 ? std::optional(id) : std::nullopt;
}

// The entry of the likeliest token of one place, and of the token that stands there.
struct Place {
    double logprob = 0.0;
    std::int64_t likeliest = kNotKnown;
};

Result<Place> place_of(const Json& entries, std::int64_t token, std::size_t number) {
    const std::string key = std::to_string(token);
    if (!entries.is_object() || !entries.contains(key)) {
        return wrong(
            fmt::format("says nothing of token {} at place {}: another vocabulary or another text?",
                        token, number));
    }
    Place place;
    double best = -HUGE_VAL;
    for (const auto& entry : entries.items()) {
        const Json* value = member(entry.value(), "logprob");
        const auto number_there = logprob_of(value == nullptr ? Json() : *value, number);
        if (!number_there) return number_there.error();
        const auto id = id_in(entry.key());
        if (!id) return wrong(fmt::format("names a token \"{}\"", shortened(entry.key(), 40)));
        if (*id == token) place.logprob = *number_there;
        if (*number_there > best) {
            best = *number_there;
            place.likeliest = *id;
        }
    }
    // With one entry nothing is known of other tokens, unless the server ranks it first.
    const Json* rank = member(entries[key], "rank");
    const bool first = rank != nullptr && rank->is_number_integer() && *rank == 1;
    if (entries.size() == 1 && !first) place.likeliest = kNotKnown;
    return place;
}

Result<Tokens> ids_of(const Json& choice, const Json& logprobs, std::size_t count) {
    Tokens ids;
    const Json* listed = member(choice, "token_ids");
    const Json* content = member(logprobs, "content");
    const Json* spelt = member(logprobs, "tokens");
    const Json* source = listed != nullptr ? listed : content != nullptr ? content : spelt;
    if (source == nullptr || !source->is_array() || source->size() != count) {
        return wrong(fmt::format("has {} log-probabilities and {} tokens", count,
                                 source != nullptr && source->is_array() ? source->size() : 0));
    }
    for (const Json& entry : *source) {
        const Json* id = entry.is_object() ? member(entry, "id") : &entry;
        std::optional<std::int64_t> number;
        if (id != nullptr && id->is_number_integer()) number = id->get<std::int64_t>();
        if (id != nullptr && id->is_string()) number = id_in(id->get<std::string>());
        if (!number) {
            return Error{ErrorCode::kUnsupported,
                         "the server does not say which tokens it wrote: it knows neither "
                         "return_token_ids nor return_tokens_as_token_ids",
                         ""};
        }
        ids.push_back(*number);
    }
    return ids;
}

}  // namespace

Result<std::vector<Json>> choices_of(const std::string& body, std::size_t count) {
    auto document = parse_json(body, "answer");
    if (!document) {
        return wrong("is not the JSON of a completion: " + shortened(document.error().text(), 200));
    }
    const Json* choices = member(*document, "choices");
    if (choices == nullptr || !choices->is_array()) return wrong("has no choices");
    if (choices->size() != count) {
        return wrong(fmt::format("has {} choices, asked for {}", choices->size(), count));
    }
    std::vector<Json> ordered(count);
    for (std::size_t i = 0; i < count; ++i) {
        const Json& choice = (*choices)[i];
        const Json* index = member(choice, "index");
        std::size_t place = i;
        if (index != nullptr && index->is_number_unsigned()) place = index->get<std::size_t>();
        if (!choice.is_object() || place >= count || !ordered[place].is_null()) {
            return wrong(fmt::format("numbers its choices wrongly, at {}", i));
        }
        ordered[place] = choice;
    }
    return ordered;
}

Result<std::optional<PromptScores>> prompt_logprobs_of(const Json& choice, const Tokens& prompt) {
    const Json* places = member(choice, "prompt_logprobs");
    if (places == nullptr) return std::optional<PromptScores>();
    if (!places->is_array() || places->size() != prompt.size()) {
        return wrong(fmt::format("scores {} tokens of a text of {}",
                                 places->is_array() ? places->size() : 0, prompt.size()));
    }
    PromptScores scores;
    for (std::size_t i = 1; i < prompt.size(); ++i) {
        const auto place = place_of((*places)[i], prompt[i], i);
        if (!place) return place.error();
        scores.logprobs.push_back(place->logprob);
        scores.likeliest.push_back(place->likeliest);
    }
    return std::optional(std::move(scores));
}

Result<std::optional<PromptScores>> echoed_logprobs_of(const Json& choice, const Tokens& prompt) {
    const Json* logprobs = member(choice, "logprobs");
    const Json* numbers = logprobs == nullptr ? nullptr : member(*logprobs, "token_logprobs");
    if (numbers == nullptr || !numbers->is_array() || numbers->empty()) {
        return std::optional<PromptScores>();
    }
    // Without an echo the first number is that of a written token.
    if (!(*numbers)[0].is_null()) return std::optional<PromptScores>();
    if (numbers->size() < prompt.size()) {
        return wrong(
            fmt::format("scores {} tokens of a text of {}", numbers->size(), prompt.size()));
    }
    PromptScores scores;
    for (std::size_t i = 1; i < prompt.size(); ++i) {
        const auto number = logprob_of((*numbers)[i], i);
        if (!number) return number.error();
        scores.logprobs.push_back(*number);
        scores.likeliest.push_back(kNotKnown);
    }
    return std::optional(std::move(scores));
}

Result<Written> written_of(const Json& choice, std::size_t limit, std::int64_t vocab_size) {
    const Json* logprobs = member(choice, "logprobs");
    const Json* numbers = logprobs == nullptr ? nullptr : member(*logprobs, "token_logprobs");
    const Json* content = logprobs == nullptr ? nullptr : member(*logprobs, "content");
    const Json* list = numbers != nullptr ? numbers : content;
    if (list == nullptr || !list->is_array()) {
        return Error{ErrorCode::kUnsupported,
                     "the server gives no log-probabilities of what it writes", ""};
    }
    if (list->size() > limit) {
        return wrong(fmt::format("holds {} written tokens, asked for {}", list->size(), limit));
    }
    if (list->empty()) return wrong("holds not one written token");
    Written written;
    for (std::size_t i = 0; i < list->size(); ++i) {
        const Json& entry = (*list)[i];
        const Json* value = entry.is_object() ? member(entry, "logprob") : &entry;
        const auto number = logprob_of(value == nullptr ? Json() : *value, i);
        if (!number) return number.error();
        written.logprobs.push_back(*number);
    }
    auto ids = ids_of(choice, *logprobs, list->size());
    if (!ids) return ids.error();
    written.tokens = *std::move(ids);
    for (const std::int64_t id : written.tokens) {
        if (id < 0 || id >= vocab_size) {
            return wrong(
                fmt::format("holds token {}, beyond the vocabulary of {} of the config: "
                            "another vocabulary?",
                            id, vocab_size));
        }
    }
    return written;
}

}  // namespace ascertain::endpoint
