#include "worker/serving/published.hpp"

#include <ATen/ops/isfinite.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <fstream>
#include <map>
#include <sstream>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/text.hpp"
#include "model/config.hpp"
#include "worker/training/publish.hpp"
#include "worker/training/safetensors.hpp"

namespace ascertain::serving {
namespace {

namespace fs = std::filesystem;
using training::NamedTensor;

constexpr const char* kConfigFile = "config.json";
constexpr const char* kWholeFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";

Result<std::string> contents(const fs::path& path) {
    const std::ifstream file(path, std::ios::binary);
    if (!file) return Error{ErrorCode::kEnvironment, "cannot be read", path.string()};
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
}

// A tensor of the files, and in which it lies.
struct Stored {
    at::Tensor value;
    std::string file;
    bool used = false;
};
using Weights = std::map<std::string, Stored>;

Result<void> add_file(const fs::path& path, Weights& weights) {
    auto tensors = training::read_safetensors(path);
    if (!tensors) return tensors.error();
    for (NamedTensor& tensor : *tensors) {
        const auto [place, is_new] =
            weights.emplace(tensor.name, Stored{tensor.value, path.filename().string()});
        if (!is_new) {
            return Error{ErrorCode::kBadInput, fmt::format("stands in {} too", place->second.file),
                         fmt::format("{}: {}", path.string(), tensor.name)};
        }
    }
    return {};
}

// All shards that the index names; every tensor lies where the index says.
Result<Weights> read_shards(const fs::path& folder) {
    const fs::path path = folder / kIndexFile;
    const auto text = contents(path);
    if (!text) return text.error();
    const auto index = parse_json(*text, path.string());
    if (!index) return index.error();
    const auto map = index->is_object() ? index->find("weight_map") : index->end();
    if (!index->is_object() || map == index->end() || !map->is_object() || map->empty()) {
        return Error{ErrorCode::kBadInput, "has no weight_map", path.string()};
    }
    std::map<std::string, std::string> places;
    Weights weights;
    for (const auto& entry : map->items()) {
        const std::string file = entry.value().is_string() ? entry.value().get<std::string>() : "";
        if (file.empty() || fs::path(file).filename() != fs::path(file)) {
            return Error{ErrorCode::kBadInput, "is not in a file of this folder",
                         fmt::format("{}: {}", path.string(), shortened(entry.key(), 80))};
        }
        places.emplace(entry.key(), file);
    }
    std::map<std::string, bool> read;
    for (const auto& [name, file] : places) {
        if (!read.emplace(file, true).second) continue;
        if (!fs::exists(folder / file)) {
            return Error{ErrorCode::kBadInput, "the index names this shard, and it is not there",
                         (folder / file).string()};
        }
        const auto added = add_file(folder / file, weights);
        if (!added) return added.error();
    }
    for (const auto& [name, file] : places) {
        const auto found = weights.find(name);
        if (found == weights.end() || found->second.file != file) {
            return Error{ErrorCode::kBadInput,
                         fmt::format("the index puts it into {}, where it is not", file),
                         fmt::format("{}: {}", path.string(), shortened(name, 80))};
        }
    }
    return weights;
}

Result<Weights> read_weights(const fs::path& folder) {
    if (fs::exists(folder / kIndexFile)) return read_shards(folder);
    if (!fs::exists(folder / kWholeFile)) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("has neither {} nor {}", kWholeFile, kIndexFile), folder.string()};
    }
    Weights weights;
    const auto added = add_file(folder / kWholeFile, weights);
    if (!added) return added.error();
    return weights;
}

Stored* find(Weights& weights, const std::string& name) {
    auto found = weights.find(name);
    // The first checkpoints of GPT-2 leave out the outer module's name.
    constexpr std::string_view kOuter = "transformer.";
    if (found == weights.end() && name.starts_with(kOuter)) {
        found = weights.find(name.substr(kOuter.size()));
    }
    return found == weights.end() ? nullptr : &found->second;
}

bool is_fp8(const at::Tensor& value) {
    return value.scalar_type() == at::kFloat8_e4m3fn || value.scalar_type() == at::kFloat8_e5m2;
}

// fp8 values times one scale for every block of rows x columns, as DeepSeek-V3 is published.
Result<at::Tensor> dequantised(const model::Quantisation& quantisation, Weights& weights,
                               const std::string& name, const Stored& stored) {
    const std::int64_t rows = quantisation.block_rows;
    const std::int64_t columns = quantisation.block_columns;
    const std::string where = fmt::format("{}: {}", stored.file, name);
    Stored* scales = find(weights, name + "_scale_inv");
    if (rows <= 0 || columns <= 0 || scales == nullptr) {
        return Error{ErrorCode::kUnsupported,
                     "is fp8 without a scale for every block (weight_scale_inv)", where};
    }
    const at::Tensor& value = stored.value;
    const std::int64_t high = (value.size(0) + rows - 1) / rows;
    const std::int64_t wide = (value.size(1) + columns - 1) / columns;
    if (scales->value.dim() != 2 || scales->value.size(0) != high ||
        scales->value.size(1) != wide) {
        return Error{ErrorCode::kBadInput, "its scales do not fit its blocks", where};
    }
    scales->used = true;
    const at::Tensor spread = scales->value.to(at::kFloat)
                                  .repeat_interleave(rows, 0)
                                  .repeat_interleave(columns, 1)
                                  .narrow(0, 0, value.size(0))
                                  .narrow(1, 0, value.size(1));
    return value.to(at::kFloat).mul(spread);
}

// Tensors that a published folder may hold and a served model has no use for.
bool may_be_unused(const model::Architecture& published, const std::string& name) {
    if (name.ends_with("rotary_emb.inv_freq") || name.ends_with(".attn.bias") ||
        name.ends_with(".attn.masked_bias")) {
        return true;
    }
    if (published.tied_embeddings && name == "lm_head.weight") return true;
    for (std::int64_t i = 0; i < published.mtp_layers; ++i) {
        const std::string layer =
            fmt::format("model.layers.{}.", model::layer_count(published) + i);
        if (name.starts_with(layer)) return true;
    }
    return false;
}

bool all_finite(const at::Tensor& value) {
    // A finite sum has only finite terms; one that is not may still have overflowed.
    return at::isfinite(value.sum()).item<bool>() || at::isfinite(value).all().item<bool>();
}

Result<void> fill(training::Model& model, const model::Quantisation& quantisation, Weights& weights,
                  const fs::path& folder) {
    const c10::AutoGradMode no_gradients(false);
    for (const training::Parameter& parameter : model.parameters().all()) {
        for (const NamedTensor& place : training::on_disk(parameter, parameter.value)) {
            Stored* stored = find(weights, place.name);
            const std::string where = fmt::format(
                "{}: {}", stored == nullptr ? folder.string() : (folder / stored->file).string(),
                place.name);
            if (stored == nullptr) {
                return Error{ErrorCode::kBadInput,
                             "the config asks for this weight, and no file holds it", where};
            }
            if (stored->value.sizes() != place.value.sizes()) {
                return Error{ErrorCode::kBadInput,
                             fmt::format("has shape [{}], the config says [{}]",
                                         fmt::join(stored->value.sizes(), ", "),
                                         fmt::join(place.value.sizes(), ", ")),
                             where};
            }
            stored->used = true;
            if (is_fp8(stored->value)) {
                auto value = dequantised(quantisation, weights, place.name, *stored);
                if (!value) return value.error();
                stored->value = *std::move(value);
            } else if (!stored->value.is_floating_point()) {
                return Error{ErrorCode::kUnsupported,
                             "holds integers: this quantisation is not read here", where};
            }
            place.value.copy_(stored->value);
            if (!all_finite(stored->value)) {
                return Error{ErrorCode::kBadInput, "holds NaN or infinity", where};
            }
        }
    }
    return {};
}

Result<std::size_t> count_unused(const model::Architecture& published, const Weights& weights,
                                 const fs::path& folder) {
    std::size_t unused = 0;
    for (const auto& [name, stored] : weights) {
        if (stored.used) continue;
        if (!may_be_unused(published, name)) {
            return Error{
                ErrorCode::kBadInput, "the config describes no such weight: is it another model's?",
                fmt::format("{}: {}", (folder / stored.file).string(), shortened(name, 80))};
        }
        ++unused;
    }
    return unused;
}

}  // namespace

Result<Published> load_published(const fs::path& folder, const training::Arithmetic& arithmetic,
                                 at::Device device) {
    const fs::path config_path = folder / kConfigFile;
    const auto text = contents(config_path);
    if (!text) return text.error();
    const auto published = model::read_config(*text, config_path.string());
    if (!published) return published.error();
    auto weights = read_weights(folder);
    if (!weights) return weights.error();

    model::Architecture served = *published;
    served.mtp_layers = 0;
    Published result;
    result.model = std::make_unique<training::Model>(
        served, training::ModelOptions{.arithmetic = arithmetic, .device = device, .drawn = false});
    const auto filled = fill(*result.model, published->quantisation, *weights, folder);
    if (!filled) return filled.error();
    const auto unused = count_unused(*published, *weights, folder);
    if (!unused) return unused.error();
    result.unused = *unused;
    if (!published->quantisation.method.empty()) {
        result.quantisation =
            fmt::format("{} in blocks of {} x {}", published->quantisation.method,
                        published->quantisation.block_rows, published->quantisation.block_columns);
    }
    return result;
}

std::string weights_hash(const training::Model& model) {
    std::string hashes;
    for (const NamedTensor& tensor : training::published_tensors(model)) {
        const at::Tensor host = tensor.value.to(at::kCPU).contiguous();
        const std::string_view bytes(static_cast<const char*>(host.const_data_ptr()),
                                     host.nbytes());
        hashes += fmt::format("{} [{}] {}\n", tensor.name, fmt::join(host.sizes(), ", "),
                              short_hash(bytes));
    }
    return short_hash(hashes);
}

}  // namespace ascertain::serving
