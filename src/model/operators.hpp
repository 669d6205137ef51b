// Every operator of one training step, with its shape, arithmetic and traffic, as one rank sees it.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/architecture.hpp"
#include "model/parameters.hpp"
#include "model/shard.hpp"

namespace ascertain::model {

// One micro-batch. Tokens are split over CP ranks, not over others.
struct Batch {
    std::int64_t sequences = 1;
    std::int64_t sequence_length = 0;  // tokens; divisible by cp, and with sequence_parallel by tp
    Dtype dtype = Dtype::kBf16;        // activations and weights
    // Operands of linear layers: kFp8 under an fp8 recipe; any other value means `dtype`.
    Dtype linear_dtype = Dtype::kBf16;
};

enum class Phase { kForward, kBackward, kClip, kOptimizer };

enum class OperatorKind {
    kGemm,         // gemm: [m, k] x [k, n]
    kGroupedGemm,  // gemm: `batch` experts share the m rows; each has its own [k, n]
    kAttention,    // attention shape; one operator, fused or not
    kNorm,
    kActivation,
    kRope,
    kEmbedding,
    kCrossEntropy,
    kRouter,   // scores, choice, weights
    kPermute,  // rows gathered by expert, and back
    kElementwise,
    kReduction,  // sums over rows: gradients of biases and norms, norm of all gradients
    kOptimizer,
};

struct GemmShape {
    std::int64_t m = 0;
    std::int64_t n = 0;
    std::int64_t k = 0;
    std::int64_t batch = 1;  // grouped: number of weights; m counts the rows of all of them
                             // together (k in the weight's gradient)
    bool bias = false;       // addmm

    bool operator==(const GemmShape&) const = default;
};

struct AttentionShape {
    std::int64_t sequences = 0;
    std::int64_t heads = 0;
    std::int64_t kv_heads = 0;
    std::int64_t q_length = 0;
    std::int64_t kv_length = 0;  // with CP all tokens of the sequence
    std::int64_t qk_head_dim = 0;
    std::int64_t v_head_dim = 0;
    std::int64_t window = 0;  // 0: all

    bool operator==(const AttentionShape&) const = default;
};

// Which gradient a backward GEMM computes.
enum class Gradient { kNone, kInput, kWeight };

struct Operator {
    std::string_view name;    // "q_proj"; with gradient unique in its block and phase
    std::string_view module;  // "embedding", "attention", "mlp", "moe", "head", "mtp", "parameters"
    Block block = Block::kDenseLayer;
    Phase phase = Phase::kForward;
    Gradient gradient = Gradient::kNone;
    OperatorKind kind = OperatorKind::kElementwise;
    Dtype dtype = Dtype::kBf16;
    std::int64_t count = 1;    // times per pass through one block
    GemmShape gemm;            // kGemm, kGroupedGemm
    AttentionShape attention;  // kAttention
    double elements = 0.0;     // of the largest tensor; parameters for clip and optimizer
    // Of one call. flops_causal leaves out what a causal mask (and a window) makes unnecessary and
    // equals flops for everything but attention.
    double flops = 0.0;
    double flops_causal = 0.0;
    double bytes_read = 0.0;
    double bytes_written = 0.0;
};

// One pass through one block of each kind that the model has: forward in order, then backward in
// order, then clip and optimizer. Routing is balanced: an expert gets its share of the tokens.
// Collectives are not operators. docs/formulas.md#operators derives every line.
// Errors: those of shard_architecture; kBadInput for a batch that does not divide (where =
// "name: batch.sequence_length" ...) and for MoE with tp > 1 whose tokens would be routed twice.
[[nodiscard]] Result<std::vector<Operator>> operators(const Architecture& architecture,
                                                      const Shard& shard, const Batch& batch);

// FLOPs of one step per token, forward and backward, by each convention in use.
// docs/formulas.md#flops-per-token
struct FlopsPerToken {
    double none = 0.0;          // 6 N
    double causal = 0.0;        // 6 N + 3 A
    double full = 0.0;          // 6 N + 6 A
    double hardware_4_3 = 0.0;  // 4/3 (6 N_l + 6 A) + 6 h V: forward recomputed
};
[[nodiscard]] FlopsPerToken flops_per_token(const Architecture& architecture,
                                            std::int64_t sequence_length);

// Key-value pairs that the average query of a sequence sees under a causal mask: half of them, or
// w (1 - w / 2 s) under a window of w < s. The convention of published FLOP counts: the exact mean
// is half a pair more.
[[nodiscard]] double causal_pairs(std::int64_t sequence_length, std::int64_t window);

[[nodiscard]] std::string_view name_of(Phase phase);
[[nodiscard]] std::string_view name_of(Gradient gradient);
[[nodiscard]] std::string_view name_of(OperatorKind kind);

}  // namespace ascertain::model
