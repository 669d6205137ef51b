// Pipeline parallel: the layers of one model on several ranks, micro-batches going through them,
// one forward and one backward in turn.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.hpp"
#include "worker/training/model.hpp"
#include "worker/training/parallel/exchange.hpp"

namespace ascertain::training {

// One piece of work: a micro-batch through one stage. Stage s lies on rank s mod ranks: with more
// stages than ranks the schedule is interleaved (arXiv 2104.04473, section 2.2).
struct PipelineWork {
    bool forward = true;
    std::int64_t stage = 0;
    std::int64_t micro_batch = 0;

    bool operator==(const PipelineWork&) const = default;
};
// What each rank does in each tick, [tick][rank]; nothing where it waits. Backward work goes first,
// and no rank holds more micro-batches than 1F1B lets it: as many as there are stages from its own
// to the last.
using PipelineSchedule = std::vector<std::vector<std::optional<PipelineWork>>>;
[[nodiscard]] PipelineSchedule pipeline_schedule(std::int64_t ranks, std::int64_t stages,
                                                 std::int64_t micro_batches);

// The gradients of `batch` (the same on every rank), whose sequences the micro-batches divide
// evenly, end complete in `model` (the same weights on every rank, of which each uses its layers
// alone). Returns the loss, the same on every rank. Errors: kUnsupported where there are fewer
// layers than stages, or heads for tokens further ahead.
[[nodiscard]] Result<double> pipelined_gradients(Model& model, const Batch& batch,
                                                 std::int64_t stages, std::int64_t micro_batches,
                                                 Exchange& exchange);

}  // namespace ascertain::training
