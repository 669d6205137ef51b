#include "worker/training/publish.hpp"

#include <fmt/format.h>

#include <fstream>
#include <utility>

#include "base/json.hpp"
#include "model/config_writer.hpp"

namespace ascertain::training {
namespace {

namespace fs = std::filesystem;

Result<void> write_text(const fs::path& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary);
    file << text;
    file.close();
    if (!file) return Error{ErrorCode::kEnvironment, "could not be written", path.string()};
    return {};
}

Result<void> make(const fs::path& folder) {
    std::error_code failure;
    fs::create_directories(folder, failure);
    if (!failure) return {};
    return Error{ErrorCode::kEnvironment, "cannot be made: " + failure.message(), folder.string()};
}

bool is_of_mtp(const std::string& name, const model::Architecture& architecture) {
    for (std::int64_t i = 0; i < architecture.mtp_layers; ++i) {
        const std::int64_t layer = model::layer_count(architecture) + i;
        if (name.starts_with(fmt::format("model.layers.{}.", layer))) return true;
    }
    return false;
}

}  // namespace

std::vector<NamedTensor> published_tensors(const Model& model) {
    std::vector<NamedTensor> tensors;
    for (const Parameter& parameter : model.parameters().all()) {
        for (NamedTensor& tensor : on_disk(parameter, parameter.value.detach())) {
            tensors.push_back(std::move(tensor));
        }
    }
    return tensors;
}

Result<void> write_published(const Model& model, const fs::path& folder,
                             std::uint64_t shard_bytes) {
    model::Architecture architecture = model.architecture();
    architecture.mtp_layers = 0;
    const auto config = model::write_config(architecture);
    if (!config) return config.error();
    const auto made = make(folder);
    if (!made) return made.error();
    std::vector<std::vector<NamedTensor>> shards;
    std::uint64_t total = 0;
    std::uint64_t in_shard = 0;
    for (NamedTensor& tensor : published_tensors(model)) {
        if (is_of_mtp(tensor.name, model.architecture())) continue;
        tensor.value = tensor.value.to(at::kCPU).contiguous();
        const std::uint64_t size = tensor.value.nbytes();
        if (shards.empty() || (in_shard > 0 && in_shard + size > shard_bytes)) {
            shards.emplace_back();
            in_shard = 0;
        }
        in_shard += size;
        total += size;
        shards.back().push_back(std::move(tensor));
    }
    Json index{{"metadata", {{"total_size", total}}}, {"weight_map", Json::object()}};
    for (std::size_t i = 0; i < shards.size(); ++i) {
        const std::string file =
            shards.size() == 1
                ? "model.safetensors"
                : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size());
        const auto written = write_safetensors(folder / file, shards[i]);
        if (!written) return written.error();
        for (const NamedTensor& tensor : shards[i]) index["weight_map"][tensor.name] = file;
    }
    if (shards.size() > 1) {
        const auto written =
            write_text(folder / "model.safetensors.index.json", index.dump(2) + "\n");
        if (!written) return written.error();
    }
    const auto generation =
        write_text(folder / "generation_config.json", model::write_generation_config());
    if (!generation) return generation.error();
    return write_text(folder / "config.json", *config);
}

}  // namespace ascertain::training
