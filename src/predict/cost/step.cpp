#include "predict/cost/step.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "model/operators.hpp"
#include "predict/cost/collective.hpp"

namespace ascertain::cost {
namespace {

using model::Architecture;
using model::Block;
using parallel::Plan;
using parallel::Recompute;
using parallel::ScheduleKind;
using parallel::Sharding;
using parallel::StageShare;
using enum Constant;

constexpr double kOptimizerBytes = 30.0;  // read gradient, master, moments; write them and the copy

constexpr std::array<std::string_view, kPartCount> kPartNames{
    "matrix",     "attention",  "memory_bound", "recompute",       "host",       "tp_exposed",
    "cp_exposed", "ep_exposed", "fsdp_exposed", "offload_exposed", "pp_exposed", "bubble",
    "dp_exposed", "optimizer",  "overhead",     "straggler",       "level"};

std::size_t index(Part part) {
    return static_cast<std::size_t>(part);
}

// One pass of a micro-batch through a virtual stage.
struct StageSeconds {
    PassSeconds forward;
    PassSeconds input;
    PassSeconds weight;
    double recompute = 0.0;
    double fsdp_forward = 0.0;
    double fsdp_backward = 0.0;
    double offload_forward = 0.0;
    double offload_backward = 0.0;
    double parameters = 0.0;  // dense, of this stage on one rank
    double expert_parameters = 0.0;
};

// Forward work that is done again during backward, per layer.
double recomputed(const BlockSeconds& block, const Plan& plan, double full_share) {
    const PassSeconds& forward = block.forward;
    switch (plan.recompute) {
        case Recompute::kNone: return 0.0;
        case Recompute::kSelective: return forward.attention;
        case Recompute::kPartial: return plan.recompute_share * forward.total();
        case Recompute::kFull: return forward.total();
        case Recompute::kBlocks: return full_share * forward.total();
    }
    return 0.0;
}

// ZeRO-3 gathers a layer's weights before each pass and scatters its gradients after the last.
void add_gathers(StageSeconds& stage, const BlockSeconds& block,
                 const parallel::ShardFacts::BlockFacts& facts, double count, const Plan& plan,
                 const TrainingJob& job, const Machine& machine) {
    if (!parallel::shards_weights(plan)) return;
    const auto traffic = [&](double parameters, double ranks, double stride, double bytes,
                             Collective kind) {
        return collective_seconds(machine, kind, parameters * bytes,
                                  GroupShape::of(machine, ranks, stride));
    };
    const double element = model::size_bytes(job.dtype);
    const double group = static_cast<double>(parallel::sharding_ranks(plan));
    const double expert_group =
        static_cast<double>(std::max<std::int64_t>(1, parallel::expert_data_ranks(plan)));
    const double stride = static_cast<double>(plan.tp);
    const double expert_stride = static_cast<double>(plan.ep * plan.etp);
    const double gather =
        traffic(facts.dense_parameters, group, stride, element, Collective::kAllGather) +
        (facts.expert_parameters > 0.0 ? traffic(facts.expert_parameters, expert_group,
                                                 expert_stride, element, Collective::kAllGather)
                                       : 0.0);
    double scatter = 0.0;
    if (!job.frozen_weights)
        scatter = traffic(facts.dense_parameters, group, stride, job.gradient_bytes,
                          Collective::kReduceScatter) +
                  (facts.expert_parameters > 0.0
                       ? traffic(facts.expert_parameters, expert_group, expert_stride,
                                 job.gradient_bytes, Collective::kReduceScatter)
                       : 0.0);
    const double contention = plan.overlap_dp ? machine.c(kFsdpContention) : 1.0;
    stage.fsdp_forward += count * exposed(gather, block.forward.total(), contention);
    stage.fsdp_backward += count * exposed(gather + scatter, block.backward(), contention);
}

class StepBuilder {
public:
    StepBuilder(const Architecture& architecture, const TrainingJob& job, const Plan& plan,
                const Machine& machine, const ShardWork& work, const BlockTable& blocks,
                Workspace& space)
        : a_(architecture),
          job_(job),
          plan_(plan),
          machine_(machine),
          work_(work),
          blocks_(blocks),
          space_(space) {
        parallel::lay_out_stages(a_, plan_, space_.stages);
        steps_ = static_cast<double>(parallel::micro_batches(plan_, job_.batch()));
        chunks_ = parallel::chunks_per_rank(plan_);
        space_.schedule.kind = plan_.schedule;
        space_.schedule.ranks = static_cast<std::int32_t>(plan_.pp);
    }

    Result<StepSeconds> run(Precision precision) {
        fill_times();
        Result<double> pipeline = pipeline_seconds(precision);
        if (!pipeline) return pipeline.error();
        StepSeconds out;
        PartSeconds& parts = out.parts;
        const double busy = add_rank_means(parts);
        // First, middle and last rank: the ends hold the vocabulary.
        const std::array<RankLoad, 3> loads{rank_load(0), rank_load(plan_.pp / 2),
                                            rank_load(plan_.pp - 1)};
        parts[index(Part::kBubble)] = std::max(0.0, *pipeline - busy);
        parts[index(Part::kDp)] = data_parallel_seconds(loads);
        parts[index(Part::kOptimizer)] = optimizer_seconds(loads);
        parts[index(Part::kOverhead)] = machine_.c(kStepOverhead);
        double sum = std::accumulate(parts.begin(), parts.end(), 0.0);
        const double nodes = std::max(1.0, machine_.devices / machine_.devices_per_node);
        parts[index(Part::kStraggler)] = sum * machine_.c(kStraggler) * std::log2(nodes);
        sum += parts[index(Part::kStraggler)];
        parts[index(Part::kLevel)] = sum * (machine_.c(kLevel) - 1.0);
        out.step_s = sum + parts[index(Part::kLevel)];
        return out;
    }

private:
    [[nodiscard]] std::size_t stage_at(std::int64_t rank, std::int64_t chunk) const {
        return static_cast<std::size_t>(space_.schedule.stage_of(static_cast<std::int32_t>(rank),
                                                                 static_cast<std::int32_t>(chunk)));
    }
    // Layers of the rank that holds a stage, whose chunks are as long as this one.
    [[nodiscard]] std::int64_t rank_layers_of(const StageShare& stage) const {
        return stage.layers() * chunks_;
    }
    [[nodiscard]] double full_share(const StageShare& stage) const {
        const double layers = static_cast<double>(rank_layers_of(stage));
        return layers > 0.0 ? std::min(1.0, static_cast<double>(plan_.recompute_layers) / layers)
                            : 0.0;
    }

    // What leaves for the host travels beside the stage's own work, out and in alike; longer
    // transfers are waited for.
    void add_offload(StageSeconds& out, const StageShare& stage) const {
        if (plan_.offload_layers <= 0) return;
        const double bytes =
            parallel::saved_by_layers(work_.facts, plan_, stage, rank_layers_of(stage)).host_bytes;
        const double transfer_s = bytes / machine_.host_rate();
        out.offload_forward = exposed(transfer_s, out.forward.total(), 0.0);
        out.offload_backward =
            exposed(transfer_s, out.input.total() + out.recompute + out.weight.total(), 0.0);
    }

    [[nodiscard]] StageSeconds price(const StageShare& stage) const {
        StageSeconds out;
        const auto add = [&](Block block, double count, bool layer) {
            if (count <= 0.0) return;
            const BlockSeconds& one = blocks_[static_cast<std::size_t>(block)];
            out.forward += one.forward.scaled(count);
            out.input += one.input.scaled(count);
            out.weight += one.weight.scaled(count);
            if (layer) out.recompute += count * recomputed(one, plan_, full_share(stage));
            const auto& facts = work_.facts[block];
            out.parameters += count * facts.dense_parameters;
            out.expert_parameters += count * facts.expert_parameters;
            add_gathers(out, one, facts, count, plan_, job_, machine_);
        };
        add(Block::kDenseLayer, stage.dense_layers, true);
        add(Block::kMoeLayer, stage.moe_layers, true);
        add(Block::kMtp, stage.mtp_layers, true);
        if (stage.embedding) add(Block::kEmbedding, 1.0, false);
        if (stage.head) add(Block::kHead, 1.0, false);
        add_offload(out, stage);
        return out;
    }

    // Equal neighbours are common: price a stage only when it differs from the one before.
    void fill_times() {
        const std::size_t count = space_.stages.size();
        parallel::StageTimes& times = space_.times;
        times.forward.resize(count);
        times.input_gradient.resize(count);
        times.weight_gradient.resize(count);
        times.send.resize(count);
        times.pair_saving = 0.0;
        transfer_ = transfer_seconds();
        // A stack that sends and receives between two passes holds the rank all the time.
        const double held = transfer_ * (plan_.overlap_pp ? machine_.c(kPpExposed) : 1.0);
        const bool both_ends = !plan_.overlap_pp && !plan_.duplex_p2p;
        sum_ = StageSeconds{};
        held_ = 0.0;
        StageSeconds priced;
        for (std::size_t i = 0; i < count; ++i) {
            const StageShare& stage = space_.stages[i];
            const bool same = i > 0 && stage.dense_layers == space_.stages[i - 1].dense_layers &&
                              stage.moe_layers == space_.stages[i - 1].moe_layers &&
                              !stage.embedding && !space_.stages[i - 1].embedding && !stage.head &&
                              stage.mtp_layers == 0;
            if (!same) priced = price(stage);
            // A rank is held by what it sends, and by what it receives unless that comes meanwhile.
            const double after = i + 1 < count ? held : 0.0;
            const double before = i > 0 ? held : 0.0;
            const double forward_held = after + (both_ends ? before : 0.0);
            const double backward_held = before + (both_ends ? after : 0.0);
            times.forward[i] = priced.forward.total() + priced.fsdp_forward +
                               priced.offload_forward + forward_held;
            times.input_gradient[i] = priced.input.total() + priced.recompute +
                                      priced.fsdp_backward + priced.offload_backward +
                                      backward_held;
            times.weight_gradient[i] = priced.weight.total();
            times.send[i] = plan_.overlap_pp ? transfer_ : 0.0;  // else it is in the passes already
            sum_.forward += priced.forward;
            sum_.input += priced.input;
            sum_.weight += priced.weight;
            sum_.recompute += priced.recompute;
            sum_.fsdp_forward += priced.fsdp_forward;
            sum_.fsdp_backward += priced.fsdp_backward;
            sum_.offload_forward += priced.offload_forward;
            sum_.offload_backward += priced.offload_backward;
            held_ += forward_held + backward_held;
            parameters_max_ = std::max(parameters_max_, priced.parameters);
        }
    }

    // One activation to the next stage.
    [[nodiscard]] double transfer_seconds() const {
        if (plan_.pp <= 1) return 0.0;
        double bytes = work_.stream_tokens * work_.hidden_bytes;
        if (plan_.partitioned_p2p && !plan_.sequence_parallel)
            bytes /= static_cast<double>(plan_.tp);
        const double stride = static_cast<double>(plan_.tp * plan_.cp * plan_.dp);
        const GroupShape pair = GroupShape::of(machine_, 2.0, stride);
        return collective_seconds(machine_, Collective::kSendReceive, bytes, pair);
    }

    Result<double> pipeline_seconds(Precision precision) {
        const parallel::StageTimes& times = space_.times;
        if (plan_.pp == 1)
            return steps_ * (times.forward[0] + times.input_gradient[0] + times.weight_gradient[0]);
        if (precision == Precision::kBound) return bound();
        const std::int64_t all = static_cast<std::int64_t>(steps_);
        const std::int64_t few = 4 * plan_.pp;
        if (precision == Precision::kPeriod && all > 2 * few && all % plan_.pp == 0) {
            const Result<double> shorter = relaxed(few);
            if (!shorter) return shorter.error();
            const Result<double> longer = relaxed(few + plan_.pp);
            if (!longer) return longer.error();
            const double period = (*longer - *shorter) / static_cast<double>(plan_.pp);
            return *shorter + period * static_cast<double>(all - few);
        }
        return relaxed(all);
    }

    Result<double> relaxed(std::int64_t micro_batches) {
        parallel::build_schedule(plan_.schedule, plan_.pp, chunks_, micro_batches, space_.schedule);
        const Result<void> done = parallel::relax(space_.schedule, space_.times, space_.relaxation);
        if (!done) return done.error();
        return space_.relaxation.makespan;
    }

    // No schedule beats its busiest rank, nor that rank's wait for the first micro-batch, nor
    // (where backward is one piece) the way home of its last. docs/formulas.md#pipeline-bound
    [[nodiscard]] double bound() const {
        const parallel::StageTimes& t = space_.times;
        const bool one_pipe = plan_.schedule != ScheduleKind::kDualPipe;
        const bool joint = plan_.schedule == ScheduleKind::kGPipe ||
                           plan_.schedule == ScheduleKind::k1F1B ||
                           plan_.schedule == ScheduleKind::kInterleaved;
        const double per_chunk = plan_.schedule == ScheduleKind::kDualPipe ? steps_ / 2.0 : steps_;
        double best = 0.0;
        double fill = 0.0;
        double drain = 0.0;
        for (std::int64_t rank = 0; rank < plan_.pp; ++rank) {
            double busy = 0.0;
            for (std::int64_t chunk = 0; chunk < chunks_; ++chunk) {
                const std::size_t s = stage_at(rank, chunk);
                busy += per_chunk * (t.forward[s] + t.input_gradient[s] + t.weight_gradient[s]);
            }
            best = std::max(best, busy + (one_pipe ? fill : 0.0) + (joint ? drain : 0.0));
            const auto s = static_cast<std::size_t>(rank);
            fill += t.forward[s] + t.send[s];
            drain += t.input_gradient[s] + t.weight_gradient[s] + t.send[s];
        }
        return best;
    }

    // Parts as the mean over ranks of what they do; returns their sum.
    double add_rank_means(PartSeconds& parts) const {
        const double scale = steps_ / static_cast<double>(plan_.pp);
        for (const PassSeconds* pass : {&sum_.forward, &sum_.input, &sum_.weight}) {
            parts[index(Part::kMatrix)] += scale * pass->matrix;
            parts[index(Part::kAttention)] += scale * pass->attention;
            parts[index(Part::kStream)] += scale * pass->stream;
            parts[index(Part::kHost)] += scale * pass->host;
            parts[index(Part::kTp)] += scale * pass->tp;
            parts[index(Part::kCp)] += scale * pass->cp;
            parts[index(Part::kEp)] += scale * pass->ep;
        }
        parts[index(Part::kRecompute)] += scale * sum_.recompute;
        parts[index(Part::kFsdp)] += scale * (sum_.fsdp_forward + sum_.fsdp_backward);
        parts[index(Part::kOffload)] += scale * (sum_.offload_forward + sum_.offload_backward);
        parts[index(Part::kPp)] += scale * held_;
        return std::accumulate(parts.begin(), parts.end(), 0.0);
    }

    struct RankLoad {
        double dense = 0.0;
        double expert = 0.0;
        double forward = 0.0;  // one micro-batch through all chunks
        double backward = 0.0;
    };
    [[nodiscard]] RankLoad rank_load(std::int64_t rank) const {
        RankLoad load;
        const parallel::StageTimes& t = space_.times;
        for (std::int64_t chunk = 0; chunk < chunks_; ++chunk) {
            const std::size_t s = stage_at(rank, chunk);
            const StageShare& stage = space_.stages[s];
            const auto add = [&](Block block, double count) {
                load.dense += count * work_.facts[block].dense_parameters;
                load.expert += count * work_.facts[block].expert_parameters;
            };
            add(Block::kDenseLayer, stage.dense_layers);
            add(Block::kMoeLayer, stage.moe_layers);
            add(Block::kMtp, stage.mtp_layers);
            if (stage.embedding) add(Block::kEmbedding, 1.0);
            if (stage.head) add(Block::kHead, 1.0);
            load.forward += t.forward[s];
            load.backward += t.input_gradient[s] + t.weight_gradient[s];
        }
        return load;
    }

    // Gradients and parameters across data-parallel ranks, as far as they are waited for.
    [[nodiscard]] double data_parallel_seconds(const std::array<RankLoad, 3>& loads) const {
        if (job_.frozen_weights) return 0.0;
        double worst = 0.0;
        for (const RankLoad& load : loads) worst = std::max(worst, exposed_sync(load));
        return worst + tied_embedding_seconds();
    }

    [[nodiscard]] double exposed_sync(const RankLoad& load) const {
        const double replicas = static_cast<double>(plan_.dp * plan_.cp);
        const double group = static_cast<double>(parallel::sharding_ranks(plan_));
        const double stride = static_cast<double>(plan_.tp);
        const double expert_ranks =
            static_cast<double>(std::max<std::int64_t>(1, parallel::expert_data_ranks(plan_)));
        const GroupShape experts =
            GroupShape::of(machine_, expert_ranks, static_cast<double>(plan_.ep * plan_.etp));
        const double element = model::size_bytes(job_.dtype);
        const double gradient_bytes = job_.gradient_bytes * load.dense;
        const auto time = [&](Collective kind, double bytes, const GroupShape& shape) {
            return collective_seconds(machine_, kind, bytes, shape);
        };
        double gradients = 0.0;
        double weights = 0.0;
        if (plan_.sharding == Sharding::kNone) {
            gradients = time(Collective::kAllReduce, gradient_bytes,
                             GroupShape::of(machine_, replicas, stride)) +
                        time(Collective::kAllReduce, job_.gradient_bytes * load.expert, experts);
        } else {
            const GroupShape inside = GroupShape::of(machine_, group, stride);
            if (plan_.sharding == Sharding::kZero1 || plan_.sharding == Sharding::kZero2) {
                gradients =
                    time(Collective::kReduceScatter, gradient_bytes, inside) +
                    time(Collective::kReduceScatter, job_.gradient_bytes * load.expert, experts);
                weights = time(Collective::kAllGather, element * load.dense, inside) +
                          time(Collective::kAllGather, element * load.expert, experts);
            }
            if (group < replicas)
                gradients += time(Collective::kAllReduce, gradient_bytes / group,
                                  GroupShape::of(machine_, replicas / group, stride * group));
        }
        if (!plan_.overlap_dp) return gradients + weights;
        const double contention = machine_.c(kDpContention);
        const double window = sync_window();
        return exposed(gradients, window * load.backward, contention) +
               exposed(weights, window * load.forward, contention);
    }

    // Micro-batches of work beside which a rank's gradients (and, forward, its parameters) travel:
    // the last one, and with several chunks a rank, whose micro-batches go round in groups of pp,
    // the group's passes through all chunks but one.
    [[nodiscard]] double sync_window() const {
        const double chunks = static_cast<double>(chunks_);
        const double group = std::min(static_cast<double>(plan_.pp), steps_);
        return 1.0 / chunks + (chunks - 1.0) / chunks * group;
    }

    // A matrix that first and last stage share is summed between them.
    [[nodiscard]] double tied_embedding_seconds() const {
        if (!a_.tied_embeddings || plan_.pp <= 1 || parallel::virtual_stages(plan_) == 1)
            return 0.0;
        const double bytes = work_.facts[Block::kEmbedding].dense_parameters * job_.gradient_bytes;
        const GroupShape pair =
            GroupShape::of(machine_, 2.0, static_cast<double>(plan_.tp * plan_.cp * plan_.dp));
        return collective_seconds(machine_, Collective::kAllReduce, bytes, pair);
    }

    [[nodiscard]] double optimizer_seconds(const std::array<RankLoad, 3>& loads) const {
        if (job_.frozen_weights) return 0.0;
        double worst = 0.0;
        for (const RankLoad& load : loads) {
            const bool sharded = plan_.sharding != Sharding::kNone;
            const double dense_ranks =
                sharded ? static_cast<double>(parallel::sharding_ranks(plan_)) : 1.0;
            const double expert_ranks = sharded ? static_cast<double>(std::max<std::int64_t>(
                                                      1, parallel::expert_data_ranks(plan_)))
                                                : 1.0;
            worst = std::max(worst, load.dense / dense_ranks + load.expert / expert_ranks);
        }
        return worst * kOptimizerBytes * machine_.c(kOptimizerTraffic) / machine_.memory_rate();
    }

    const Architecture& a_;
    const TrainingJob& job_;
    const Plan& plan_;
    const Machine& machine_;
    const ShardWork& work_;
    const BlockTable& blocks_;
    Workspace& space_;
    double steps_ = 1.0;
    std::int64_t chunks_ = 1;
    double transfer_ = 0.0;
    double held_ = 0.0;
    double parameters_max_ = 0.0;
    StageSeconds sum_;
};

}  // namespace

std::string_view name_of(Part part) {
    return kPartNames[index(part)];
}

Result<StepSeconds> step_seconds(const Architecture& architecture, const TrainingJob& job,
                                 const Plan& plan, const Machine& machine, const ShardWork& work,
                                 const BlockTable& blocks, Precision precision, Workspace& space) {
    return StepBuilder(architecture, job, plan, machine, work, blocks, space).run(precision);
}

}  // namespace ascertain::cost
