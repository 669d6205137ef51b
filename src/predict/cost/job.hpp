// What is trained, in the terms that a step's time depends on.
#pragma once

#include <cstdint>
#include <string>

#include "model/architecture.hpp"
#include "predict/parallel/memory.hpp"
#include "predict/parallel/plan.hpp"

namespace ascertain::cost {

// How the operands of linear layers are stored and scaled.
enum class LinearFormat {
    kSame,        // as the activations
    kFp8,         // one scale per tensor
    kFp8Rowwise,  // one scale per row
    kFp8Block,    // 128 x 128 blocks
    kMxFp8,       // 32-element blocks, scaled in hardware
    kFp4,         // 16-element blocks
};

struct TrainingJob {
    std::int64_t sequence_length = 0;
    std::int64_t global_batch_sequences = 0;
    model::Dtype dtype = model::Dtype::kBf16;
    LinearFormat linear = LinearFormat::kSame;
    std::string framework;  // "megatron", "nemo" ...; empty: unknown
    std::string fabric;     // kind of scale-out: "infiniband", "roce" ...; empty: from the fleet
    bool sharded_weights = false;    // the plan gathers weights layer by layer (ZeRO-3, FSDP)
    std::int64_t software_year = 0;  // of the training stack; 0: current, no longer young
    bool compiled = false;           // a graph compiler fuses the element-wise operators
    bool captured_graphs = false;    // no host work between kernels
    bool fused_accumulation = true;  // products add their weight gradients to the sums themselves
    bool frozen_weights = false;     // adapters only: no weight gradients, no optimizer
    double expert_imbalance = 1.0;   // busiest expert rank over the mean
    bool expert_capacity_fixed =
        false;                    // experts take a fixed number of tokens, the rest is dropped
    double gradient_bytes = 4.0;  // per element, as summed over micro-batches and reduced across
                                  // data-parallel ranks; fp32 is what Megatron-LM does in bf16
    double tokens = 0.0;          // of the whole stage; 0: unknown

    [[nodiscard]] parallel::BatchShape batch() const {
        return {sequence_length, global_batch_sequences};
    }
};

// DeepSpeed's bf16 optimizer adds finished 16-bit gradients to fp32 sums in a pass of its own.
[[nodiscard]] inline bool keeps_gradient_copy(const TrainingJob& job) {
    return job.framework == "deepspeed" && job.dtype == model::Dtype::kBf16;
}

// Bytes of one element of the sum over micro-batches that a weight gradient is added to. All of
// training in fp16 keeps 16-bit sums; in bf16 they are as wide as what is reduced (Megatron-Core:
// one buffer serves both). Engines that gather weights layer by layer sum in fp32.
[[nodiscard]] inline double gradient_sum_bytes(const TrainingJob& job) {
    if (job.dtype == model::Dtype::kFp16) return 2.0;
    return job.sharded_weights || keeps_gradient_copy(job) ? 4.0 : job.gradient_bytes;
}

// Bytes per parameter under the job's formats. DeepSpeed keeps the 16-bit gradients beside the
// sums.
[[nodiscard]] inline parallel::MemoryConstants memory_constants(const TrainingJob& job) {
    parallel::MemoryConstants constants;
    constants.gradient = gradient_sum_bytes(job) + (keeps_gradient_copy(job) ? 2.0 : 0.0);
    if (job.frozen_weights) constants.gradient = constants.optimizer = 0.0;
    return constants;
}

}  // namespace ascertain::cost
