#include "predict/parallel/stages.hpp"

#include <algorithm>

namespace ascertain::parallel {
namespace {

// Hands out layers in order, run by run.
class LayerFeed {
public:
    explicit LayerFeed(const model::Architecture& architecture) : runs_(architecture.layers) {}

    void take(std::int64_t count, StageShare& stage) {
        while (count > 0 && run_ < runs_.size()) {
            const std::int64_t part = std::min(count, runs_[run_].count - used_);
            auto& kind =
                runs_[run_].kind == model::LayerKind::kMoe ? stage.moe_layers : stage.dense_layers;
            kind += static_cast<std::int32_t>(part);
            used_ += part;
            count -= part;
            if (used_ == runs_[run_].count) {
                ++run_;
                used_ = 0;
            }
        }
    }

private:
    const std::vector<model::LayerRun>& runs_;
    std::size_t run_ = 0;
    std::int64_t used_ = 0;
};

}  // namespace

void lay_out_stages(const model::Architecture& architecture, const Plan& plan,
                    std::vector<StageShare>& stages) {
    const std::int64_t count = virtual_stages(plan);
    const std::int64_t ends = plan.ends_count_as_layers ? 1 : 0;
    const std::int64_t slots = layer_count(architecture) + 2 * ends;
    const std::int64_t shortest = slots / count;
    const std::int64_t longer = slots % count;  // below count, so the last stage is never longer
    stages.assign(static_cast<std::size_t>(count), StageShare{});
    LayerFeed feed(architecture);
    for (std::int64_t i = 0; i < count; ++i) {
        StageShare& stage = stages[static_cast<std::size_t>(i)];
        if (!plan.pipeline_layers.empty()) {
            feed.take(plan.pipeline_layers[static_cast<std::size_t>(i)], stage);
            continue;
        }
        std::int64_t layers = shortest + (i < longer ? 1 : 0);
        if (i == 0) layers -= ends;
        if (i == count - 1) layers -= ends;
        feed.take(layers, stage);
    }
    stages.front().embedding = true;
    stages.back().head = true;
    stages.back().mtp_layers = static_cast<std::int32_t>(architecture.mtp_layers);
}

}  // namespace ascertain::parallel
