// The file format in which weights are published: 8 bytes of header length, a JSON header, the
// bytes of the tensors one after another. Source: github.com/huggingface/safetensors, README,
// "Format".
#pragma once

#include <filesystem>
#include <vector>

#include "base/result.hpp"
#include "worker/training/parameters.hpp"

namespace ascertain::training {

// Writes the tensors (floating, integer or bool; any device) in the given order and flushes
// them to the disk. Names differ. Errors: kEnvironment naming the file.
[[nodiscard]] Result<void> write_safetensors(const std::filesystem::path& path,
                                             const std::vector<NamedTensor>& tensors);

// All tensors, on the CPU, as they lie in the mapped file: nothing is read before it is touched,
// and writing to one leaves the file alone. The file must not shrink meanwhile. Refused with kBadInput and "file: tensor": a header that is longer
// than the file or than 100 MB, is no JSON object, or has names twice; an unknown dtype; a shape
// whose bytes differ from its offsets; bytes that no tensor or two tensors claim.
[[nodiscard]] Result<std::vector<NamedTensor>> read_safetensors(const std::filesystem::path& path);

}  // namespace ascertain::training
