// Pipeline schedules as data: the order of work on every rank. One definition serves the step time,
// the memory in flight and the timeline.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.hpp"
#include "predict/parallel/plan.hpp"

namespace ascertain::parallel {

enum class Work : std::uint8_t {
    kForward,
    kBackward,       // input and weight gradients together
    kInputGradient,  // what the stage before waits for
    kWeightGradient,
};

struct Op {
    Work work = Work::kForward;
    std::uint8_t chunk = 0;        // model chunk on this rank
    bool paired = false;           // runs together with the op before it (DualPipe's F&B)
    std::int32_t micro_batch = 0;  // within its pipe
};

// A pipe is one direction in which micro-batches flow through all stages. Only DualPipe has two.
struct Schedule {
    ScheduleKind kind = ScheduleKind::kNone;
    std::int32_t ranks = 1;
    std::int32_t chunks = 1;  // per rank
    std::int32_t pipes = 1;
    std::int32_t stages = 1;          // of one pipe
    std::int32_t micro_batches = 1;   // of one pipe
    std::vector<Op> ops;              // rank after rank
    std::vector<std::int32_t> first;  // ranks + 1 offsets into ops

    [[nodiscard]] std::int32_t stage_of(std::int32_t rank, std::int32_t chunk) const;
    [[nodiscard]] std::int32_t rank_of(std::int32_t pipe, std::int32_t stage) const;
    [[nodiscard]] std::int32_t pipe_of(std::int32_t chunk) const { return pipes == 2 ? chunk : 0; }
    // Stage of the model whose weights (rank, chunk) holds: stage_of, in the model's own order.
    [[nodiscard]] std::int32_t model_stage(std::int32_t rank, std::int32_t chunk) const {
        return stage_of(rank, chunk);
    }
};

// Fills `schedule` for `micro_batches` micro-batches per step; keeps its memory. Preconditions:
// check_plan(). Cost: linear in the number of ops.
void build_schedule(ScheduleKind kind, std::int64_t ranks, std::int64_t chunks,
                    std::int64_t micro_batches, Schedule& schedule);

// Durations per (virtual stage of the model). Weight and input gradients add up to the backward.
struct StageTimes {
    std::vector<double> forward;
    std::vector<double> input_gradient;
    std::vector<double> weight_gradient;
    std::vector<double> send;  // to the next stage, and back; charged on the path, not on the rank
    double pair_saving = 0.0;  // seconds that a paired op saves (its hidden communication)
};

struct Relaxation {
    double makespan = 0.0;
    std::vector<double> busy;   // per rank: sum of its ops
    std::vector<double> end;    // per rank: when its last op ends
    std::vector<double> start;  // per op, parallel to schedule.ops
    // Work space, kept between calls.
    std::vector<std::size_t> stage;  // by rank * chunks + chunk: stage of the model
    std::vector<std::size_t> cells;  // where that chunk's micro-batches begin in the ends below
    std::vector<double> forward_end;
    std::vector<double> backward_end;
    std::vector<std::int32_t> cursor;
};

// Earliest start of every op under the order of each rank and the dependencies between stages.
// kInternal when the orders deadlock (a bug of a schedule). Cost: linear in the number of ops.
[[nodiscard]] Result<void> relax(const Schedule& schedule, const StageTimes& times,
                                 Relaxation& out);

// Most forward passes of chunk `chunk` on `rank` whose activations are alive at once. An activation
// lives from its forward to the op that uses it last (the weight gradient where it is split off).
[[nodiscard]] std::int64_t peak_in_flight(const Schedule& schedule, std::int32_t rank,
                                          std::int32_t chunk);

// The same for all chunks of a rank together, without building anything; sum over chunks of the
// most demanding moment. Equal to the data's own count for every schedule (tested), or above it.
[[nodiscard]] std::int64_t in_flight_bound(ScheduleKind kind, std::int64_t ranks,
                                           std::int64_t chunks, std::int64_t micro_batches,
                                           std::int64_t rank);

}  // namespace ascertain::parallel
