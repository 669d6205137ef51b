#include "predict/cost/constants.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/assert.hpp"

namespace ascertain::cost {
namespace {

using enum Constant;

// Priors: values from the research on published runs and the makers' own tools; spreads say how
// far we would be surprised. docs/formulas.md#fit has the source of each.
constexpr std::array<ConstantRow, kConstantCount> kTable{{
    {kGemmShare, "gemm_share", "ratio", 0.94, 0.04, 0.08, 0.0, 0.0, 0.0},
    {kGemmFp8Share, "gemm_fp8_share", "ratio", 0.92, 0.05, 0.10, 0.0, 0.0, 0.0},
    {kGemmFp4Share, "gemm_fp4_share", "ratio", 0.80, 0.1, 0.10, 0.0, 0.0, 0.0},
    {kFlashShare, "flash_share", "ratio", 0.40, 0.1, 0.25, 0.05, 0.0, 0.08},
    {kFlashBackward, "flash_backward", "ratio", 0.75, 0.06, 0.05, 0.0, 0.0, 0.0},
    {kBmmShare, "bmm_share", "ratio", 0.46, 0.075, 0.10, 0.0, 0.0, 0.0},
    {kScoreTraffic, "score_traffic", "ratio", 1.3, 0.075, 0.0, 0.0, 0.0, 0.0},
    {kDepthHalf, "depth_half", "elements", 230.0, 0.15, 0.0, 0.0, 0.0, 0.0},
    {kWaveWeight, "wave_weight", "ratio", 0.6, 0.075, 0.0, 0.0, 0.0, 0.0},
    {kWeightPenalty, "weight_penalty", "ratio", 1.06, 0.02, 0.0, 0.0, 0.0, 0.0},
    {kAccumulate, "accumulate", "ratio", 0.5, 0.2, 0.0, 0.25, 0.0, 0.0},
    {kGroupedShare, "grouped_share", "ratio", 0.80, 0.075, 0.10, 0.0, 0.0, 0.0},
    {kMemoryShare, "memory_share", "ratio", 0.75, 0.03, 0.06, 0.0, 0.0, 0.0},
    {kTraffic, "traffic", "ratio", 1.15, 0.075, 0.0, 0.15, 0.0, 0.06},
    {kCompiledTraffic, "compiled_traffic", "ratio", 0.75, 0.075, 0.0, 0.0, 0.0, 0.0},
    {kLossTraffic, "loss_traffic", "ratio", 3.0, 0.15, 0.0, 0.20, 0.0, 0.0},
    {kPermuteTraffic, "permute_traffic", "ratio", 1.3, 0.1, 0.0, 0.10, 0.0, 0.0},
    {kCastTraffic, "cast_traffic", "ratio", 1.2, 0.1, 0.0, 0.10, 0.0, 0.1},
    {kOptimizerTraffic, "optimizer_traffic", "ratio", 1.0, 0.05, 0.0, 0.10, 0.0, 0.0},
    {kKernelGap, "kernel_gap", "s", 3.0e-6, 0.15, 0.15, 0.15, 0.0, 0.0},
    {kHostFloor, "host_floor", "s", 0.9e-3, 0.25, 0.10, 0.30, 0.0, 0.0},
    {kExpertHostFloor, "expert_host_floor", "s", 3.4e-3, 0.15, 0.10, 0.30, 0.0, 0.0},
    {kStepOverhead, "step_overhead", "s", 0.045, 0.25, 0.0, 0.50, 0.0, 0.3},
    {kLinkShare, "link_share", "ratio", 0.80, 0.04, 0.10, 0.10, 0.0, 0.0},
    {kLinkLatency, "link_latency", "s", 7.0e-6, 0.15, 0.0, 0.0, 0.0, 0.0},
    {kNicShare, "nic_share", "ratio", 0.73, 0.04, 0.0, 0.10, 0.15, 0.08},
    {kNicLatency, "nic_latency", "s", 17e-6, 0.2, 0.0, 0.25, 0.0, 0.0},
    {kTpContention, "tp_contention", "ratio", 0.45, 0.125, 0.0, 0.10, 0.0, 0.0},
    {kDpContention, "dp_contention", "ratio", 0.30, 0.15, 0.0, 0.15, 0.0, 0.0},
    {kFsdpContention, "fsdp_contention", "ratio", 0.30, 0.15, 0.0, 0.15, 0.0, 0.0},
    {kCpContention, "cp_contention", "ratio", 0.28, 0.15, 0.0, 0.0, 0.0, 0.0},
    {kEpContention, "ep_contention", "ratio", 0.50, 0.15, 0.0, 0.0, 0.0, 0.0},
    {kPpExposed, "pp_exposed", "ratio", 0.40, 0.2, 0.0, 0.15, 0.0, 0.0},
    {kStraggler, "straggler", "ratio", 0.007, 0.2, 0.0, 0.40, 0.0, 0.25},
    {kYoungMatrix, "young_matrix", "ratio", 0.12, 0.3, 0.0, 0.0, 0.0, 0.0},
    {kYoungFp8, "young_fp8", "ratio", 0.10, 0.3, 0.0, 0.0, 0.0, 0.0},
    {kYoungAttention, "young_attention", "ratio", 0.40, 0.3, 0.0, 0.0, 0.0, 0.0},
    {kLevel, "level", "ratio", 1.0, 0.02, 0.04, 0.055, 0.0, 0.05},
}};

}  // namespace

const std::array<ConstantRow, kConstantCount>& constant_table() {
    return kTable;
}

std::string_view name_of(Constant which) {
    const ConstantRow& row = kTable[static_cast<std::size_t>(which)];
    ASCERTAIN_ASSERT(row.which == which);
    return row.name;
}

std::string engine_name(std::string_view framework, bool sharded_weights) {
    if (framework.empty() || !sharded_weights) return std::string(framework);
    return fmt::format("{}/sharded", framework);
}

std::string release_name(std::string_view framework, std::int64_t year) {
    if (framework.empty() || year <= 0) return {};
    return fmt::format("{}-{}", framework, year);
}

CostBook CostBook::prior() {
    CostBook book;
    for (const ConstantRow& row : kTable)
        book.global[static_cast<std::size_t>(row.which)] = {row.prior, row.prior_spread};
    book.fitted_on = "nothing: priors only";
    return book;
}

CostBook::Resolved CostBook::resolve(const std::vector<std::string>& chip_names,
                                     std::string_view framework, std::int64_t year,
                                     std::string_view fabric) const {
    const auto by_member = [&](const Group& group) {
        return std::any_of(chip_names.begin(), chip_names.end(), [&](const std::string& chip) {
            return std::find(group.members.begin(), group.members.end(), chip) !=
                   group.members.end();
        });
    };
    const auto by_name = [](const std::vector<Group>& groups, std::string_view name) {
        return std::find_if(groups.begin(), groups.end(),
                            [&](const Group& group) { return group.name == name; });
    };
    const auto die = std::find_if(dies.begin(), dies.end(), by_member);
    const auto stack = by_name(frameworks, framework);
    const auto net = by_name(fabrics, fabric);
    const auto release = by_name(releases, release_name(framework, year));
    Resolved out;
    out.die_known = die != dies.end() && die->rows > 0;
    out.framework_known = stack != frameworks.end() && stack->rows > 0;
    if (die != dies.end()) {
        out.cores = die->cores;
        out.launched = die->launched;
        out.die = die->name;
    }
    for (const ConstantRow& row : kTable) {
        const auto i = static_cast<std::size_t>(row.which);
        double value = global[i].factor;
        double variance = global[i].spread * global[i].spread;
        const auto apply = [&](bool known, const Group* group, double unknown_spread) {
            double spread = unknown_spread;
            if (known) {
                const auto effect = group->effects.find(row.which);
                if (effect != group->effects.end()) {
                    value *= effect->second.factor;
                    spread = effect->second.spread;
                }
            }
            variance += spread * spread;
        };
        apply(die != dies.end(), die != dies.end() ? &*die : nullptr, row.die_spread);
        apply(stack != frameworks.end(), stack != frameworks.end() ? &*stack : nullptr,
              row.framework_spread);
        apply(net != fabrics.end(), net != fabrics.end() ? &*net : nullptr, row.fabric_spread);
        apply(release != releases.end(), release != releases.end() ? &*release : nullptr,
              row.release_spread);
        out.constants.value[i] = value;
        out.spread[i] = std::sqrt(variance);
    }
    return out;
}

}  // namespace ascertain::cost
