#include "predict/parallel/plan.hpp"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>
#include <numeric>

namespace ascertain::parallel {
namespace {

using model::Architecture;

constexpr std::array<std::string_view, 5> kShardingNames{"none", "zero1", "zero2", "zero3", "hsdp"};
constexpr std::array<std::string_view, 8> kScheduleNames{
    "none",        "gpipe",         "1f1b",     "interleaved",
    "zero-bubble", "zero-bubble-v", "dualpipe", "dualpipev"};
constexpr std::array<std::string_view, 5> kRecomputeNames{"none", "selective", "partial", "full",
                                                          "blocks"};
constexpr std::array<std::string_view, 3> kCpNames{"ring", "ulysses", "allgather"};

// What is wrong, as data: the message is only made when somebody asks for it.
enum class Fault {
    kFine,
    kDegree,
    kDevices,
    kTpHeads,
    kTpVocabulary,
    kTpMlp,
    kCpSequence,
    kSpSequence,
    kUlyssesHeads,
    kEpWithoutExperts,
    kEpExperts,
    kEpRanks,
    kEtpColumns,
    kPpLayers,
    kVppSchedule,
    kScheduleOfOne,
    kInterleavedBatches,
    kDualPipeBatches,
    kBatch,
    kShardingGroup,
    kRecomputeLayers,
    kOffloadLayers,
    kPipelineCount,
    kPipelineSum,
};

bool divides(std::int64_t part, std::int64_t whole) {
    return part > 0 && whole % part == 0;
}

Fault find_degree_fault(const Architecture& a, const Plan& p, const BatchShape& batch) {
    if (a.attention.heads % p.tp != 0) return Fault::kTpHeads;
    if (a.vocab_size % p.tp != 0) return Fault::kTpVocabulary;
    if (layer_count(a, model::LayerKind::kDense) > 0 && a.mlp.intermediate_size % p.tp != 0)
        return Fault::kTpMlp;
    if (!divides(p.cp, batch.sequence_length)) return Fault::kCpSequence;
    if (p.sequence_parallel && !divides(p.tp * p.cp, batch.sequence_length))
        return Fault::kSpSequence;
    if (p.cp_kind == CpKind::kUlysses && p.cp > 1 && a.attention.heads % (p.tp * p.cp) != 0)
        return Fault::kUlyssesHeads;
    if (a.moe.experts == 0) return p.ep > 1 || p.etp > 1 ? Fault::kEpWithoutExperts : Fault::kFine;
    if (!divides(p.ep, a.moe.experts)) return Fault::kEpExperts;
    if (!divides(p.ep * p.etp, p.tp * p.cp * p.dp)) return Fault::kEpRanks;
    if (!divides(p.etp, a.moe.expert_intermediate_size)) return Fault::kEtpColumns;
    return Fault::kFine;
}

// A split of the layers that the user gives. A stage may have none: the ends still have their
// embedding and head to do.
Fault find_split_fault(const Architecture& a, const Plan& p) {
    const auto& split = p.pipeline_layers;
    if (split.empty()) return Fault::kFine;
    if (static_cast<std::int64_t>(split.size()) != virtual_stages(p)) return Fault::kPipelineCount;
    std::int64_t sum = 0;
    for (const std::int64_t layers : split) {
        if (layers < 0 || layers > layer_count(a)) return Fault::kPipelineSum;
        sum += layers;
    }
    return sum == layer_count(a) ? Fault::kFine : Fault::kPipelineSum;
}

Fault find_schedule_fault(const Architecture& a, const Plan& p, const BatchShape& batch) {
    const bool one_stage = p.pp == 1;
    if (one_stage != (p.schedule == ScheduleKind::kNone)) return Fault::kScheduleOfOne;
    if (p.vpp > 1 && p.schedule != ScheduleKind::kInterleaved) return Fault::kVppSchedule;
    if (p.schedule == ScheduleKind::kInterleaved && p.vpp < 2) return Fault::kVppSchedule;
    const std::int64_t slots = layer_count(a) + (p.ends_count_as_layers ? 2 : 0);
    if (const Fault fault = find_split_fault(a, p); fault != Fault::kFine) return fault;
    if (p.pipeline_layers.empty() && virtual_stages(p) > slots) return Fault::kPpLayers;
    if (!divides(p.micro_batch * p.dp, batch.global_batch_sequences)) return Fault::kBatch;
    const std::int64_t steps = micro_batches(p, batch);
    if (p.schedule == ScheduleKind::kInterleaved && steps % p.pp != 0)
        return Fault::kInterleavedBatches;
    if (p.schedule == ScheduleKind::kDualPipe &&
        (steps % 2 != 0 || steps < 2 * p.pp || p.pp % 2 != 0))
        return Fault::kDualPipeBatches;
    if (p.schedule == ScheduleKind::kDualPipeV && steps < 2 * p.pp) return Fault::kDualPipeBatches;
    return Fault::kFine;
}

Fault find_fault(const Architecture& a, const Plan& p, std::int64_t device_count,
                 const BatchShape& batch) {
    for (const std::int64_t degree : {p.tp, p.pp, p.vpp, p.dp, p.cp, p.ep, p.etp, p.micro_batch})
        if (degree < 1) return Fault::kDegree;
    if (devices(p) != device_count) return Fault::kDevices;
    if (const Fault fault = find_degree_fault(a, p, batch); fault != Fault::kFine) return fault;
    if (const Fault fault = find_schedule_fault(a, p, batch); fault != Fault::kFine) return fault;
    if (!divides(sharding_ranks(p), p.dp * p.cp)) return Fault::kShardingGroup;
    if (p.recompute_layers < 0 || p.recompute_layers > layer_count(a))
        return Fault::kRecomputeLayers;
    if (p.offload_layers < 0 || p.offload_layers > layer_count(a)) return Fault::kOffloadLayers;
    return Fault::kFine;
}

Error bad(std::string_view field, std::string message) {
    return {ErrorCode::kBadInput, std::move(message), fmt::format("plan.{}", field)};
}

Error explain(Fault fault, const Architecture& a, const Plan& p, std::int64_t device_count,
              const BatchShape& batch) {
    switch (fault) {
        case Fault::kFine: break;
        case Fault::kDegree: return bad("", "every degree and the micro-batch must be at least 1");
        case Fault::kDevices:
            return bad("dp",
                       fmt::format("tp {} x pp {} x cp {} x dp {} is {} devices, the fleet has {}",
                                   p.tp, p.pp, p.cp, p.dp, devices(p), device_count));
        case Fault::kTpHeads:
            return bad("tp", fmt::format("{} does not divide {} attention heads", p.tp,
                                         a.attention.heads));
        case Fault::kTpVocabulary:
            return bad(
                "tp", fmt::format("{} does not divide a vocabulary of {}; pad the vocabulary", p.tp,
                                  a.vocab_size));
        case Fault::kTpMlp:
            return bad("tp", fmt::format("{} does not divide {} MLP columns", p.tp,
                                         a.mlp.intermediate_size));
        case Fault::kCpSequence:
            return bad("cp",
                       fmt::format("{} does not divide {} tokens", p.cp, batch.sequence_length));
        case Fault::kSpSequence:
            return bad("sequence_parallel", fmt::format("tp {} x cp {} does not divide {} tokens",
                                                        p.tp, p.cp, batch.sequence_length));
        case Fault::kUlyssesHeads:
            return bad(
                "cp", fmt::format("ulysses: tp {} x cp {} does not divide {} attention heads", p.tp,
                                  p.cp, a.attention.heads));
        case Fault::kEpWithoutExperts: return bad("ep", "the model has no experts");
        case Fault::kEpExperts:
            return bad("ep", fmt::format("{} does not divide {} experts", p.ep, a.moe.experts));
        case Fault::kEpRanks:
            return bad("ep", fmt::format("ep {} x etp {} does not divide tp x cp x dp = {}", p.ep,
                                         p.etp, p.tp * p.cp * p.dp));
        case Fault::kEtpColumns:
            return bad("etp", fmt::format("{} does not divide {} expert columns", p.etp,
                                          a.moe.expert_intermediate_size));
        case Fault::kPpLayers:
            return bad("pp", fmt::format("{} virtual stages for {} layers", virtual_stages(p),
                                         layer_count(a)));
        case Fault::kVppSchedule:
            return bad("vpp",
                       "more than one chunk per rank and the interleaved schedule need each other");
        case Fault::kScheduleOfOne:
            return bad("schedule",
                       "a pipeline of one stage has no schedule, and a longer one needs one");
        case Fault::kInterleavedBatches:
            return bad("schedule",
                       fmt::format("interleaved: {} micro-batches are no multiple of pp {}",
                                   micro_batches(p, batch), p.pp));
        case Fault::kDualPipeBatches:
            return bad("schedule",
                       fmt::format("{} needs an even number of stages and at least 2 x pp "
                                   "micro-batches; pp is {}, micro-batches {}",
                                   name_of(p.schedule), p.pp, micro_batches(p, batch)));
        case Fault::kBatch:
            return bad("micro_batch",
                       fmt::format("micro-batch {} x dp {} does not divide {} sequences",
                                   p.micro_batch, p.dp, batch.global_batch_sequences));
        case Fault::kShardingGroup:
            return bad("sharding_group", fmt::format("{} does not divide dp x cp = {}",
                                                     sharding_ranks(p), p.dp * p.cp));
        case Fault::kRecomputeLayers:
            return bad("recompute_layers",
                       fmt::format("{} of {} layers", p.recompute_layers, layer_count(a)));
        case Fault::kOffloadLayers:
            return bad("offload_layers",
                       fmt::format("{} of {} layers", p.offload_layers, layer_count(a)));
        case Fault::kPipelineCount:
            return bad("pipeline_layers", fmt::format("{} numbers for {} virtual stages",
                                                      p.pipeline_layers.size(), virtual_stages(p)));
        case Fault::kPipelineSum:
            return bad("pipeline_layers",
                       fmt::format("must be numbers of layers that add up to {}, these to {}",
                                   layer_count(a),
                                   std::accumulate(p.pipeline_layers.begin(),
                                                   p.pipeline_layers.end(), std::int64_t{0})));
    }
    return {ErrorCode::kInternal, "a plan without a fault has no explanation", "plan"};
}

}  // namespace

std::int64_t devices(const Plan& plan) {
    return plan.tp * plan.pp * plan.cp * plan.dp;
}

std::int64_t micro_batches(const Plan& plan, const BatchShape& batch) {
    return batch.global_batch_sequences / (plan.micro_batch * plan.dp);
}

std::int64_t sharding_ranks(const Plan& plan) {
    return plan.sharding_group > 0 ? plan.sharding_group : plan.dp * plan.cp;
}

std::int64_t expert_data_ranks(const Plan& plan) {
    return plan.tp * plan.cp * plan.dp / (plan.ep * plan.etp);
}

bool shards_weights(const Plan& plan) {
    return plan.sharding == Sharding::kZero3 || plan.sharding == Sharding::kHsdp;
}

std::int64_t chunks_per_rank(const Plan& plan) {
    switch (plan.schedule) {
        case ScheduleKind::kZbV:
        case ScheduleKind::kDualPipe:
        case ScheduleKind::kDualPipeV: return 2;
        default: return plan.vpp;
    }
}

std::int64_t virtual_stages(const Plan& plan) {
    return plan.schedule == ScheduleKind::kDualPipe ? plan.pp : plan.pp * chunks_per_rank(plan);
}

model::Shard shard_of(const Plan& plan) {
    return {plan.tp, plan.ep, plan.etp, plan.cp, plan.sequence_parallel && plan.tp > 1};
}

Result<void> check_plan(const Architecture& architecture, const Plan& plan,
                        std::int64_t device_count, const BatchShape& batch) {
    const Fault fault = find_fault(architecture, plan, device_count, batch);
    if (fault == Fault::kFine) return {};
    return explain(fault, architecture, plan, device_count, batch);
}

bool plan_is_valid(const Architecture& architecture, const Plan& plan, std::int64_t device_count,
                   const BatchShape& batch) {
    return find_fault(architecture, plan, device_count, batch) == Fault::kFine;
}

std::string_view name_of(Sharding sharding) {
    return kShardingNames[static_cast<std::size_t>(sharding)];
}
std::string_view name_of(ScheduleKind schedule) {
    return kScheduleNames[static_cast<std::size_t>(schedule)];
}
std::string_view name_of(Recompute recompute) {
    return kRecomputeNames[static_cast<std::size_t>(recompute)];
}
std::string_view name_of(CpKind kind) {
    return kCpNames[static_cast<std::size_t>(kind)];
}

std::string describe(const Plan& plan) {
    std::string text = fmt::format("tp{} pp{} dp{}", plan.tp, plan.pp, plan.dp);
    if (plan.cp > 1) text += fmt::format(" cp{}", plan.cp);
    if (plan.ep > 1) text += fmt::format(" ep{}", plan.ep);
    if (plan.etp > 1) text += fmt::format(" etp{}", plan.etp);
    text += fmt::format(" {} mb{}", name_of(plan.sharding), plan.micro_batch);
    if (plan.pp > 1) text += fmt::format(" {}", name_of(plan.schedule));
    if (plan.vpp > 1) text += fmt::format(" x{}", plan.vpp);
    if (plan.recompute != Recompute::kNone)
        text += fmt::format(" recompute-{}", name_of(plan.recompute));
    if (plan.recompute == Recompute::kBlocks) text += fmt::format(" {}", plan.recompute_layers);
    if (plan.offload_layers > 0) text += fmt::format(" offload {}", plan.offload_layers);
    if (!plan.pipeline_layers.empty())
        text += fmt::format(" layers {}", fmt::join(plan.pipeline_layers, ","));
    return text;
}

}  // namespace ascertain::parallel
