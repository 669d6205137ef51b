#include "predict/cost/timeline.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <string>

namespace ascertain::cost {
namespace {

using parallel::Op;
using parallel::Work;

constexpr double kMicroseconds = 1e6;  // the trace format counts in microseconds
constexpr std::size_t kPieceBytes = 1u << 16;

std::string_view name_of_work(Work work) {
    switch (work) {
        case Work::kForward: return "forward";
        case Work::kBackward: return "backward";
        case Work::kInputGradient: return "input gradient";
        case Work::kWeightGradient: return "weight gradient";
    }
    return "";
}

// Collects text and hands it on in pieces.
class Writer {
public:
    explicit Writer(const std::function<void(std::string_view)>& write) : write_(write) {}
    ~Writer() { flush(); }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    template <typename... Values>
    void event(fmt::format_string<Values...> form, Values&&... values) {
        text_ += first_ ? "\n" : ",\n";
        first_ = false;
        fmt::format_to(std::back_inserter(text_), form, std::forward<Values>(values)...);
        if (text_.size() > kPieceBytes) flush();
    }
    void plain(std::string_view text) { text_ += text; }

private:
    void flush() {
        write_(text_);
        text_.clear();
    }
    const std::function<void(std::string_view)>& write_;
    std::string text_;
    bool first_ = true;
};

double duration_of(const parallel::StageTimes& times, const Op& op, std::size_t stage) {
    switch (op.work) {
        case Work::kForward: return times.forward[stage];
        case Work::kInputGradient: return times.input_gradient[stage];
        case Work::kWeightGradient: return times.weight_gradient[stage];
        case Work::kBackward: return times.input_gradient[stage] + times.weight_gradient[stage];
    }
    return 0.0;
}

void write_row(Writer& out, const parallel::Plan& plan, const Workspace& space,
               const ShardWork& work, std::int64_t rank, std::int64_t row, bool memory_curve) {
    const parallel::Schedule& schedule = space.schedule;
    const auto begin = static_cast<std::size_t>(schedule.first[static_cast<std::size_t>(rank)]);
    const auto end = static_cast<std::size_t>(schedule.first[static_cast<std::size_t>(rank) + 1]);
    double alive_bytes = 0.0;
    for (std::size_t i = begin; i < end; ++i) {
        const Op& op = schedule.ops[i];
        const auto stage =
            static_cast<std::size_t>(schedule.stage_of(static_cast<std::int32_t>(rank), op.chunk));
        double start = space.relaxation.start[i];
        // The two halves of a pair are drawn one after the other inside their common span.
        if (op.paired && i > begin) {
            const Op& mate = schedule.ops[i - 1];
            const auto mate_stage = static_cast<std::size_t>(
                schedule.stage_of(static_cast<std::int32_t>(rank), mate.chunk));
            start += duration_of(space.times, mate, mate_stage);
        }
        const double duration = duration_of(space.times, op, stage);
        out.event(
            R"({{"name":"{} {}","cat":"{}","ph":"X","pid":0,"tid":{},"ts":{:.3f},"dur":{:.3f},"args":{{"micro_batch":{},"stage":{}}}}})",
            name_of_work(op.work), op.micro_batch, name_of_work(op.work), row,
            start * kMicroseconds, duration * kMicroseconds, op.micro_batch, stage);
        if (!memory_curve) continue;
        const parallel::StageShare& share = space.stages[stage];
        const double saved =
            parallel::saved_by_layers(work.facts, plan, share,
                                      parallel::rank_layers(plan, space.stages, rank))
                .device_bytes;
        if (op.work == Work::kForward) alive_bytes += saved;
        if (op.work == Work::kBackward || op.work == Work::kWeightGradient) alive_bytes -= saved;
        out.event(
            R"({{"name":"activations of rank {}","ph":"C","pid":0,"ts":{:.3f},"args":{{"GB":{:.3f}}}}})",
            row, (start + duration) * kMicroseconds, std::max(0.0, alive_bytes) / 1e9);
    }
}

}  // namespace

Result<void> write_timeline(const model::Architecture& given, const catalog::Fleet& fleet,
                            const TrainingJob& asked, const parallel::Plan& plan,
                            const CostBook& book, const TimelineOptions& options,
                            const std::function<void(std::string_view)>& write) {
    TrainingJob job = asked;
    job.sharded_weights = parallel::shards_weights(plan);
    const model::Architecture architecture = padded_for(given, plan.tp);
    if (const auto valid = parallel::check_plan(architecture, plan, fleet.count, job.batch());
        !valid)
        return valid.error();
    if (const auto link = need_host_link(fleet, plan.offload_layers); !link) return link.error();
    const std::int64_t replicas = parallel::devices(plan) / plan.pp;
    const std::int64_t rows = options.all_ranks ? parallel::devices(plan) : plan.pp;
    if (rows > options.ranks_max)
        return Error{ErrorCode::kOutOfRange,
                     fmt::format("{} rows; at most {} are drawn, or one per pipeline rank", rows,
                                 options.ranks_max),
                     "timeline.ranks"};
    const Result<Machine> machine = resolve_machine(fleet, job, book);
    if (!machine) return machine.error();
    const Result<ShardWork> work = shard_work(architecture, plan, job);
    if (!work) return work.error();
    Workspace space;
    const Result<StepSeconds> step =
        step_seconds(architecture, job, plan, *machine, *work,
                     block_seconds(*work, plan, job, *machine), Precision::kExact, space);
    if (!step) return step.error();
    // A pipeline of one stage has a schedule too, one that needs no relaxing to be priced.
    if (plan.pp == 1) {
        parallel::build_schedule(plan.schedule, 1, 1, parallel::micro_batches(plan, job.batch()),
                                 space.schedule);
        if (const auto done = parallel::relax(space.schedule, space.times, space.relaxation); !done)
            return done.error();
    }
    Writer out(write);
    out.plain("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[");
    for (std::int64_t row = 0; row < rows; ++row) {
        const std::int64_t rank = options.all_ranks ? row / replicas : row;
        out.event(
            R"({{"name":"thread_name","ph":"M","pid":0,"tid":{},"args":{{"name":"pipeline rank {}{}"}}}})",
            row, rank,
            options.all_ranks ? fmt::format(", device {}", row)
                              : fmt::format(", {} devices", replicas));
        write_row(out, plan, space, *work, rank, row, options.memory_curve && !options.all_ranks);
        const double end = space.relaxation.end[static_cast<std::size_t>(rank)];
        const auto part = [&](Part which) { return step->parts[static_cast<std::size_t>(which)]; };
        double at = space.relaxation.makespan;
        if (at > end)
            out.event(
                R"({{"name":"bubble","cat":"bubble","ph":"X","pid":0,"tid":{},"ts":{:.3f},"dur":{:.3f}}})",
                row, end * kMicroseconds, (at - end) * kMicroseconds);
        for (const Part which : {Part::kDp, Part::kOptimizer, Part::kOverhead}) {
            if (part(which) <= 0.0) continue;
            out.event(
                R"({{"name":"{}","cat":"{}","ph":"X","pid":0,"tid":{},"ts":{:.3f},"dur":{:.3f}}})",
                name_of(which), name_of(which), row, at * kMicroseconds,
                part(which) * kMicroseconds);
            at += part(which);
        }
    }
    out.plain("\n]}\n");
    return {};
}

}  // namespace ascertain::cost
