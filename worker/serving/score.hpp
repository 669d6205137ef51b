// What a model says of given text, in the three ways in which a server may come to it: all at once,
// each text by itself, and token after token with a cache of keys and values.
#pragma once

#include "worker/training/model.hpp"

namespace ascertain::serving {

enum class Way {
    kWhole,   // one forward pass over all rows
    kAlone,   // one forward pass for each row
    kDecode,  // the first half as a prompt, the rest one token at a time
};

// tokens [batch, seq] on the CPU, seq at least 2 -> scores on the CPU. With kDecode the first half
// has no score: its entries are NaN, and -1 for `likeliest`.
[[nodiscard]] training::TextScores score(const training::Model& model, const at::Tensor& tokens,
                                         Way way);

}  // namespace ascertain::serving
