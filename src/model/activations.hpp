// Bytes of activations kept from forward to backward, tensor by tensor.
#pragma once

#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "model/architecture.hpp"
#include "model/operators.hpp"
#include "model/parameters.hpp"
#include "model/shard.hpp"

namespace ascertain::model {

enum class Recompute {
    kNone,
    kSelective,  // core attention: scores, softmax, dropout, product with the values
    kFull,       // only a layer's input is kept
};

struct ActivationOptions {
    bool flash_attention = true;  // the score matrix is never stored
    Recompute recompute = Recompute::kNone;
};

// One tensor that a layer saves, on one rank, for one micro-batch.
struct SavedTensor {
    std::string_view name;
    std::string_view saved_by;  // the operator whose backward needs it
    Bytes size;
};

// The tensors saved by one block of that kind (for kMtp by one module, its loss included); none
// where the model has no such block.
// Source: Korthikanti et al. 2022, arXiv 2205.05198, equations 1 to 6, extended to SwiGLU, GQA, MLA
// and MoE; docs/formulas.md#saved-activations derives every item. Errors: as operators().
[[nodiscard]] Result<std::vector<SavedTensor>> saved_activations(const Architecture& architecture,
                                                                 Block block, const Shard& shard,
                                                                 const Batch& batch,
                                                                 const ActivationOptions& options);

[[nodiscard]] Bytes total_size(const std::vector<SavedTensor>& tensors);

}  // namespace ascertain::model
