#include "predict/cost/layer.hpp"

#include <algorithm>

namespace ascertain::cost {
namespace {

using model::Block;
using parallel::Plan;
using enum Constant;

constexpr double kBackwardLaunches = 1.6;  // kernels of a layer's backward over its forward's

model::Batch batch_of(const TrainingJob& job, const Plan& plan) {
    model::Batch batch;
    batch.sequences = plan.micro_batch;
    batch.sequence_length = job.sequence_length;
    batch.dtype = job.dtype;
    batch.linear_dtype = job.linear == LinearFormat::kSame ? job.dtype : model::Dtype::kFp8;
    return batch;
}

// Compute of one block.
BlockSeconds compute_seconds(const std::vector<OperatorWork>& operators, const Plan& plan,
                             const TrainingJob& job, const Machine& machine) {
    BlockSeconds out;
    for (const OperatorWork& work : operators) {
        if (work.family == OperatorWork::Class::kUpdate) continue;
        if (work.weight_gradient && job.frozen_weights) continue;
        double seconds = seconds_of(work, machine, job, plan.flash_attention);
        if (work.family == OperatorWork::Class::kGrouped) seconds *= job.expert_imbalance;
        PassSeconds& pass = work.phase == model::Phase::kForward
                                ? out.forward
                                : (work.weight_gradient ? out.weight : out.input);
        switch (work.family) {
            case OperatorWork::Class::kMatrix:
            case OperatorWork::Class::kGrouped: pass.matrix += seconds; break;
            case OperatorWork::Class::kAttention: pass.attention += seconds; break;
            default: pass.stream += seconds; break;
        }
    }
    return out;
}

// Tensor parallelism: `halves` of a layer each gather and scatter (or all-reduce) the stream once
// per direction. Megatron-LM, arXiv 1909.08053 section 3; sequence parallel form arXiv 2205.05198.
void add_tensor_traffic(BlockSeconds& block, double halves, const ShardWork& work, const Plan& plan,
                        const TrainingJob& job, const Machine& machine) {
    if (plan.tp <= 1 || halves <= 0.0) return;
    const GroupShape group = GroupShape::of(machine, static_cast<double>(plan.tp), 1.0);
    const double bytes = work.tokens * work.hidden_bytes;
    // Operands that are gathered for an 8-bit product travel as 8 bits where gather and product are
    // one pipeline (TransformerEngine's user buffers).
    const bool narrow = plan.overlap_tp && job.linear != LinearFormat::kSame;
    const double gathered = narrow ? bytes / model::size_bytes(job.dtype) : bytes;
    const double once =
        plan.sequence_parallel
            ? collective_seconds(machine, Collective::kAllGather, gathered, group) +
                  collective_seconds(machine, Collective::kReduceScatter, bytes, group)
            : collective_seconds(machine, Collective::kAllReduce, bytes, group);
    const double traffic = halves * once;
    const auto wait = [&](double compute) {
        if (!plan.overlap_tp) return traffic;
        // Products are cut in tp pieces; the first or last piece cannot be hidden.
        const double pieces = 1.0 - 1.0 / static_cast<double>(plan.tp);
        return traffic - pieces * (traffic - exposed(traffic, compute, machine.c(kTpContention)));
    };
    block.forward.tp += wait(block.forward.matrix);
    block.input.tp += wait(block.input.matrix + block.weight.matrix);
}

void add_context_traffic(BlockSeconds& block, const ShardWork& work, const Plan& plan,
                         const Machine& machine) {
    if (plan.cp <= 1) return;
    const double ranks = static_cast<double>(plan.cp);
    const GroupShape group = GroupShape::of(machine, ranks, static_cast<double>(plan.tp));
    double forward = 0.0;
    double backward = 0.0;
    if (plan.cp_kind == parallel::CpKind::kUlysses) {
        // Heads are exchanged for tokens and back: queries, keys, values, context.
        forward = collective_seconds(machine, Collective::kAllToAll,
                                     work.tokens * work.head_row_bytes, group);
        backward = forward;
        block.forward.cp += forward;
        block.input.cp += backward;
        return;
    }
    // Keys and values of the other ranks arrive; backward they come again and their gradients
    // leave.
    const double bytes = work.tokens * work.kv_row_bytes * ranks;
    forward = collective_seconds(machine, Collective::kAllGather, bytes, group);
    backward = 2.0 * forward;
    const bool beside = plan.overlap_cp && plan.cp_kind == parallel::CpKind::kRing;
    const double contention = beside ? machine.c(kCpContention) : 1.0;
    block.forward.cp += exposed(forward, beside ? block.forward.attention : 0.0, contention);
    block.input.cp += exposed(backward, beside ? block.input.attention : 0.0, contention);
}

void add_expert_traffic(BlockSeconds& block, const ShardWork& work, const Plan& plan,
                        const TrainingJob& job, const Machine& machine) {
    if (plan.ep <= 1 && plan.etp <= 1) return;
    double traffic = 0.0;
    if (plan.ep > 1) {
        const GroupShape group =
            GroupShape::of(machine, static_cast<double>(plan.ep), static_cast<double>(plan.etp));
        ExpertTraffic rows;
        rows.rows = work.stream_tokens * work.experts_chosen;
        rows.row_bytes = work.hidden_bytes;
        rows.choices = work.experts_chosen;
        rows.domains_per_token_max = work.expert_groups_max;
        rows.imbalance = job.expert_imbalance;
        traffic += 2.0 * expert_exchange_seconds(machine, rows, group);  // dispatch, combine
    }
    if (plan.etp > 1) {
        const GroupShape group = GroupShape::of(machine, static_cast<double>(plan.etp), 1.0);
        const double bytes = work.stream_tokens * work.experts_chosen * work.hidden_bytes *
                             static_cast<double>(plan.etp);
        traffic += collective_seconds(machine, Collective::kAllGather, bytes, group) +
                   collective_seconds(machine, Collective::kReduceScatter, bytes, group);
    }
    const auto wait = [&](double compute) {
        return plan.overlap_ep ? exposed(traffic, compute, machine.c(kEpContention)) : traffic;
    };
    block.forward.ep += wait(block.forward.compute());
    block.input.ep += wait(block.input.compute() + block.weight.compute());
}

// A layer cannot run faster than the host launches it. Where experts take whatever tokens come, the
// host must first read how many: what it launches after that is not queued ahead.
void add_host_floor(BlockSeconds& block, bool experts, const TrainingJob& job,
                    const Machine& machine) {
    if (job.captured_graphs) return;
    const double forward_floor =
        machine.c(experts && !job.expert_capacity_fixed ? kExpertHostFloor : kHostFloor);
    const double backward_floor = forward_floor * kBackwardLaunches;
    block.forward.host += std::max(0.0, forward_floor - block.forward.total());
    block.input.host += std::max(0.0, backward_floor - block.backward());
}

}  // namespace

PassSeconds& PassSeconds::operator+=(const PassSeconds& other) {
    matrix += other.matrix;
    attention += other.attention;
    stream += other.stream;
    host += other.host;
    tp += other.tp;
    cp += other.cp;
    ep += other.ep;
    return *this;
}

PassSeconds PassSeconds::scaled(double factor) const {
    return {matrix * factor, attention * factor, stream * factor, host * factor,
            tp * factor,     cp * factor,        ep * factor};
}

Result<ShardWork> shard_work(const model::Architecture& architecture, const Plan& plan,
                             const TrainingJob& job) {
    const model::Shard shard = parallel::shard_of(plan);
    const model::Batch batch = batch_of(job, plan);
    const auto operators = model::operators(architecture, shard, batch);
    if (!operators) return operators.error();
    Result<parallel::ShardFacts> facts =
        parallel::shard_facts(architecture, shard, batch, plan.flash_attention);
    if (!facts) return facts.error();
    ShardWork work;
    work.facts = std::move(facts).value();
    for (const Block block : model::kBlocks)
        work.blocks[static_cast<std::size_t>(block)] = work_of(*operators, block);
    const double element = model::size_bytes(job.dtype);
    const double tp = static_cast<double>(plan.tp);
    work.tokens = static_cast<double>(plan.micro_batch * job.sequence_length / plan.cp);
    work.stream_tokens = work.tokens / (shard.sequence_parallel ? tp : 1.0);
    work.hidden_bytes = static_cast<double>(architecture.hidden_size) * element;
    const model::Attention& attention = architecture.attention;
    const double heads = static_cast<double>(attention.heads) / tp;
    const double kv_heads = std::max(1.0, static_cast<double>(attention.kv_heads) / tp);
    const double key_and_value = static_cast<double>(attention.head_dim + attention.v_head_dim);
    work.kv_row_bytes = kv_heads * key_and_value * element;
    work.head_row_bytes = (heads + kv_heads) * key_and_value * element;
    work.experts_chosen = static_cast<double>(architecture.moe.topk);
    work.expert_groups_max =
        architecture.moe.groups > 1 ? static_cast<double>(architecture.moe.topk_groups) : 0.0;
    work.shared_experts = architecture.moe.shared_experts > 0;
    return work;
}

BlockTable block_seconds(const ShardWork& work, const Plan& plan, const TrainingJob& job,
                         const Machine& machine) {
    BlockTable table;
    for (const Block block : model::kBlocks) {
        const auto& operators = work.blocks[static_cast<std::size_t>(block)];
        if (operators.empty()) continue;
        BlockSeconds& out = table[static_cast<std::size_t>(block)];
        out = compute_seconds(operators, plan, job, machine);
        const bool layer =
            block == Block::kDenseLayer || block == Block::kMoeLayer || block == Block::kMtp;
        // An MTP module is a layer of the last kind beside a head; its experts exchange like them.
        const bool experts =
            block == Block::kMoeLayer || (block == Block::kMtp && work.experts_chosen > 0.0);
        double halves = layer ? 2.0 : 0.5;
        if (experts && !work.shared_experts) halves -= 1.0;
        if (block == Block::kMtp) halves += 1.0;
        add_tensor_traffic(out, halves, work, plan, job, machine);
        if (layer) add_context_traffic(out, work, plan, machine);
        if (experts) add_expert_traffic(out, work, plan, job, machine);
        if (layer) add_host_floor(out, experts, job, machine);
    }
    return table;
}

}  // namespace ascertain::cost
