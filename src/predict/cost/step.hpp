// One optimizer step in seconds: pipeline schedule, exposed communication, optimizer, overheads.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "model/architecture.hpp"
#include "predict/catalog/catalog.hpp"
#include "predict/cost/constants.hpp"
#include "predict/cost/job.hpp"
#include "predict/cost/layer.hpp"
#include "predict/cost/machine.hpp"
#include "predict/parallel/memory.hpp"
#include "predict/parallel/plan.hpp"
#include "predict/parallel/schedule.hpp"
#include "predict/parallel/stages.hpp"

namespace ascertain::cost {

// Where the time of a step goes; the parts add up to it.
enum class Part : std::size_t {
    kMatrix,
    kAttention,
    kStream,
    kRecompute,
    kHost,
    kTp,
    kCp,
    kEp,
    kFsdp,
    kOffload,
    kPp,
    kBubble,
    kDp,
    kOptimizer,
    kOverhead,
    kStraggler,
    kLevel,  // the fitted whole-step factor
};
inline constexpr std::size_t kPartCount = 17;
using PartSeconds = std::array<double, kPartCount>;
[[nodiscard]] std::string_view name_of(Part part);

// Space that the costing of one plan needs; kept between plans so that none allocates.
struct Workspace {
    std::vector<parallel::StageShare> stages;
    parallel::Schedule schedule;
    parallel::StageTimes times;
    parallel::Relaxation relaxation;
};

// How the pipeline is priced.
enum class Precision {
    kBound,   // closed form, never above the exact time
    kPeriod,  // exact for a few micro-batches, then by the period of the steady state
    kExact,   // every micro-batch
};

struct StepSeconds {
    double step_s = 0.0;
    PartSeconds parts{};
};

// The core: seconds of one step of a valid plan. Allocation-free but for the growth of `space`.
// kInternal when the schedule deadlocks.
[[nodiscard]] Result<StepSeconds> step_seconds(const model::Architecture& architecture,
                                               const TrainingJob& job, const parallel::Plan& plan,
                                               const Machine& machine, const ShardWork& work,
                                               const BlockTable& blocks, Precision precision,
                                               Workspace& space);

struct Influence {
    std::string name;
    double low_s = 0.0;   // step time with the input one standard deviation down
    double high_s = 0.0;  // and up
};

// Everything about one plan that a person asks for.
struct StepCost {
    double step_s = 0.0;
    double low_s = 0.0;  // 80 % interval
    double high_s = 0.0;
    PartSeconds parts{};
    parallel::MemoryParts memory;
    double memory_bytes = 0.0;
    double memory_low_bytes = 0.0;
    double memory_high_bytes = 0.0;
    double tokens_per_s = 0.0;
    double mfu_ratio = 0.0;  // causal model FLOPs over the dense peak of the linear format
    std::string bound_by;    // the largest part
    std::vector<Basis> basis;
    std::vector<Influence> tornado;  // most influential first
};

// The answer for one plan. Errors: those of parallel::check_plan, resolve_machine, shard_work.
[[nodiscard]] Result<StepCost> step_cost(const model::Architecture& architecture,
                                         const catalog::Fleet& fleet, const TrainingJob& job,
                                         const parallel::Plan& plan, const CostBook& book);

// Half-width of the 80 % interval of log(step time), for a prediction of this kind. `assumed`: a
// setting had to be guessed.
[[nodiscard]] double interval_width(const Machine& machine, const CostBook& book, bool experts,
                                    bool assumed);

// Vocabulary padded so that tp divides it; trainers pad to 128 x tp.
[[nodiscard]] model::Architecture padded_for(const model::Architecture& architecture,
                                             std::int64_t tp);

}  // namespace ascertain::cost
