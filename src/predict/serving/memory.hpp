// What one chip of a serving replica holds. docs/formulas.md#serving-memory
#pragma once

#include "base/units.hpp"
#include "predict/serving/pass.hpp"

namespace ascertain::serving {

struct Memory {
    Bytes weights;
    Bytes cache;        // keys and values of the sequences at once
    Bytes activations;  // of one prefill pass
    Bytes reserve;      // driver, libraries, communication buffers
    Bytes capacity;     // what an engine may fill

    [[nodiscard]] Bytes total() const { return weights + cache + activations + reserve; }
    [[nodiscard]] bool fits() const { return total() <= capacity; }
};

// Bytes that one token of context keeps on a chip: two vectors per key-value head and layer (GQA),
// one latent and one rotated key per layer (MLA), which every chip of a tp group holds whole.
[[nodiscard]] double cache_bytes_per_token(const Server& server);

// With `sequences` sequences in each group, `context` tokens each on average.
[[nodiscard]] Memory memory_of(const Server& server, double sequences, double context);

}  // namespace ascertain::serving
