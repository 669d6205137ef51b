// The layout that serves a workload best.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "predict/serving/serving.hpp"

namespace ascertain::serving {

// Layouts worth trying on at most `chips` chips: tp within a node in powers of two; groups in
// powers of two for models with experts, stages of a pipeline for those without.
[[nodiscard]] std::vector<Layout> layouts(const model::Architecture& architecture,
                                          const catalog::Fleet& fleet, std::int64_t chips);

struct Ranked {
    std::vector<Estimate> best;  // most output tokens per second and chip first
    std::int64_t tried = 0;
    std::string nothing_fits;  // when `best` is empty: what keeps the largest replica from serving
};

// At most `top` of them. Errors: a number that the catalog lacks, an impossible workload. A layout
// that does not fit or is too slow is left out. Cost: about 12 passes a layout.
[[nodiscard]] Result<Ranked> best_layouts(const model::Architecture& architecture,
                                          const catalog::Fleet& fleet, const Engine& engine,
                                          const Workload& workload, const Limits& limits,
                                          const EngineLevel& level, const cost::CostBook& book,
                                          std::int64_t chips, std::size_t top);

}  // namespace ascertain::serving
