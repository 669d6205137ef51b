// A model written down as `transformers` reads it: a folder with config.json,
// generation_config.json and safetensors, whole or in shards with an index.
#pragma once

#include <cstdint>
#include <filesystem>
#include <vector>

#include "base/result.hpp"
#include "worker/training/model.hpp"
#include "worker/training/safetensors.hpp"

namespace ascertain::training {

// Largest shard that `transformers` writes by default.
inline constexpr std::uint64_t kShardBytes = std::uint64_t{5} << 30;

// All weights under their published names, in the layout of their files.
[[nodiscard]] std::vector<NamedTensor> published_tensors(const Model& model);

// Writes the model: shards of at most `shard_bytes` each (a larger tensor has one of its own), the
// index where there is more than one. The folder is made where it is not there; files of the same
// names are replaced. Weights of multi-token-prediction modules are left out, and the config says
// so: `transformers` has none. Errors: kEnvironment, and those of model::write_config.
[[nodiscard]] Result<void> write_published(const Model& model, const std::filesystem::path& folder,
                                           std::uint64_t shard_bytes);

}  // namespace ascertain::training
