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
        false;                       // experts take a fixed number of tokens, the rest is dropped
    double gradient_bytes = 2.0;     // per element, as reduced across data-parallel ranks
    double tokens = 0.0;             // of the whole stage; 0: unknown

    [[nodiscard]] parallel::BatchShape batch() const {
        return {sequence_length, global_batch_sequences};
    }
};

// DeepSpeed's bf16 optimizer adds finished 16-bit gradients to fp32 sums in a pass of its own.
[[nodiscard]] inline bool keeps_gradient_copy(const TrainingJob& job) {
    return job.framework == "deepspeed" && job.dtype == model::Dtype::kBf16;
}

// Bytes per parameter under the job's formats. All of training in fp16 keeps 16-bit gradients; in
// bf16 they are summed in fp32, and DeepSpeed keeps the 16-bit ones beside the sums.
[[nodiscard]] inline parallel::MemoryConstants memory_constants(const TrainingJob& job) {
    parallel::MemoryConstants constants;
    if (job.dtype == model::Dtype::kFp16)
        constants.gradient = 2.0;
    else if (keeps_gradient_copy(job))
        constants.gradient = 6.0;
    return constants;
}

}  // namespace ascertain::cost
