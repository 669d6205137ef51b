#include "app/forecast.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <limits>
#include <optional>

#include "app/files.hpp"
#include "model/parameters.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kDataFileBytesMax = 4u << 20;
constexpr std::int64_t kBatchParts = 32;  // a batch is split between two fleets in 32nds at finest
// Chips of two kinds meet over routed Ethernet: the share of a port that one then gets. A guess.
constexpr double kCrossFleetShare = 0.3;
constexpr double kGradientBytes = 4.0;  // per parameter, summed in fp32

model::Dtype dtype_of(const std::string& precision) {
    if (precision == "fp32") return model::Dtype::kFp32;
    return precision == "fp16" ? model::Dtype::kFp16 : model::Dtype::kBf16;
}

// Gradients that are reduced inside each fleet cross over the ports of the smaller one, all at
// once.
double exchange_seconds(const Situation& situation, std::size_t a, std::size_t b) {
    double rate = 0.0;
    for (const std::size_t which : {a, b}) {
        const catalog::Fleet& fleet = situation.fleets[which];
        if (!fleet.scale_out.per_direction_per_chip.known()) return 0.0;
        const double ports =
            fleet.scale_out.per_direction_per_chip.value->count * static_cast<double>(fleet.count);
        rate = rate == 0.0 ? ports : std::min(rate, ports);
    }
    const auto parameters =
        static_cast<double>(model::count_parameters(situation.architecture).total);
    return parameters * kGradientBytes / (rate * kCrossFleetShare);
}

Result<cost::SearchResult> search_for(const Situation& situation, std::size_t fleet,
                                      const cost::TrainingJob& job, const cost::CostBook& book,
                                      const cost::SearchOptions& options) {
    const auto started = std::chrono::steady_clock::now();
    auto found =
        cost::find_plans(situation.architecture, situation.fleets[fleet], job, book, options);
    if (!found) return found.error();
    found->elapsed = {
        std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count()};
    return found;
}

double fastest_s(const cost::SearchResult& found) {
    return found.plans.empty() ? std::numeric_limits<double>::infinity()
                               : found.plans.front().cost.step_s;
}

// Uneven work: tries every split of the batch in equal parts and keeps the one whose slower side is
// fastest. Cost: two plan searches per split.
Result<void> share_out(const Situation& situation, const cost::CostBook& book,
                       const cost::SearchOptions& options, StageForecast& forecast,
                       std::size_t partner) {
    const std::int64_t batch = forecast.job.global_batch_sequences;
    std::int64_t parts = kBatchParts;
    while (parts > 2 && batch % parts != 0) parts /= 2;
    if (batch % parts != 0) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("{} sequences cannot be halved between two fleets", batch),
                     "global_batch_sequences"};
    }
    SharedStage best{
        partner, forecast.job, {}, exchange_seconds(situation, forecast.fleet, partner)};
    cost::TrainingJob first = forecast.job;
    double shortest_s = std::numeric_limits<double>::infinity();
    std::optional<Error> undivided;
    bool any = false;
    for (std::int64_t k = 1; k < parts; ++k) {
        cost::TrainingJob own = forecast.job;
        cost::TrainingJob other = forecast.job;
        own.global_batch_sequences = batch / parts * k;
        other.global_batch_sequences = batch - own.global_batch_sequences;
        auto here = search_for(situation, forecast.fleet, own, book, options);
        auto there = here ? search_for(situation, partner, other, book, options) : here;
        if (!there) {
            // Not every part of a batch divides over every number of devices; others may.
            if (there.error().code != ErrorCode::kBadInput) return there.error();
            undivided = there.error();
            continue;
        }
        const double slower_s = std::max(fastest_s(*here), fastest_s(*there));
        if (any && !(slower_s < shortest_s)) continue;
        any = true;
        shortest_s = slower_s;
        first = own;
        best.job = other;
        forecast.search = *std::move(here);
        best.search = *std::move(there);
    }
    if (!any) return *undivided;
    forecast.job = first;
    forecast.shared = std::move(best);
    return {};
}

}  // namespace

Result<cost::CostBook> read_cost_book(const Home& home, const std::string& own) {
    const std::string path = own.empty() ? home.data("cost/constants.toml") : own;
    const auto text = read_file(path, kDataFileBytesMax);
    if (!text) return text.error();
    return cost::CostBook::parse(*text, path);
}

cost::TrainingJob job_of(const Campaign& campaign, const Stage& stage) {
    cost::TrainingJob job;
    job.dtype = dtype_of(campaign.precision);
    if (campaign.precision == "fp8") job.linear = cost::LinearFormat::kFp8;
    if (stage.kind == StageKind::kGrpo) {
        constexpr std::int64_t kGranule = 1024;
        const std::int64_t length = stage.prompt_tokens + stage.response_tokens;
        job.sequence_length = (length + kGranule - 1) / kGranule * kGranule;
        job.global_batch_sequences = stage.prompts_per_update * stage.samples_per_prompt;
    } else {
        job.sequence_length = stage.sequence_length;
        job.global_batch_sequences = stage.global_batch_sequences;
        job.tokens = stage.tokens;
    }
    return job;
}

std::size_t fleet_of(const Campaign& campaign, const std::string& name) {
    const auto found = std::ranges::find(campaign.fleets, name, &FleetSpec::name);
    return found == campaign.fleets.end()
               ? 0
               : static_cast<std::size_t>(found - campaign.fleets.begin());
}

Result<std::vector<StageForecast>> forecast_stages(const Situation& situation,
                                                   const cost::CostBook& book, const PlanWish& wish,
                                                   std::size_t top) {
    std::vector<StageForecast> forecasts;
    for (const auto& stage : situation.campaign.stages) {
        cost::SearchOptions options;
        options.top = top;
        for (const PlanWish* one : {&stage.plan, &wish})
            if (const auto done = apply(*one, options); !done) return done.error();
        StageForecast forecast;
        forecast.stage = stage;
        forecast.fleet = fleet_of(situation.campaign, stage.fleet);
        forecast.rollout_fleet = fleet_of(
            situation.campaign, stage.rollout_fleet.empty() ? stage.fleet : stage.rollout_fleet);
        forecast.job = job_of(situation.campaign, stage);
        if (stage.shared_fleet.empty()) {
            auto found = search_for(situation, forecast.fleet, forecast.job, book, options);
            if (!found) return found.error();
            forecast.search = *std::move(found);
        } else {
            auto shared = share_out(situation, book, options, forecast,
                                    fleet_of(situation.campaign, stage.shared_fleet));
            if (!shared) return shared.error();
        }
        forecasts.push_back(std::move(forecast));
    }
    return forecasts;
}

}  // namespace ascertain::app
