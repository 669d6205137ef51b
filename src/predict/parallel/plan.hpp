// How a model is spread over a fleet. A plan is plain data; check_plan() says whether it is one.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/architecture.hpp"
#include "model/shard.hpp"

namespace ascertain::parallel {

// What the data-parallel ranks share instead of repeating. arXiv 1910.02054 (ZeRO); HSDP shards
// inside a group and repeats across groups.
enum class Sharding { kNone, kZero1, kZero2, kZero3, kHsdp };

enum class ScheduleKind {
    kNone,  // no pipeline
    kGPipe,
    k1F1B,         // arXiv 2104.04473 section 2.2.1
    kInterleaved,  // arXiv 2104.04473 section 2.2.2
    kZbH1,         // arXiv 2401.10241 section 2.2
    kZbV,          // arXiv 2405.15362
    kDualPipe,     // arXiv 2412.19437 section 3.2.1
    kDualPipeV,    // the cut-in-half form of DualPipe
};

enum class Recompute {
    kNone,
    kSelective,  // core attention only, arXiv 2205.05198 section 5
    kPartial,    // recompute_share of each layer's forward ("every second matmul", some modules)
    kFull,       // every layer
    kBlocks,     // whole layers, recompute_layers of each virtual stage
};

enum class CpKind { kRing, kUlysses, kAllGather };

struct Plan {
    std::int64_t tp = 1;   // tensor parallel
    std::int64_t pp = 1;   // pipeline stages
    std::int64_t vpp = 1;  // model chunks per pipeline rank; 2 for V shapes and DualPipe by nature
    std::int64_t dp = 1;   // data parallel; tp * pp * cp * dp = devices
    std::int64_t cp = 1;   // context parallel
    std::int64_t ep = 1;   // expert parallel, inside tp * cp * dp
    std::int64_t etp = 1;  // tensor parallel degree of an expert
    Sharding sharding = Sharding::kZero1;
    std::int64_t sharding_group = 0;  // ranks that share one copy; 0: dp * cp
    std::int64_t micro_batch = 1;     // sequences
    Recompute recompute = Recompute::kNone;
    std::int64_t recompute_layers = 0;  // kBlocks: layers per device
    double recompute_share = 0.5;       // kPartial: of a layer's forward that is done again
    double recompute_freed = 0.5;       // kPartial: of what a layer saves, the part that it spares
    // Layers per device whose saved activations wait in host memory between forward and backward.
    std::int64_t offload_layers = 0;
    // Layers of each virtual stage in the model's order; empty: as even as possible.
    std::vector<std::int64_t> pipeline_layers;
    ScheduleKind schedule = ScheduleKind::kNone;
    CpKind cp_kind = CpKind::kRing;
    bool sequence_parallel = false;
    bool ends_count_as_layers = false;  // embedding and head take a layer's slot each in the split
    bool flash_attention = true;
    bool partitioned_p2p = false;  // stage boundaries are sent split over the TP group
    // Communication runs beside compute (true) or is waited for.
    bool overlap_tp = false;
    bool overlap_dp = true;
    bool overlap_pp = true;
    bool duplex_p2p = true;  // without overlap: an activation leaves while a gradient arrives
    bool overlap_cp = true;
    bool overlap_ep = false;

    bool operator==(const Plan&) const = default;
};

// The work of one optimizer step that a plan must carry.
struct BatchShape {
    std::int64_t sequence_length = 0;
    std::int64_t global_batch_sequences = 0;
};

// Devices the plan uses: tp * pp * cp * dp.
[[nodiscard]] std::int64_t devices(const Plan& plan);
// Micro-batches that each pipeline runs per step. Exact when check_plan() holds.
[[nodiscard]] std::int64_t micro_batches(const Plan& plan, const BatchShape& batch);
// Ranks over which one copy of the sharded state is spread (dense weights): sharding_group or
// dp*cp.
[[nodiscard]] std::int64_t sharding_ranks(const Plan& plan);
// Data-parallel ranks of an expert: tp * cp * dp / (ep * etp).
[[nodiscard]] std::int64_t expert_data_ranks(const Plan& plan);
// ZeRO-3 or HSDP: weights are gathered layer by layer.
[[nodiscard]] bool shards_weights(const Plan& plan);
// Model chunks per rank: vpp, but 2 for the schedules that are V-shaped or bidirectional.
[[nodiscard]] std::int64_t chunks_per_rank(const Plan& plan);
// Pieces that the layers are cut into: pp * chunks, or pp for DualPipe, whose ranks hold two.
[[nodiscard]] std::int64_t virtual_stages(const Plan& plan);
[[nodiscard]] model::Shard shard_of(const Plan& plan);

// Whether the plan fits the model, the devices and the batch. Allocation-free when it does.
// Errors: kBadInput, where = "plan.tp" and so on, the message saying which sizes contradict.
[[nodiscard]] Result<void> check_plan(const model::Architecture& architecture, const Plan& plan,
                                      std::int64_t devices, const BatchShape& batch);
// The same answer without the reason, for millions of plans.
[[nodiscard]] bool plan_is_valid(const model::Architecture& architecture, const Plan& plan,
                                 std::int64_t devices, const BatchShape& batch);

[[nodiscard]] std::string_view name_of(Sharding sharding);
[[nodiscard]] std::string_view name_of(ScheduleKind schedule);
[[nodiscard]] std::string_view name_of(Recompute recompute);
[[nodiscard]] std::string_view name_of(CpKind kind);

// "tp8 pp8 dp16 zero1 mb1 interleaved x6 selective": for people.
[[nodiscard]] std::string describe(const Plan& plan);

}  // namespace ascertain::parallel
