// Writes the config.json that Hugging Face models are published with: the reverse of config.hpp.
#pragma once

#include <string>

#include "base/result.hpp"
#include "model/architecture.hpp"

namespace ascertain::model {

// The text from which read_config makes `architecture` again (its name aside), with the class that
// `transformers` is to load. Weights are written in fp32, so that is its dtype. Errors:
// kUnsupported for what a family's config has no word for, such as a rank's share of the experts.
[[nodiscard]] Result<std::string> write_config(const Architecture& architecture);

// The generation_config.json beside it: greedy, no token ends a text.
[[nodiscard]] std::string write_generation_config();

}  // namespace ascertain::model
