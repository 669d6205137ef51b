// One pass of one micro-batch through one block, in seconds, part by part.
#pragma once

#include <array>
#include <vector>

#include "base/result.hpp"
#include "model/architecture.hpp"
#include "predict/cost/collective.hpp"
#include "predict/cost/machine.hpp"
#include "predict/cost/operator_cost.hpp"
#include "predict/parallel/memory.hpp"
#include "predict/parallel/plan.hpp"

namespace ascertain::cost {

// What a rank works on per micro-batch, free of any chip's constants. Depends on model, shard,
// micro-batch and flash attention only, so that many plans share one.
struct ShardWork {
    parallel::ShardFacts facts;
    std::array<std::vector<OperatorWork>, 5> blocks;  // by model::Block
    double tokens = 0.0;                              // rows of a tensor-parallel product
    double stream_tokens = 0.0;                       // rows of the residual stream on this rank
    double hidden_bytes = 0.0;                        // one row of the residual stream
    double kv_row_bytes = 0.0;                        // keys and values of one token on this rank
    double head_row_bytes = 0.0;  // queries, keys, values and context of one token on this rank
    double experts_chosen = 0.0;
    double expert_groups_max = 0.0;  // node-limited routing; 0: none
    bool shared_experts = false;
};

// Errors: those of model::operators and parallel::shard_facts. Allocates.
[[nodiscard]] Result<ShardWork> shard_work(const model::Architecture& architecture,
                                           const parallel::Plan& plan, const TrainingJob& job);

// Seconds of one pass.
struct PassSeconds {
    double matrix = 0.0;
    double attention = 0.0;
    double stream = 0.0;  // everything bound by memory traffic
    double host = 0.0;    // waiting for launches
    double tp = 0.0;      // exposed communication
    double cp = 0.0;
    double ep = 0.0;

    [[nodiscard]] double compute() const { return matrix + attention + stream; }
    [[nodiscard]] double total() const { return compute() + host + tp + cp + ep; }
    PassSeconds& operator+=(const PassSeconds& other);
    [[nodiscard]] PassSeconds scaled(double factor) const;
};

struct BlockSeconds {
    PassSeconds forward;
    PassSeconds input;   // backward but for the weight gradients
    PassSeconds weight;  // weight gradients

    [[nodiscard]] double backward() const { return input.total() + weight.total(); }
};

using BlockTable = std::array<BlockSeconds, 5>;  // by model::Block

// Prices the work under the flags of `plan` (overlaps, flash attention, cp_kind). Allocation-free.
[[nodiscard]] BlockTable block_seconds(const ShardWork& work, const parallel::Plan& plan,
                                       const TrainingJob& job, const Machine& machine);

// What is still waited for when `communication` runs beside `compute`: each overlapped second costs
// `contention` seconds of the compute it takes cores and bandwidth from.
[[nodiscard]] constexpr double exposed(double communication, double compute, double contention) {
    const double beside = communication < compute ? communication : compute;
    return communication - beside * (1.0 - (contention < 1.0 ? contention : 1.0));
}

}  // namespace ascertain::cost
