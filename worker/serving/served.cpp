#include "worker/serving/served.hpp"

#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <utility>

#include "worker/serving/published.hpp"
#include "worker/training/job.hpp"
#include "worker/training/names.hpp"

namespace ascertain::serving {
namespace {

using training::Model;

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

}  // namespace

Result<Served> served_from_json(worker::Session& session, const Json& params) {
    const auto name = text_at(params, "dtype", "params");
    if (!name) return name.error();
    const auto dtype = training::dtype_from_name(*name);
    if (!dtype) return dtype.error();
    std::optional<training::Tamper> tamper;
    if (params.contains("tamper") && !params["tamper"].is_null()) {
        const auto read = training::tamper_from_json(params["tamper"]);
        if (!read) return read.error();
        tamper = *read;
    }
    auto side = side_of(params, session.device, *dtype);
    if (!side) return side.error();
    const training::ThreadCount threads(side->threads);
    auto kept = model_of(session, params, side->arithmetic);
    if (!kept) return kept.error();
    return Served{*std::move(kept), *std::move(side), tamper};
}

Result<void> reaches(const Model& model, std::int64_t length) {
    const std::int64_t limit = model.architecture().position.length_max;
    if (length <= limit) return {};
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{} tokens are longer than the model's {}", length, limit),
                 "params: tokens"};
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

}  // namespace ascertain::serving
