// Bytes that one rank needs, part by part, at the granularity of Megatron-LM and TransformerEngine.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "base/result.hpp"
#include "base/units.hpp"
#include "model/architecture.hpp"
#include "model/operators.hpp"
#include "model/parameters.hpp"
#include "predict/parallel/plan.hpp"
#include "predict/parallel/stages.hpp"

namespace ascertain::parallel {

// Bytes per parameter of the training state, and what the stack itself takes.
struct MemoryConstants {
    double weight = 2.0;
    double gradient = 4.0;          // main gradients in fp32; all of training in fp16: 2
    double optimizer = 12.0;        // fp32 master weight and two Adam moments
    Bytes context{1.2e9};           // driver context, kernels, library workspaces: guessed
    Bytes buffer_per_group{0.3e9};  // communication buffers of one process group: guessed
    double fragmentation = 0.15;    // of all the rest, as the allocator holds it: 11 published rows
    double spread = 0.12;           // one-sided relative spread of the total: the same rows
};

// What one rank holds of each block, and what a micro-batch leaves behind in it. Depends on the
// model, the shard, the micro-batch and two flags; everything else of a plan only multiplies it.
struct ShardFacts {
    struct BlockFacts {
        double dense_parameters = 0.0;   // attention, norms, router, shared experts, dense MLP
        double expert_parameters = 0.0;  // routed experts on this rank
        double saved_bytes = 0.0;        // per micro-batch, nothing recomputed
        double saved_selective_bytes = 0.0;
        double saved_full_bytes = 0.0;  // the block's input only
    };
    std::array<BlockFacts, 5> blocks;   // by model::Block
    double logits_bytes = 0.0;          // kept for one micro-batch while the loss is computed
    double boundary_bytes = 0.0;        // one activation between stages
    double layer_parameters_max = 0.0;  // largest layer unsharded over dp: the ZeRO-3 gather

    [[nodiscard]] const BlockFacts& operator[](model::Block block) const {
        return blocks[static_cast<std::size_t>(block)];
    }
};

// Errors: those of model::saved_activations and model::shard_architecture. Allocates; callers that
// cost many plans keep the result per (shard, micro-batch, flags).
[[nodiscard]] Result<ShardFacts> shard_facts(const model::Architecture& architecture,
                                             const model::Shard& shard, const model::Batch& batch,
                                             bool flash_attention);

struct MemoryParts {
    std::int64_t rank = 0;  // pipeline rank that needs most
    Bytes weights;
    Bytes gradients;
    Bytes optimizer;
    Bytes activations;
    Bytes logits;
    Bytes buffers;  // process groups, ZeRO-3 gathers
    Bytes reserve;  // context and fragmentation
    Bytes host;     // in host memory: activations that wait there; not part of the total

    [[nodiscard]] Bytes total() const {
        return weights + gradients + optimizer + activations + logits + buffers + reserve;
    }
};

// Layers of all virtual stages of a pipeline rank.
[[nodiscard]] std::int64_t rank_layers(const Plan& plan, const std::vector<StageShare>& stages,
                                       std::int64_t rank);

// What one micro-batch leaves behind in the layers of a virtual stage, under the plan's recompute
// and offload policies; `rank_layers` are those of the rank that the stage is on, over which
// recompute_layers and offload_layers are spread evenly.
struct Saved {
    double device_bytes = 0.0;
    double host_bytes = 0.0;
};
[[nodiscard]] Saved saved_by_layers(const ShardFacts& facts, const Plan& plan,
                                    const StageShare& stage, std::int64_t rank_layers);

// Memory of pipeline rank `rank`. `stages` is lay_out_stages() of the plan. Allocation-free.
[[nodiscard]] MemoryParts rank_memory(const ShardFacts& facts, const Plan& plan,
                                      const BatchShape& batch,
                                      const std::vector<StageShare>& stages,
                                      const MemoryConstants& constants, std::int64_t rank);
// The rank that needs most.
[[nodiscard]] MemoryParts peak_memory(const ShardFacts& facts, const Plan& plan,
                                      const BatchShape& batch,
                                      const std::vector<StageShare>& stages,
                                      const MemoryConstants& constants);

}  // namespace ascertain::parallel
