#include "predict/cost/operator_cost.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace ascertain::cost {
namespace {

using model::Gradient;
using model::Operator;
using model::OperatorKind;
using enum Constant;

constexpr double kTileRows = 128.0;
constexpr double kTileColumns = 256.0;
constexpr double kWaveLossMax = 2.0;  // beyond that libraries split the inner dimension

constexpr double kScoreBytesForward =
    13.0;  // Korthikanti et al. 2022, table 2, softmax and dropout
constexpr double kScoreBytesBackward = 11.0;
constexpr double kAttentionRecompute = 1.25;  // five products backward where the FLOPs count four
constexpr double kCastBytes = 4.0;            // read 16-bit, write it and its transpose in 8
constexpr double kLookUpShare = 0.5;  // of streaming bandwidth that rows gathered by index reach
constexpr double kUnfusedKernels = 4.0;
constexpr double kCopyBytes = 2.0;  // a 16-bit gradient beside its sum, written or read or cleared

struct Merge {
    std::array<std::string_view, 3> names;
};
constexpr std::array<Merge, 4> kMerges{{
    {{"q_proj", "k_proj", "v_proj"}},
    {{"gate_proj", "up_proj", ""}},
    {{"shared_gate_proj", "shared_up_proj", ""}},
    {{"experts_gate_proj", "experts_up_proj", ""}},
}};

const Merge* merge_of(std::string_view name) {
    for (const Merge& merge : kMerges)
        for (const std::string_view member : merge.names)
            if (!member.empty() && member == name) return &merge;
    return nullptr;
}

double tiles(const model::GemmShape& shape) {
    const auto up = [](double part, double tile) { return std::ceil(part / tile); };
    return up(static_cast<double>(shape.m), kTileRows) *
           up(static_cast<double>(shape.n), kTileColumns);
}

OperatorWork matrix_work(const Operator& op) {
    OperatorWork work;
    const bool grouped = op.kind == OperatorKind::kGroupedGemm;
    work.family = grouped ? OperatorWork::Class::kGrouped : OperatorWork::Class::kMatrix;
    work.weight_gradient = op.gradient == Gradient::kWeight;
    work.low_precision = op.dtype == model::Dtype::kFp8;
    work.fp32 = op.dtype == model::Dtype::kFp32;
    work.flops = op.flops;
    work.bytes = op.bytes_read + op.bytes_written;
    const double groups = static_cast<double>(std::max<std::int64_t>(1, op.gemm.batch));
    // In a grouped weight gradient the shared dimension is cut, otherwise the rows are.
    work.depth = static_cast<double>(op.gemm.k) / (grouped && work.weight_gradient ? groups : 1.0);
    model::GemmShape one = op.gemm;
    if (grouped && !work.weight_gradient) one.m = std::max<std::int64_t>(1, one.m / op.gemm.batch);
    work.tiles = tiles(one) * (grouped ? groups : 1.0);
    if (work.weight_gradient)
        work.accumulated = static_cast<double>(op.gemm.m) * static_cast<double>(op.gemm.n) *
                           (grouped ? groups : 1.0);
    if (work.low_precision && !work.weight_gradient)
        work.cast_elements = static_cast<double>(op.gemm.m) * static_cast<double>(op.gemm.k);
    return work;
}

// Adds a product with the same input to `work`: forward they share x and widen n, the input
// gradients add up (k grows), the weight gradients lie below each other.
void merge_into(OperatorWork& work, const Operator& op) {
    const OperatorWork other = matrix_work(op);
    work.flops += other.flops;
    work.accumulated += other.accumulated;
    work.tiles = work.weight_gradient || op.gradient == Gradient::kNone
                     ? work.tiles + other.tiles
                     : std::max(work.tiles, other.tiles);
    if (op.gradient == Gradient::kInput) work.depth += other.depth;
    if (op.gradient == Gradient::kInput) work.cast_elements += other.cast_elements;
    // The shared operand is read once; it is the smaller part of small products only.
    const double shared = static_cast<double>(op.gemm.m) * static_cast<double>(op.gemm.k) *
                          model::size_bytes(op.dtype);
    work.bytes +=
        op.gradient == Gradient::kNone ? std::max(0.0, other.bytes - shared) : other.bytes;
}

OperatorWork plain_work(const Operator& op) {
    OperatorWork work;
    work.bytes = op.bytes_read + op.bytes_written;
    work.flops = op.flops;
    switch (op.kind) {
        case OperatorKind::kGemm:
        case OperatorKind::kGroupedGemm: work = matrix_work(op); break;
        case OperatorKind::kAttention:
            work.family = OperatorWork::Class::kAttention;
            work.flops = op.flops_causal;
            work.flops_full = op.flops;
            work.scores = static_cast<double>(op.attention.sequences * op.attention.heads) *
                          static_cast<double>(op.attention.q_length) *
                          static_cast<double>(op.attention.kv_length);
            break;
        case OperatorKind::kPermute:
        case OperatorKind::kRouter: work.family = OperatorWork::Class::kPermute; break;
        case OperatorKind::kCrossEntropy: work.family = OperatorWork::Class::kLoss; break;
        case OperatorKind::kEmbedding: work.family = OperatorWork::Class::kRandom; break;
        case OperatorKind::kOptimizer: work.family = OperatorWork::Class::kUpdate; break;
        default: work.family = OperatorWork::Class::kStream; break;
    }
    if (op.phase == model::Phase::kClip || op.phase == model::Phase::kOptimizer)
        work.family = OperatorWork::Class::kUpdate;
    work.phase = op.phase;
    work.count = static_cast<double>(op.count);
    return work;
}

double cast_factor(LinearFormat format) {
    switch (format) {
        case LinearFormat::kFp8Rowwise: return 3.0;  // scales along rows, and along columns again
        case LinearFormat::kFp8Block: return 1.5;
        case LinearFormat::kMxFp8:
        case LinearFormat::kFp4: return 1.25;
        default: return 1.0;
    }
}

// Bytes per element of a weight gradient that is added to the sum over micro-batches. The product
// itself can add, and hides a part of it; a kernel of its own reads the finished 16-bit gradient
// again and hides nothing.
double accumulation_bytes(const Machine& machine, const TrainingJob& job) {
    const double sum = 2.0 * (job.dtype == model::Dtype::kFp16 ? 2.0 : 4.0);
    if (job.fused_accumulation) return sum * machine.c(kAccumulate);
    return sum + 2.0 * kCopyBytes + (keeps_gradient_copy(job) ? kCopyBytes : 0.0);
}

double matrix_seconds(const OperatorWork& work, const Machine& machine, const TrainingJob& job) {
    const bool low = work.low_precision;
    const double share =
        low ? machine.c(job.linear == LinearFormat::kFp4 ? kGemmFp4Share : kGemmFp8Share)
            : machine.c(kGemmShare);
    double rate = share * machine.achieved *
                  (low         ? machine.peak_linear
                   : work.fp32 ? machine.peak_fp32
                               : machine.peak);
    rate /= 1.0 + machine.youth * (machine.c(kYoungMatrix) + (low ? machine.c(kYoungFp8) : 0.0));
    if (work.family == OperatorWork::Class::kGrouped) rate *= machine.c(kGroupedShare);
    // Filling and emptying a tile takes a fixed time: the faster the products, the more of them it
    // is.
    const double depth_half =
        machine.c(kDepthHalf) * (low ? machine.peak_linear / machine.peak : 1.0);
    double flop_s = work.flops / rate * (1.0 + depth_half / std::max(1.0, work.depth));
    if (machine.cores > 0.0) {
        const double waves = work.tiles / machine.cores;
        const double loss = std::min(kWaveLossMax, std::ceil(waves) / std::max(1e-9, waves));
        flop_s *= 1.0 + machine.c(kWaveWeight) * (loss - 1.0);
    }
    if (work.weight_gradient) flop_s *= machine.c(kWeightPenalty);
    const double byte_s = work.bytes / machine.memory_rate();
    const double cast_s = work.cast_elements * kCastBytes * machine.c(kCastTraffic) *
                          cast_factor(job.linear) / machine.memory_rate();
    return std::max(flop_s, byte_s) + cast_s +
           work.accumulated * accumulation_bytes(machine, job) / machine.memory_rate();
}

double attention_seconds(const OperatorWork& work, const Machine& machine, bool fused) {
    const bool backward = work.phase == model::Phase::kBackward;
    if (fused) {
        double rate = machine.peak * machine.c(kFlashShare) /
                      (1.0 + machine.youth * machine.c(kYoungAttention));
        double flops = work.flops;
        if (backward) {
            rate *= machine.c(kFlashBackward);
            flops *= kAttentionRecompute;
        }
        return std::max(flops / rate, work.bytes / machine.memory_rate());
    }
    const double products = work.flops_full / (machine.peak * machine.c(kBmmShare));
    const double traffic = work.scores * (backward ? kScoreBytesBackward : kScoreBytesForward) *
                           machine.c(kScoreTraffic) / machine.memory_rate();
    return products + traffic;
}

}  // namespace

std::vector<OperatorWork> work_of(const std::vector<Operator>& operators, model::Block block) {
    struct Open {
        const Merge* merge;
        Gradient gradient;
        std::size_t at;
    };
    std::vector<OperatorWork> list;
    std::vector<Open> open;
    for (const Operator& op : operators) {
        if (op.block != block) continue;
        const bool matrix = op.kind == OperatorKind::kGemm || op.kind == OperatorKind::kGroupedGemm;
        const Merge* merge = matrix ? merge_of(op.name) : nullptr;
        if (merge != nullptr) {
            const auto same = std::find_if(open.begin(), open.end(), [&](const Open& one) {
                return one.merge == merge && one.gradient == op.gradient;
            });
            if (same != open.end()) {
                merge_into(list[same->at], op);
                continue;
            }
            open.push_back({merge, op.gradient, list.size()});
        }
        list.push_back(plain_work(op));
    }
    return list;
}

double seconds_of(const OperatorWork& work, const Machine& machine, const TrainingJob& job,
                  bool fused_attention) {
    double seconds = 0.0;
    double kernels = 1.0;
    switch (work.family) {
        case OperatorWork::Class::kMatrix:
        case OperatorWork::Class::kGrouped: seconds = matrix_seconds(work, machine, job); break;
        case OperatorWork::Class::kAttention:
            seconds = attention_seconds(work, machine, fused_attention);
            if (!fused_attention) kernels = kUnfusedKernels;
            break;
        case OperatorWork::Class::kStream:
            seconds = work.bytes * machine.c(kTraffic) *
                      (job.compiled ? machine.c(kCompiledTraffic) : 1.0) / machine.memory_rate();
            break;
        case OperatorWork::Class::kLoss:
            seconds =
                work.bytes * (job.compiled ? 1.0 : machine.c(kLossTraffic)) / machine.memory_rate();
            break;
        case OperatorWork::Class::kPermute:
            seconds = work.bytes * machine.c(kPermuteTraffic) / machine.memory_rate();
            break;
        case OperatorWork::Class::kRandom:
            seconds = work.bytes / (machine.memory_rate() * kLookUpShare);
            break;
        case OperatorWork::Class::kUpdate: seconds = work.bytes / machine.memory_rate(); break;
    }
    const double gap = machine.c(kKernelGap) * (job.captured_graphs ? 0.3 : 1.0);
    return work.count * (seconds + kernels * gap);
}

Result<Interval> operator_seconds(const catalog::Fleet& fleet, const TrainingJob& job,
                                  const CostBook& book, const Operator& op) {
    catalog::Fleet one = fleet;
    one.count = 1;
    one.chips_per_node = 1;
    const Result<Machine> machine = resolve_machine(one, job, book);
    if (!machine) return machine.error();
    const OperatorWork work = plain_work(op);
    const double mid = seconds_of(work, *machine, job, true);
    // First-order: each input moved by one standard deviation, squares added.
    double variance = 0.0;
    const auto move = [&](auto change, double spread) {
        Machine moved = *machine;
        change(moved, std::exp(spread));
        const double shift = std::log(seconds_of(work, moved, job, true) / mid);
        variance += shift * shift;
    };
    for (std::size_t i = 0; i < kConstantCount; ++i)
        move([i](Machine& m, double factor) { m.constants.value[i] *= factor; },
             machine->resolved.spread[i]);
    if (!machine->resolved.die_known) {
        const catalog::Chip& chip = fleet.chip;
        move([](Machine& m, double f) { m.peak *= f, m.peak_linear *= f; },
             chip.peak(format_of(job)).spread());
        move([](Machine& m, double f) { m.memory_bandwidth *= f; }, chip.memory_bandwidth.spread());
    }
    constexpr double kOneKernel = 0.15;  // a single shape strays further than a whole step
    variance += kOneKernel * kOneKernel;
    constexpr double kTenth = 1.2816;  // standard normal, 90th percentile
    const double width = std::exp(kTenth * std::sqrt(variance));
    return Interval{mid / width, mid, mid * width};
}

}  // namespace ascertain::cost
