// Which layers sit on which virtual stage.
#pragma once

#include <cstdint>
#include <vector>

#include "model/architecture.hpp"
#include "predict/parallel/plan.hpp"

namespace ascertain::parallel {

struct StageShare {
    std::int32_t dense_layers = 0;
    std::int32_t moe_layers = 0;
    std::int32_t mtp_layers = 0;
    bool embedding = false;
    bool head = false;

    [[nodiscard]] std::int32_t layers() const { return dense_layers + moe_layers; }
    bool operator==(const StageShare&) const = default;
};

// The layers in order, cut into virtual_stages(plan) runs as even as possible: longer runs come
// first, and the last stage, which also holds head and MTP, never gets a longer one. With
// ends_count_as_layers the embedding and the head each take one slot. Plan::pipeline_layers, where
// given, says the runs instead. `stages` is overwritten;
// allocation-free once it has the capacity. Precondition: check_plan().
void lay_out_stages(const model::Architecture& architecture, const Plan& plan,
                    std::vector<StageShare>& stages);

}  // namespace ascertain::parallel
