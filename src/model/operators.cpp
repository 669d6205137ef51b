#include "model/operators.hpp"

#include "base/assert.hpp"
#include "model/block_writer.hpp"

namespace ascertain::model {
namespace {

double real(std::int64_t value) {
    return static_cast<double>(value);
}

}  // namespace

Result<std::vector<Operator>> operators(const Architecture& architecture, const Shard& shard,
                                        const Batch& batch) {
    const auto view = view_of_rank(architecture, shard, batch);
    if (!view) return view.error();
    std::vector<Operator> out;
    for (const Block block : kBlocks) {
        if (block_count(architecture, block) == 0) continue;
        BlockWriter writer(*view, batch, block);
        switch (block) {
            case Block::kEmbedding: writer.embedding(); break;
            case Block::kDenseLayer: writer.layer(LayerKind::kDense); break;
            case Block::kMoeLayer: writer.layer(LayerKind::kMoe); break;
            case Block::kHead: writer.head(); break;
            case Block::kMtp: writer.mtp(); break;
        }
        writer.parameters();
        writer.append_to(out);
    }
    return out;
}

double causal_pairs(std::int64_t sequence_length, std::int64_t window) {
    const double length = real(sequence_length);
    if (window <= 0 || window >= sequence_length) return length / 2.0;
    return real(window) * (1.0 - real(window) / (2.0 * length));
}

FlopsPerToken flops_per_token(const Architecture& architecture, std::int64_t sequence_length) {
    const ParameterCounts counts = count_parameters(architecture);
    const Attention& t = architecture.attention;
    const double per_pair =
        real(layer_count(architecture)) * real(t.heads) * real(t.head_dim + t.v_head_dim);
    const double full = 6.0 * per_pair * real(sequence_length);
    const double causal = 6.0 * per_pair * causal_pairs(sequence_length, t.sliding_window);
    const double layers = 6.0 * real(counts.multiplied_without_head);
    const double head = 6.0 * real(architecture.vocab_size) * real(architecture.hidden_size);
    return {.none = layers + head,
            .causal = layers + head + causal,
            .full = layers + head + full,
            .hardware_4_3 = 4.0 / 3.0 * (layers + full) + head};
}

std::string_view name_of(Phase phase) {
    switch (phase) {
        case Phase::kForward: return "forward";
        case Phase::kBackward: return "backward";
        case Phase::kClip: return "clip";
        case Phase::kOptimizer: return "optimizer";
    }
    ASCERTAIN_ASSERT(!"unknown phase");
    return {};
}

std::string_view name_of(Gradient gradient) {
    switch (gradient) {
        case Gradient::kNone: return "none";
        case Gradient::kInput: return "input";
        case Gradient::kWeight: return "weight";
    }
    ASCERTAIN_ASSERT(!"unknown gradient");
    return {};
}

std::string_view name_of(OperatorKind kind) {
    switch (kind) {
        case OperatorKind::kGemm: return "gemm";
        case OperatorKind::kGroupedGemm: return "grouped_gemm";
        case OperatorKind::kAttention: return "attention";
        case OperatorKind::kNorm: return "norm";
        case OperatorKind::kActivation: return "activation";
        case OperatorKind::kRope: return "rope";
        case OperatorKind::kEmbedding: return "embedding";
        case OperatorKind::kCrossEntropy: return "cross_entropy";
        case OperatorKind::kRouter: return "router";
        case OperatorKind::kPermute: return "permute";
        case OperatorKind::kElementwise: return "elementwise";
        case OperatorKind::kReduction: return "reduction";
        case OperatorKind::kOptimizer: return "optimizer";
    }
    ASCERTAIN_ASSERT(!"unknown operator kind");
    return {};
}

}  // namespace ascertain::model
