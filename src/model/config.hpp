// Reads the config.json that Hugging Face models are published with.
#pragma once

#include <string_view>

#include "base/result.hpp"
#include "model/architecture.hpp"

namespace ascertain::model {

// The architecture that `json_text` describes. `name` is what errors call it (a path).
//
// Families: llama, qwen2, qwen3, qwen3_moe, mixtral, deepseek_v2, deepseek_v3, kimi_k2, gpt2,
// pangu_ultra_moe. Both the older keys (torch_dtype, rope_scaling, rope_theta) and those of
// transformers 5 (dtype, rope_parameters) are understood; both at once must agree.
//
// Errors: kBadInput for a text that is no JSON ("name:line:column") and for a field that is
// missing, of the wrong type, absurd or in contradiction to another ("name: field", the field as in
// the file); kUnsupported for a model_type or a feature that is well-formed and unknown here, with
// the near matches. Cost: linear in the text.
[[nodiscard]] Result<Architecture> read_config(std::string_view json_text, std::string_view name);

}  // namespace ascertain::model
