#include "worker/endpoint/requests.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/observation.hpp"
#include "base/random.hpp"
#include "model/config.hpp"
#include "model/text.hpp"

namespace ascertain::endpoint {
namespace {

// Texts in one HTTP request: enough for a server to batch, few enough for its answer to be read.
constexpr std::size_t kTextsPerRequest = 32;
// Texts that are also asked about one by one: what a batch changes shows in a few.
constexpr std::size_t kTextsAlone = 8;
constexpr const char* kNoWeights = "a server does not show its weights";

Result<std::int64_t> vocabulary_of(const Json& params) {
    const Json weights = params.value("weights", Json());
    const std::string folder = weights.is_object() ? weights.value("folder", "") : "";
    if (folder.empty()) {
        return Error{ErrorCode::kBadInput,
                     "an endpoint serves published weights: name their folder with --from",
                     "params: weights"};
    }
    const std::string path = (std::filesystem::path(folder) / "config.json").string();
    std::ifstream file(path, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
    if (!file) return Error{ErrorCode::kBadInput, "cannot be read", path};
    const auto architecture = model::read_config(text, path);
    if (!architecture) return architecture.error();
    return architecture->vocab_size;
}

constexpr std::size_t kTokensMax = std::size_t{1} << 20;

Result<std::vector<Tokens>> given_texts(const Json& lists, std::int64_t vocab_size) {
    const Error wrong{
        ErrorCode::kBadInput,
        fmt::format("is no list of equally long lists of two or more tokens, each below "
                    "the vocabulary of {}",
                    vocab_size),
        "params: tokens"};
    if (!lists.is_array() || lists.empty() || !lists.front().is_array()) return wrong;
    const std::size_t length = lists.front().size();
    if (length < 2 || lists.size() > kTokensMax / length) return wrong;
    std::vector<Tokens> texts;
    for (const Json& list : lists) {
        if (!list.is_array() || list.size() != length) return wrong;
        Tokens& text = texts.emplace_back();
        for (const Json& token : list) {
            if (!token.is_number_integer()) return wrong;
            text.push_back(token.get<std::int64_t>());
            if (text.back() < 0 || text.back() >= vocab_size) return wrong;
        }
    }
    return texts;
}

Result<std::vector<Tokens>> texts_of(const Json& params, std::int64_t vocab_size) {
    if (params.contains("tokens")) return given_texts(params["tokens"], vocab_size);
    const Json text = params.value("text", Json());
    const auto rows = integer_at(text, "rows", "params: text");
    if (!rows) return rows.error();
    const auto length = integer_at(text, "length", "params: text");
    if (!length) return length.error();
    const auto seed = integer_at(text, "seed", "params: text");
    if (!seed) return seed.error();
    if (*rows < 1 || *length < 2 || *rows > (1 << 20) / *length || *seed < 0) {
        return Error{ErrorCode::kBadInput, "asks for no texts or too many", "params: text"};
    }
    return model::unpredictable_text(*rows, *length, vocab_size, static_cast<std::uint64_t>(*seed));
}

// The hidden control: what the server said, changed. Docs: docs/protocol.md#tamper; of a server
// only scaling is asked.
Result<double> scale_of(const Json& params) {
    const Json tamper = params.value("tamper", Json());
    if (tamper.is_null()) return 1.0;
    if (tamper.value("kind", "") != "scale") {
        return Error{ErrorCode::kBadInput, "an endpoint's answers can only be scaled",
                     "params: tamper"};
    }
    return 1.0 + tamper.value("amount", 0.0);
}

struct Rows {
    Json logprobs = Json::array();
    Json likeliest = Json::array();

    void add(const PromptScores& scores, double scale) {
        Json numbers = Json::array();
        for (const double number : scores.logprobs) numbers.push_back(number * scale);
        logprobs.push_back(std::move(numbers));
        likeliest.push_back(scores.likeliest);
    }
    void add_unscored(std::size_t places) {
        logprobs.push_back(Json(places, Json()));
        likeliest.push_back(Json(places, Json(kNotScored)));
    }
    [[nodiscard]] Json document() const {
        return {{"logprobs", logprobs}, {"likeliest", likeliest}};
    }
};

Json observation_of(std::size_t tokens) {
    const Observation observation{{"tokens", static_cast<double>(tokens), "count", 1, {}, {}, ""},
                                  // Whatever is not finite has ended the request before.
                                  {"nonfinite_logprobs", 0.0, "count", 1, {}, {}, ""}};
    return ascertain::to_json(observation);
}

Json answer_of(std::size_t tokens) {
    return {{"observation", observation_of(tokens)},
            {"weights_hash", nullptr},
            {"weights_hash_reason", kNoWeights},
            {"quantisation", ""}};
}

template <typename Each>
Result<void> in_parts(const std::vector<Tokens>& texts, std::size_t part_size,
                      const worker::ReportProgress& progress, const char* doing, Each each) {
    for (std::size_t start = 0; start < texts.size(); start += part_size) {
        const std::size_t end = std::min(texts.size(), start + part_size);
        const std::vector<Tokens> part(texts.begin() + static_cast<std::ptrdiff_t>(start),
                                       texts.begin() + static_cast<std::ptrdiff_t>(end));
        const Result<void> done = each(part);
        if (!done) return done.error();
        progress(static_cast<double>(end) / static_cast<double>(texts.size()), doing, Json());
    }
    return {};
}

// Scores of texts that the server writes itself, where it scores no other: the first half of each
// is given. The answer's tokens are then those that were written.
Result<Json> scores_of_own_texts(Server& server, const worker::ReportProgress& progress,
                                 const std::vector<Tokens>& texts, const WriteOptions& options,
                                 double scale) {
    std::vector<Tokens> prompts;
    const std::size_t given = texts.front().size() / 2;
    for (const Tokens& text : texts) {
        prompts.emplace_back(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(given));
    }
    Json tokens = Json::array();
    Rows rows;
    std::size_t next = 0;
    const auto done = in_parts(
        prompts, kTextsPerRequest, progress, "written", [&](const auto& part) -> Result<void> {
            const auto written = server.write(part, options);
            if (!written) return written.error();
            for (const Written& own : *written) {
                Tokens whole = prompts[next++];
                PromptScores scores;
                scores.logprobs.assign(given - 1, std::nan(""));
                scores.likeliest.assign(given - 1, kNotScored);
                for (std::size_t i = 0; i < own.tokens.size(); ++i) {
                    whole.push_back(own.tokens[i]);
                    scores.logprobs.push_back(own.logprobs[i]);
                    scores.likeliest.push_back(kNotKnown);
                }
                if (whole.size() != texts.front().size()) {
                    return Error{ErrorCode::kDeviceUnavailable,
                                 fmt::format("the server wrote {} tokens, asked for {}",
                                             own.tokens.size(), options.new_tokens),
                                 server.address()};
                }
                tokens.push_back(whole);
                rows.add(scores, scale);
            }
            return {};
        });
    if (!done) return done.error();
    Json answer = answer_of(texts.size() * texts.front().size());
    for (Json& row : rows.logprobs) {
        for (Json& number : row) {
            if (!std::isfinite(number.get<double>())) number = nullptr;
        }
    }
    answer["scores"] = {{"whole", rows.document()}};
    answer["tokens"] = std::move(tokens);
    answer["scored_by"] = "generation";
    return answer;
}

Result<Json> logprobs(Server& server, const worker::ReportProgress& progress, const Json& params) {
    const auto vocab_size = vocabulary_of(params);
    if (!vocab_size) return vocab_size.error();
    const auto texts = texts_of(params, *vocab_size);
    if (!texts) return texts.error();
    const auto scale = scale_of(params);
    if (!scale) return scale.error();
    const auto scoring = server.scoring(texts->front());
    if (!scoring) return scoring.error();
    if (*scoring == Scoring::kNone && params.contains("tokens")) {
        return Error{ErrorCode::kUnsupported,
                     "the server scores no text that it is handed: neither prompt_logprobs nor "
                     "echo brought log-probabilities",
                     server.address()};
    }
    if (*scoring == Scoring::kNone) {
        const std::size_t given = texts->front().size() / 2;
        const WriteOptions options{.new_tokens = texts->front().size() - given,
                                   .greedy = false,
                                   .seed = params["text"]["seed"].get<std::uint64_t>(),
                                   .vocab_size = *vocab_size};
        return scores_of_own_texts(server, progress, *texts, options, *scale);
    }
    Rows whole;
    auto done = in_parts(*texts, kTextsPerRequest, progress, "scored in a batch",
                         [&](const auto& part) -> Result<void> {
                             const auto scores = server.score(part);
                             if (!scores) return scores.error();
                             for (const auto& one : *scores) whole.add(one, *scale);
                             return {};
                         });
    if (!done) return done.error();
    Rows alone;
    const std::vector<Tokens> few(
        texts->begin(),
        texts->begin() + static_cast<std::ptrdiff_t>(std::min(kTextsAlone, texts->size())));
    done = in_parts(few, 1, progress, "scored alone", [&](const auto& part) -> Result<void> {
        const auto scores = server.score(part);
        if (!scores) return scores.error();
        alone.add(scores->front(), *scale);
        return {};
    });
    if (!done) return done.error();
    while (alone.logprobs.size() < texts->size()) {
        alone.add_unscored(texts->front().size() - 1);
    }
    Json answer = answer_of(texts->size() * texts->front().size());
    answer["scores"] = {{"whole", whole.document()}, {"alone", alone.document()}};
    answer["tokens"] = *texts;
    answer["scored_by"] = *scoring == Scoring::kEcho ? "echo" : "prompt_logprobs";
    return answer;
}

Result<Json> generate(Server& server, const worker::ReportProgress& progress, const Json& params) {
    const auto vocab_size = vocabulary_of(params);
    if (!vocab_size) return vocab_size.error();
    const auto prompts = texts_of(params, *vocab_size);
    if (!prompts) return prompts.error();
    const auto new_tokens = integer_at(params, "new_tokens", "params");
    if (!new_tokens) return new_tokens.error();
    const auto scale = scale_of(params);
    if (!scale) return scale.error();
    const WriteOptions options{.new_tokens = static_cast<std::size_t>(*new_tokens),
                               .greedy = params.value("greedy", false),
                               .seed = params.value("seed", std::uint64_t{0}),
                               .vocab_size = *vocab_size};
    Json tokens = Json::array();
    Json numbers = Json::array();
    std::size_t next = 0;
    const auto done = in_parts(
        *prompts, kTextsPerRequest, progress, "written", [&](const auto& part) -> Result<void> {
            const auto written = server.write(part, options);
            if (!written) return written.error();
            for (const Written& own : *written) {
                Tokens whole = (*prompts)[next++];
                const std::size_t length = whole.size() + options.new_tokens;
                whole.insert(whole.end(), own.tokens.begin(), own.tokens.end());
                whole.resize(length, 0);
                tokens.push_back(std::move(whole));
                Json row = Json::array();
                for (const double number : own.logprobs) row.push_back(number * *scale);
                numbers.push_back(std::move(row));
            }
            return {};
        });
    if (!done) return done.error();
    Json answer = answer_of(prompts->size() * options.new_tokens);
    answer["tokens"] = std::move(tokens);
    answer["logprobs"] = std::move(numbers);
    return answer;
}

Json describe(const Server& server) {
    constexpr const char* kUnseen = "a server does not say";
    Json description{{"device", server.address()},
                     {"type", "endpoint"},
                     {"index", 0},
                     {"name", server.model()},
                     {"memory_bytes", nullptr},
                     {"memory_bytes_reason", kUnseen},
                     {"driver", nullptr},
                     {"driver_reason", kUnseen},
                     {"libraries", Json::object()},
                     {"dtypes", Json::array()},
                     {"native_operators", nullptr},
                     {"native_operators_reason", kUnseen},
                     {"threads", nullptr},
                     {"threads_reason", kUnseen},
                     {"peers", Json::array()}};
    if (!server.version().empty()) description["libraries"]["server"] = server.version();
    if (server.length_max()) description["length_max"] = *server.length_max();
    return description;
}

}  // namespace

Result<Json> answer(Server& server, const worker::ReportProgress& progress,
                    const std::string& request, const Json& params) {
    if (request == "describe") return describe(server);
    if (request == "logprobs") return logprobs(server, progress, params);
    if (request == "generate") return generate(server, progress, params);
    return Error{ErrorCode::kUnsupported, fmt::format("a server answers no {}", request),
                 server.address()};
}

}  // namespace ascertain::endpoint
