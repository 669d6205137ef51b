// logprobs: what a model on this device says of given text, as numbers.
#include <ATen/ops/isfinite.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <array>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "base/observation.hpp"
#include "worker/serving/published.hpp"
#include "worker/serving/requests.hpp"
#include "worker/serving/score.hpp"
#include "worker/serving/text.hpp"
#include "worker/training/job.hpp"
#include "worker/training/sides.hpp"
#include "worker/training/tamper.hpp"

namespace ascertain::serving {
namespace {

using training::Model;

struct WayName {
    std::string_view name;
    Way way;
};
constexpr std::array kWays{WayName{"whole", Way::kWhole}, WayName{"alone", Way::kAlone},
                           WayName{"decode", Way::kDecode}};

// A model that stays for the next request.
struct Kept {
    std::unique_ptr<Model> model;
    std::string quantisation;
    std::size_t unused = 0;
};

// A model from a seed: the same weights on every device. The last norm is scaled by `sharpness`, so
// that what the untrained model says has the spread of a trained one's.
Result<Kept> seeded(const Json& weights, const training::ModelOptions& options) {
    auto architecture = model::architecture_from_json(weights.value("architecture", Json()),
                                                      "weights: architecture");
    if (!architecture) return architecture.error();
    architecture->mtp_layers = 0;
    const auto sharpness = number_at(weights, "sharpness", "weights");
    if (!sharpness) return sharpness.error();
    Kept kept;
    kept.model = std::make_unique<Model>(*architecture, options);
    const c10::AutoGradMode no_gradients(false);
    const std::string last_norm = training::names_of(*architecture).final_norm + ".weight";
    for (const training::Parameter& parameter : kept.model->parameters().all()) {
        if (parameter.name == last_norm) parameter.value.mul_(*sharpness);
    }
    return kept;
}

Result<std::shared_ptr<const Kept>> model_of(worker::Session& session, const Json& params,
                                             const training::Arithmetic& arithmetic) {
    const auto weights = params.find("weights");
    if (weights == params.end() || !weights->is_object()) {
        return Error{ErrorCode::kBadInput,
                     "is neither {folder} nor {architecture, seed, sharpness}", "params: weights"};
    }
    const std::string key =
        fmt::format("{} {} {} {}", weights->dump(), training::name_of_dtype(arithmetic.dtype),
                    arithmetic.emulated ? "emulated" : "kernels", arithmetic.summation_parts);
    if (session.kept_key == key) return std::static_pointer_cast<const Kept>(session.kept);
    session.kept.reset();  // two large models need not exist at once
    session.kept_key.clear();
    Kept kept;
    if (weights->contains("folder")) {
        const auto folder = text_at(*weights, "folder", "weights");
        if (!folder) return folder.error();
        auto loaded = load_published(*folder, arithmetic, session.device);
        if (!loaded) return loaded.error();
        kept = {std::move(loaded->model), loaded->quantisation, loaded->unused};
    } else {
        const auto seed = training::bounded_integer(*weights, "seed", 0,
                                                    (std::int64_t{1} << 53) - 1, std::nullopt);
        if (!seed) return seed.error();
        auto made = seeded(*weights, {.arithmetic = arithmetic,
                                      .device = session.device,
                                      .seed = static_cast<std::uint64_t>(*seed)});
        if (!made) return made.error();
        kept = *std::move(made);
    }
    auto shared = std::make_shared<const Kept>(std::move(kept));
    session.kept = shared;
    session.kept_key = key;
    return shared;
}

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

// Which arithmetic of the precision: the device's own kernels as they are; those of a device under
// test, which on a CPU differ from the reference's; or the reference's healthy twin.
Result<training::Side> side_of(const Json& params, at::Device device, at::ScalarType dtype) {
    const std::string name = params.value("side", "kernels");
    if (name == "kernels") {
        return training::Side{
            .arithmetic = {.dtype = dtype}, .device = device, .threads = 0, .description = ""};
    }
    if (name == "device") return training::device_side(device, dtype);
    if (name == "twin") return training::twin_side(dtype);
    return Error{ErrorCode::kBadInput, "is none of kernels, device, twin", "params: side"};
}

Json rows_of(const at::Tensor& matrix) {
    Json rows = Json::array();
    const at::Tensor values = matrix.to(at::kDouble).contiguous();
    const double* place = values.const_data_ptr<double>();
    for (std::int64_t row = 0; row < values.size(0); ++row) {
        Json list = Json::array();
        for (std::int64_t column = 0; column < values.size(1); ++column) {
            list.push_back(finite_or_null(*place++));
        }
        rows.push_back(std::move(list));
    }
    return rows;
}

Json whole_rows_of(const at::Tensor& matrix) {
    Json rows = Json::array();
    const std::int64_t* place = matrix.const_data_ptr<std::int64_t>();
    for (std::int64_t row = 0; row < matrix.size(0); ++row) {
        Json list = Json::array();
        for (std::int64_t column = 0; column < matrix.size(1); ++column) list.push_back(*place++);
        rows.push_back(std::move(list));
    }
    return rows;
}

std::int64_t broken_entries(const training::TextScores& scores) {
    // Places without a score say so by a likeliest token of -1.
    const at::Tensor broken =
        at::isfinite(scores.log_probabilities).logical_not().logical_and(scores.likeliest.ge(0));
    return broken.sum().item<std::int64_t>();
}

}  // namespace

Result<Json> logprobs(worker::Session& session, const Json& params) {
    const auto name = text_at(params, "dtype", "params");
    if (!name) return name.error();
    const auto dtype = training::dtype_from_name(*name);
    if (!dtype) return dtype.error();
    const auto ways = ways_of(params);
    if (!ways) return ways.error();
    std::optional<training::Tamper> tamper;
    if (params.contains("tamper") && !params["tamper"].is_null()) {
        const auto read = training::tamper_from_json(params["tamper"]);
        if (!read) return read.error();
        tamper = *read;
    }
    const auto side = side_of(params, session.device, *dtype);
    if (!side) return side.error();
    const training::ThreadCount threads(side->threads);
    const auto kept = model_of(session, params, side->arithmetic);
    if (!kept) return kept.error();
    const Model& model = *(*kept)->model;
    const auto tokens = text_from_json(params, model.architecture().vocab_size);
    if (!tokens) return tokens.error();
    const model::Position& position = model.architecture().position;
    if (tokens->size(1) > position.length_max) {
        return Error{ErrorCode::kUnsupported,
                     fmt::format("{} tokens are longer than the model's {}", tokens->size(1),
                                 position.length_max),
                     "params: tokens"};
    }

    const training::RepeatableKernels repeatable;
    Json answer{{"observation", Json::array()}, {"scores", Json::object()}};
    std::int64_t broken = 0;
    double done = 0.0;
    for (const WayName& way : *ways) {
        training::TextScores scores = score(model, *tokens, way.way);
        if (tamper) scores.log_probabilities = tampered(scores.log_probabilities, *tamper);
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
    answer["quantisation"] = (*kept)->quantisation;
    answer["unused_tensors"] = (*kept)->unused;
    if (params.value("hash", false)) answer["weights_hash"] = weights_hash(model);
    if (tamper) answer["tampered"] = true;
    return answer;
}

}  // namespace ascertain::serving
