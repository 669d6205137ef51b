#include "predict/serving/layouts.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace ascertain::serving {
namespace {

constexpr std::int64_t kTensorMax = 64;
constexpr std::int64_t kStagesMax = 16;
constexpr std::int64_t kReplicaMax = 512;  // beyond, nobody has published a replica

Result<Estimate> on_layout(const model::Architecture& architecture, const catalog::Fleet& fleet,
                           const Layout& layout, const Engine& engine, const Workload& workload,
                           const Limits& limits, const EngineLevel& level,
                           const cost::CostBook& book) {
    const auto server = make_server(architecture, fleet, layout, engine, book);
    if (!server) return server.error();
    return estimate(*server, workload, limits, level, book);
}

}  // namespace

std::vector<Layout> layouts(const model::Architecture& architecture, const catalog::Fleet& fleet,
                            std::int64_t chips) {
    std::vector<Layout> list;
    const std::int64_t tensor_max = std::min({chips, fleet.chips_per_node, kTensorMax});
    const bool experts = architecture.moe.experts > 0;
    for (std::int64_t tp = 1; tp <= tensor_max; tp *= 2) {
        if (architecture.attention.heads % tp != 0) continue;
        const std::int64_t most = experts ? std::min(chips, kReplicaMax) : tp;
        for (std::int64_t size = tp; size <= most; size *= 2) list.push_back({tp, size / tp});
        // Experts spread over more chips in place of a pipeline.
        if (experts) continue;
        const std::int64_t stages_max =
            std::min({kStagesMax, chips / tp, model::layer_count(architecture)});
        for (std::int64_t pp = 2; pp <= stages_max; pp *= 2) list.push_back({tp, 1, pp});
    }
    return list;
}

Result<Ranked> best_layouts(const model::Architecture& architecture, const catalog::Fleet& fleet,
                            const Engine& engine, const Workload& workload, const Limits& limits,
                            const EngineLevel& level, const cost::CostBook& book,
                            std::int64_t chips, std::size_t top) {
    if (const auto done = check(workload); !done) return done.error();
    Ranked ranked;
    if (chips < 1) {
        return Error{ErrorCode::kBadInput, fmt::format("{} chips serve nothing", chips),
                     "serving: chips"};
    }
    std::int64_t largest = 0;
    for (const Layout& layout : layouts(architecture, fleet, chips)) {
        ++ranked.tried;
        auto found = on_layout(architecture, fleet, layout, engine, workload, limits, level, book);
        if (found) {
            ranked.best.push_back(*std::move(found));
        } else if (found.error().code == ErrorCode::kUnknownValue) {
            return found.error();
        } else if (layout.chips() >= largest) {
            largest = layout.chips();  // what keeps the largest replica from serving keeps all
            ranked.nothing_fits = found.error().text();
        }
    }
    std::ranges::stable_sort(ranked.best, std::greater{},
                             [](const Estimate& one) { return one.output_tokens_per_s.mid; });
    if (ranked.best.size() > top) ranked.best.resize(top);
    return ranked;
}

}  // namespace ascertain::serving
