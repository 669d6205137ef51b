// What one rank sees of a model and a batch: the sharded sizes and the rows that pass through each
// part. Shared by operators and activations, so that they agree; private to this room.
#pragma once

#include <cstdint>

#include "base/result.hpp"
#include "model/operators.hpp"
#include "model/shard.hpp"

namespace ascertain::model {

struct RankView {
    Architecture model;       // sharded
    std::int64_t tokens = 0;  // rows of what is split over TP by columns
    std::int64_t stream = 0;  // rows of the residual stream: tokens / tp with sequence parallelism
    std::int64_t dispatched = 0;   // rows this rank sends to experts: stream * topk
    std::int64_t expert_rows = 0;  // rows its experts receive when routing is balanced
    std::int64_t q_length = 0;     // tokens of a sequence here
};

// Errors: those of shard_architecture, and kBadInput with `where` = "name: batch..." or
// "name: sequence_parallel".
[[nodiscard]] Result<RankView> view_of_rank(const Architecture& architecture, const Shard& shard,
                                            const Batch& batch);

}  // namespace ascertain::model
