#include "predict/parallel/memory.hpp"

#include <algorithm>
#include <string_view>

#include "model/activations.hpp"
#include "predict/parallel/schedule.hpp"

namespace ascertain::parallel {
namespace {

using model::Block;

bool is_routed_expert(std::string_view role) {
    return role.starts_with("moe.experts");
}

struct Held {
    double dense = 0.0;
    double expert = 0.0;
    Saved saved;  // per micro-batch in flight
    bool head = false;
};

// `count` of a rank's `layers`, as a share.
double share_of(std::int64_t count, std::int64_t layers) {
    return layers > 0 ? std::min(1.0, static_cast<double>(count) / static_cast<double>(layers))
                      : 0.0;
}

// Bytes that one micro-batch leaves in a layer under the plan's recompute policy; `full_share` of
// the layers recompute everything (kBlocks).
double saved_bytes(const ShardFacts::BlockFacts& block, const Plan& plan, double full_share) {
    switch (plan.recompute) {
        case Recompute::kNone: return block.saved_bytes;
        case Recompute::kSelective: return block.saved_selective_bytes;
        case Recompute::kPartial:
            return plan.recompute_freed * block.saved_full_bytes +
                   (1.0 - plan.recompute_freed) * block.saved_bytes;
        case Recompute::kFull: return block.saved_full_bytes;
        case Recompute::kBlocks:
            return full_share * block.saved_full_bytes + (1.0 - full_share) * block.saved_bytes;
    }
    return block.saved_bytes;
}

Held held_by(const ShardFacts& facts, const Plan& plan, const StageShare& stage,
             std::int64_t layers) {
    Held held;
    const auto add = [&](Block block, double count) {
        held.dense += count * facts[block].dense_parameters;
        held.expert += count * facts[block].expert_parameters;
    };
    add(Block::kDenseLayer, stage.dense_layers);
    add(Block::kMoeLayer, stage.moe_layers);
    add(Block::kMtp, stage.mtp_layers);
    held.saved = saved_by_layers(facts, plan, stage, layers);
    if (stage.embedding) {
        add(Block::kEmbedding, 1.0);
        held.saved.device_bytes += facts[Block::kEmbedding].saved_bytes;
    }
    if (stage.head) {
        // The loss of a micro-batch is followed at once by its backward: one copy, never in flight.
        held.dense += facts[Block::kHead].dense_parameters;
        held.head = true;
    }
    return held;
}

// Which stages a pipeline rank holds.
class Placement {
public:
    explicit Placement(const Plan& plan) : chunks_(chunks_per_rank(plan)) {
        order_.kind = plan.schedule;
        order_.ranks = static_cast<std::int32_t>(plan.pp);
    }
    [[nodiscard]] std::int64_t chunks() const { return chunks_; }
    [[nodiscard]] const StageShare& at(const std::vector<StageShare>& stages, std::int64_t rank,
                                       std::int64_t chunk) const {
        return stages[static_cast<std::size_t>(
            order_.stage_of(static_cast<std::int32_t>(rank), static_cast<std::int32_t>(chunk)))];
    }
    [[nodiscard]] bool same_layers(const std::vector<StageShare>& stages, std::int64_t one,
                                   std::int64_t other) const {
        for (std::int64_t chunk = 0; chunk < chunks_; ++chunk)
            if (at(stages, one, chunk) != at(stages, other, chunk)) return false;
        return true;
    }

private:
    Schedule order_;  // only its placement rules are used
    std::int64_t chunks_;
};

std::int64_t process_groups(const Plan& plan) {
    std::int64_t groups = 0;
    for (const std::int64_t degree : {plan.tp, plan.pp, plan.dp * plan.cp, plan.cp, plan.ep})
        if (degree > 1) ++groups;
    return groups;
}

}  // namespace

Result<ShardFacts> shard_facts(const model::Architecture& architecture, const model::Shard& shard,
                               const model::Batch& batch, bool flash_attention) {
    const Result<model::Architecture> local = model::shard_architecture(architecture, shard);
    if (!local) return local.error();
    ShardFacts facts;
    const double tokens = static_cast<double>(batch.sequences * batch.sequence_length / shard.cp);
    const double split = shard.sequence_parallel ? static_cast<double>(shard.tp) : 1.0;
    facts.boundary_bytes = tokens / split * static_cast<double>(architecture.hidden_size) *
                           model::size_bytes(batch.dtype);
    // Beside the fp32 probabilities that the head saves: the logits themselves.
    facts.logits_bytes = tokens * static_cast<double>(architecture.vocab_size) /
                         static_cast<double>(shard.tp) * model::size_bytes(batch.dtype);
    for (const Block block : model::kBlocks) {
        if (model::block_count(architecture, block) == 0) continue;
        ShardFacts::BlockFacts& out = facts.blocks[static_cast<std::size_t>(block)];
        for (const model::Tensor& tensor : model::tensors(*local, block))
            (is_routed_expert(tensor.role) ? out.expert_parameters : out.dense_parameters) +=
                static_cast<double>(tensor.elements());
        if (block == Block::kDenseLayer || block == Block::kMoeLayer)
            facts.layer_parameters_max =
                std::max(facts.layer_parameters_max, out.dense_parameters + out.expert_parameters);
        const auto saved = [&](model::Recompute recompute) -> Result<double> {
            const auto kept = model::saved_activations(architecture, block, shard, batch,
                                                       {flash_attention, recompute});
            if (!kept) return kept.error();
            return model::total_size(*kept).count;
        };
        const Result<double> none = saved(model::Recompute::kNone);
        if (!none) return none.error();
        const Result<double> selective = saved(model::Recompute::kSelective);
        if (!selective) return selective.error();
        const Result<double> full = saved(model::Recompute::kFull);
        if (!full) return full.error();
        out.saved_bytes = *none;
        out.saved_selective_bytes = *selective;
        out.saved_full_bytes = *full;
    }
    return facts;
}

std::int64_t rank_layers(const Plan& plan, const std::vector<StageShare>& stages,
                         std::int64_t rank) {
    const Placement placement(plan);
    std::int64_t layers = 0;
    for (std::int64_t chunk = 0; chunk < placement.chunks(); ++chunk)
        layers += placement.at(stages, rank, chunk).layers();
    return layers;
}

Saved saved_by_layers(const ShardFacts& facts, const Plan& plan, const StageShare& stage,
                      std::int64_t rank_layers) {
    const double full_share = share_of(plan.recompute_layers, rank_layers);
    const double away = share_of(plan.offload_layers, rank_layers);
    Saved saved;
    const auto add = [&](Block block, double count, double host_share) {
        if (count <= 0.0) return;
        const double bytes = count * saved_bytes(facts[block], plan, full_share);
        saved.device_bytes += (1.0 - host_share) * bytes;
        saved.host_bytes += host_share * bytes;
    };
    add(Block::kDenseLayer, stage.dense_layers, away);
    add(Block::kMoeLayer, stage.moe_layers, away);
    add(Block::kMtp, stage.mtp_layers, 0.0);
    return saved;
}

MemoryParts rank_memory(const ShardFacts& facts, const Plan& plan, const BatchShape& batch,
                        const std::vector<StageShare>& stages, const MemoryConstants& constants,
                        std::int64_t rank) {
    const Placement placement(plan);
    const std::int64_t chunks = placement.chunks();
    const std::int64_t layers = rank_layers(plan, stages, rank);
    Held held;
    bool head_here = false;
    for (std::int64_t chunk = 0; chunk < chunks; ++chunk) {
        const Held part = held_by(facts, plan, placement.at(stages, rank, chunk), layers);
        held.dense += part.dense;
        held.expert += part.expert;
        held.saved.device_bytes += part.saved.device_bytes;
        held.saved.host_bytes += part.saved.host_bytes;
        head_here = head_here || part.head;
    }
    const double parameters = held.dense + held.expert;
    const double dense_share = 1.0 / static_cast<double>(sharding_ranks(plan));
    const double expert_ranks =
        static_cast<double>(std::max<std::int64_t>(1, expert_data_ranks(plan)));
    const double expert_share =
        1.0 / std::min(expert_ranks, static_cast<double>(sharding_ranks(plan)) * expert_ranks /
                                         static_cast<double>(plan.dp * plan.cp));
    const double sharded = held.dense * dense_share + held.expert * expert_share;
    const bool shard_state = plan.sharding != Sharding::kNone;
    const bool shard_gradients = shard_state && plan.sharding != Sharding::kZero1;
    const bool shard_weights =
        plan.sharding == Sharding::kZero3 || plan.sharding == Sharding::kHsdp;

    MemoryParts parts;
    parts.rank = rank;
    // ZeRO-3 keeps its share in fp32 as the master copy and gathers two layers in the working
    // precision.
    parts.weights = Bytes{constants.weight * (shard_weights ? 0.0 : parameters)};
    parts.gradients = Bytes{constants.gradient * (shard_gradients ? sharded : parameters)};
    parts.optimizer = Bytes{constants.optimizer * (shard_state ? sharded : parameters)};
    const double in_flight =
        static_cast<double>(
            in_flight_bound(plan.schedule, plan.pp, chunks, micro_batches(plan, batch), rank)) /
        static_cast<double>(chunks);
    // While one layer is recomputed, its own activations exist beside the kept inputs. On their way
    // to the host or back are two layers at a time.
    const double layer_bytes =
        std::max(facts[Block::kDenseLayer].saved_bytes, facts[Block::kMoeLayer].saved_bytes);
    double working = 0.0;
    if (plan.recompute == Recompute::kFull || plan.recompute == Recompute::kBlocks)
        working = layer_bytes;
    if (held.saved.host_bytes > 0.0) working += std::min(2.0 * layer_bytes, held.saved.host_bytes);
    parts.activations = Bytes{in_flight * held.saved.device_bytes + working};
    parts.host = Bytes{in_flight * held.saved.host_bytes};
    if (head_here) parts.logits = Bytes{facts.logits_bytes + facts[Block::kHead].saved_bytes};
    parts.buffers = constants.buffer_per_group * static_cast<double>(process_groups(plan));
    if (shard_weights) parts.buffers += Bytes{2.0 * constants.weight * facts.layer_parameters_max};
    const Bytes held_bytes =
        parts.weights + parts.gradients + parts.optimizer + parts.activations + parts.logits;
    parts.reserve = constants.context + held_bytes * constants.fragmentation;
    return parts;
}

MemoryParts peak_memory(const ShardFacts& facts, const Plan& plan, const BatchShape& batch,
                        const std::vector<StageShare>& stages, const MemoryConstants& constants) {
    const Placement placement(plan);
    MemoryParts worst = rank_memory(facts, plan, batch, stages, constants, 0);
    for (std::int64_t rank = 1; rank < plan.pp; ++rank) {
        // No rank has more in flight than the one before it (in_flight_bound): with the same layers
        // it needs no more.
        if (placement.same_layers(stages, rank - 1, rank)) continue;
        const MemoryParts parts = rank_memory(facts, plan, batch, stages, constants, rank);
        if (parts.total() > worst.total()) worst = parts;
    }
    return worst;
}

}  // namespace ascertain::parallel
