// A checkpoint as models are published: a folder with config.json and safetensors, whole or in
// shards with an index. The layout is that of Hugging Face `transformers`.
#pragma once

#include <cstddef>
#include <filesystem>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "worker/training/model.hpp"

namespace ascertain::serving {

struct Published {
    std::unique_ptr<training::Model> model;
    // Tensors of the files that serving has no use for: multi-token-prediction modules, tables that
    // are derived.
    std::size_t unused = 0;
    std::string
        quantisation;  // how the weights are stored, "fp8 in blocks of 128 x 128"; "" if not
};

// The model of `folder` on `device`, weights in fp32. Each weight is copied once, from the page
// cache to where it stays. Errors: kBadInput naming file and tensor for a config that cannot be
// read, a shard or tensor that is missing, misplaced, of another shape or not finite, and for a
// tensor that the architecture does not have; kUnsupported for a family or a quantisation that is
// not known here; kEnvironment for a file that cannot be opened.
[[nodiscard]] Result<Published> load_published(const std::filesystem::path& folder,
                                               const training::Arithmetic& arithmetic,
                                               at::Device device);

// One short hash over names, shapes and bytes of all weights as they are on the model's device.
[[nodiscard]] std::string weights_hash(const training::Model& model);

}  // namespace ascertain::serving
