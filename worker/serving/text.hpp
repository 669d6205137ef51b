// The token lists a serving request is about: given, or drawn at random.
#pragma once

#include <ATen/core/Tensor.h>

#include "base/json.hpp"
#include "base/result.hpp"

namespace ascertain::serving {

// `tokens` of the parameters, a list of equally long lists, or `text` {rows, length, seed}: so many
// tokens drawn evenly from the vocabulary, which no model can predict. int64 [batch, seq] on the
// CPU, at least one row of at least two tokens. Errors: kBadInput naming the entry; a token that
// is not below `vocab_size` is one.
[[nodiscard]] Result<at::Tensor> text_from_json(const Json& params, std::int64_t vocab_size);

}  // namespace ascertain::serving
