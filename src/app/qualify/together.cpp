#include "app/qualify/together.hpp"

#include <algorithm>
#include <cmath>

#include "model/parameters.hpp"

namespace ascertain::app {
namespace {

constexpr Seconds kPartMax{10.0 * kSecondsPerMinute};  // evidence is written after each part
// Elements of one bucket of gradients: the 25 MB of torch's DistributedDataParallel, in bf16.
constexpr std::int64_t kBucketElements = 13'107'200;

Seconds soak_of_profile(checks::Profile profile) {
    switch (profile) {
        case checks::Profile::kQuick: return {5.0};
        case checks::Profile::kStandard: return {120.0};
        case checks::Profile::kFull: return {kSecondsPerHour};
    }
    return {5.0};
}

Json message(const char* kind, const std::string& dtype, std::int64_t elements, const char* use) {
    return {{"kind", kind},
            {"dtype", dtype},
            {"elements", std::max<std::int64_t>(1, elements)},
            {"used_by", use}};
}

// The largest message of each use, elements of one rank's piece.
Json messages_of(const Situation& situation, const StageForecast& forecast) {
    const parallel::Plan& plan = forecast.search.plans.front().plan;
    const model::Architecture& architecture = situation.architecture;
    const std::string& precision = situation.campaign.precision;
    const std::string dtype = precision == "fp8" ? "bf16" : precision;
    const Stage& stage = situation.campaign.stages.front();
    const std::int64_t length =
        stage.sequence_length > 0 ? stage.sequence_length : stage.response_tokens;
    const std::int64_t tokens =
        std::max<std::int64_t>(1, length * plan.micro_batch / std::max<std::int64_t>(1, plan.cp));
    const std::int64_t hidden = tokens * architecture.hidden_size;
    Json list = Json::array();
    if (plan.tp > 1 && plan.sequence_parallel) {
        list.push_back(message("all_gather", dtype, hidden / plan.tp, "tensor parallelism"));
        list.push_back(message("reduce_scatter", dtype, hidden / plan.tp, "tensor parallelism"));
    } else if (plan.tp > 1) {
        list.push_back(message("all_reduce", dtype, hidden, "tensor parallelism"));
    }
    if (plan.ep > 1 && architecture.moe.experts > 0) {
        const std::int64_t rows = hidden * architecture.moe.topk;
        const std::string sent = precision == "fp8" ? "fp8_e4m3" : dtype;
        list.push_back(message("all_to_all", sent, rows / plan.ep, "experts, dispatch"));
        list.push_back(message("all_to_all", dtype, rows / plan.ep, "experts, combine"));
    }
    if (plan.pp > 1) list.push_back(message("send_recv", dtype, hidden, "pipeline"));
    if (plan.cp > 1) list.push_back(message("send_recv", dtype, hidden, "context parallelism"));
    if (plan.dp > 1 && plan.sharding == parallel::Sharding::kNone) {
        list.push_back(message("all_reduce", "fp32", kBucketElements, "gradients"));
    } else if (plan.dp > 1) {
        const std::int64_t share = kBucketElements / plan.dp;
        list.push_back(message("reduce_scatter", "fp32", share, "gradients"));
        list.push_back(message("all_gather", dtype, share, "weights"));
    }
    return list;
}

}  // namespace

qualification::TogetherQuestion together_question(const Situation& situation,
                                                  const std::vector<StageForecast>& stages,
                                                  const QualifyOptions& options) {
    qualification::TogetherQuestion together;
    if (!stages.front().search.plans.empty()) {
        together.links = messages_of(situation, stages.front());
    }
    const Seconds asked =
        options.soak.count > 0.0 ? options.soak : soak_of_profile(options.profile);
    together.soak_parts = static_cast<std::int64_t>(std::ceil(asked / kPartMax));
    together.soak = asked * (1.0 / static_cast<double>(together.soak_parts));
    return together;
}

}  // namespace ascertain::app
