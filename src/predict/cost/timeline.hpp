// One step as a trace that Perfetto and chrome://tracing open.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "base/result.hpp"
#include "predict/cost/step.hpp"

namespace ascertain::cost {

struct TimelineOptions {
    bool all_ranks = false;          // one row per device instead of one per pipeline rank
    std::int64_t ranks_max = 10000;  // more rows than that are refused
    bool memory_curve = true;        // a counter of activations in flight per pipeline rank
};

// Writes the trace of one step, piece by piece, through `write`; nothing is held in memory but one
// pipeline's ops. Replicas of a pipeline rank do the same at the same time, so that by default they
// are one row, which says for how many devices it stands. Errors: those of step_cost; kOutOfRange
// for more rows than ranks_max.
[[nodiscard]] Result<void> write_timeline(const model::Architecture& architecture,
                                          const catalog::Fleet& fleet, const TrainingJob& job,
                                          const parallel::Plan& plan, const CostBook& book,
                                          const TimelineOptions& options,
                                          const std::function<void(std::string_view)>& write);

}  // namespace ascertain::cost
