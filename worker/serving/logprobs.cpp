// logprobs: what a model on this device says of given text, as numbers.
#include <ATen/ops/isfinite.h>
#include <fmt/format.h>

#include <array>
#include <string>
#include <vector>

#include "base/observation.hpp"
#include "worker/serving/published.hpp"
#include "worker/serving/requests.hpp"
#include "worker/serving/score.hpp"
#include "worker/serving/served.hpp"
#include "worker/serving/text.hpp"

namespace ascertain::serving {
namespace {

using training::Model;

struct WayName {
    std::string_view name;
    Way way;
};
constexpr std::array kWays{WayName{"whole", Way::kWhole}, WayName{"alone", Way::kAlone},
                           WayName{"decode", Way::kDecode}};

Result<std::vector<WayName>> ways_of(const Json& params) {
    std::vector<WayName> ways;
    const Json asked = params.value("ways", Json::array({"whole"}));
    if (!asked.is_array() || asked.empty()) {
        return Error{ErrorCode::kBadInput, "is not a list of whole, alone, decode", "params: ways"};
    }
    for (const Json& name : asked) {
        const WayName* found = nullptr;
        for (const WayName& way : kWays) {
            if (name.is_string() && name.get<std::string>() == way.name) found = &way;
        }
        if (found == nullptr) {
            return Error{ErrorCode::kBadInput, "is none of whole, alone, decode", "params: ways"};
        }
        ways.push_back(*found);
    }
    return ways;
}

std::int64_t broken_entries(const training::TextScores& scores) {
    // Places without a score say so by a likeliest token of -1.
    const at::Tensor broken =
        at::isfinite(scores.log_probabilities).logical_not().logical_and(scores.likeliest.ge(0));
    return broken.sum().item<std::int64_t>();
}

}  // namespace

Result<Json> logprobs(worker::Session& session, const Json& params) {
    const auto ways = ways_of(params);
    if (!ways) return ways.error();
    const auto served = served_from_json(session, params);
    if (!served) return served.error();
    const training::ThreadCount threads(served->side.threads);
    const Model& model = served->model();
    const auto tokens = text_from_json(params, model.architecture().vocab_size);
    if (!tokens) return tokens.error();
    const auto fits = reaches(model, tokens->size(1));
    if (!fits) return fits.error();

    const training::RepeatableKernels repeatable;
    Json answer{{"observation", Json::array()}, {"scores", Json::object()}};
    std::int64_t broken = 0;
    double done = 0.0;
    for (const WayName& way : *ways) {
        training::TextScores scores = score(model, *tokens, way.way);
        if (served->tamper) {
            scores.log_probabilities = tampered(scores.log_probabilities, *served->tamper);
        }
        broken += broken_entries(scores);
        answer["scores"][std::string(way.name)] = {{"logprobs", rows_of(scores.log_probabilities)},
                                                   {"likeliest", whole_rows_of(scores.likeliest)}};
        done += 1.0 / static_cast<double>(ways->size());
        session.progress(done, fmt::format("scored: {}", way.name), Json());
    }
    const Observation observation{
        {"tokens", static_cast<double>(tokens->numel()), "count", 1, {}, {}, ""},
        {"nonfinite_logprobs", static_cast<double>(broken), "count", 1, {}, {}, ""}};
    answer["observation"] = ascertain::to_json(observation);
    answer["tokens"] = whole_rows_of(*tokens);
    answer["family"] = model::name_of(model.architecture().family);
    answer["quantisation"] = served->kept->quantisation;
    answer["unused_tensors"] = served->kept->unused;
    if (params.value("hash", false)) answer["weights_hash"] = weights_hash(model);
    if (served->tamper) answer["tampered"] = true;
    return answer;
}

}  // namespace ascertain::serving
