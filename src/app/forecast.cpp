#include "app/forecast.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <filesystem>

#include "app/files.hpp"
#include "model/parameters.hpp"
#include "predict/goodput/published.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kDataFileBytesMax = 4u << 20;
// Weights in bf16, fp32 master weights and two fp32 moments: what a resumable checkpoint holds.
constexpr double kCheckpointBytesPerParameter = 2.0 + 4.0 + 4.0 + 4.0;

// Decoding is bound by memory and by its longest answers: the share of the dense peak that rollout
// generation reaches. Nobody measured it here, so it is wide.
constexpr double kRolloutShareLow = 0.02;
constexpr double kRolloutShareMid = 0.06;
constexpr double kRolloutShareHigh = 0.15;

model::Dtype dtype_of(const std::string& precision) {
    if (precision == "fp32") return model::Dtype::kFp32;
    return precision == "fp16" ? model::Dtype::kFp16 : model::Dtype::kBf16;
}

// What a prediction rests on most: the kind of its input with the largest spread.
goodput::Kind weakest_kind(const cost::StepCost& step) {
    const auto widest = std::ranges::max_element(step.basis, {}, &cost::Basis::spread);
    if (widest == step.basis.end()) return goodput::Kind::kGuessed;
    return goodput::kind_from(widest->kind).value_or(goodput::Kind::kGuessed);
}

goodput::Uncertain step_belief(const cost::StepCost& step, const parallel::Plan& plan) {
    return {step.low_s, step.step_s, step.high_s, weakest_kind(step),
            fmt::format("simulated step of {}", parallel::describe(plan))};
}

// Seconds to generate one update's answers: 2 FLOPs per active weight and token
// (docs/formulas.md#rollout), spread over the fleet.
goodput::Uncertain rollout_belief(const Stage& stage, const Situation& situation,
                                  const catalog::Fleet& fleet) {
    const auto& peak = fleet.chip.peak(catalog::Format::kBf16);
    const double tokens = static_cast<double>(stage.prompts_per_update * stage.samples_per_prompt) *
                          static_cast<double>(stage.response_tokens);
    const auto counted = model::count_parameters(situation.architecture);
    const double ideal = 2.0 * static_cast<double>(counted.multiplied) * tokens /
                         (static_cast<double>(fleet.count) * peak.value->count);
    return {ideal / kRolloutShareHigh, ideal / kRolloutShareMid, ideal / kRolloutShareLow,
            goodput::Kind::kGuessed, "rollouts at 2 to 15 % of the dense peak"};
}

goodput::Uncertain sum(const goodput::Uncertain& a, const goodput::Uncertain& b) {
    return {a.low + b.low, a.mid + b.mid, a.high + b.high, b.kind, a.source + "; " + b.source};
}

Result<goodput::StageInput> stage_input(const StageForecast& forecast, const Situation& situation) {
    const Stage& stage = forecast.stage;
    if (forecast.search.plans.empty()) {
        return Error{ErrorCode::kUnknownValue,
                     fmt::format("no plan for the {} stage fits in memory: {}", name_of(stage.kind),
                                 forecast.search.nothing_fits),
                     situation.campaign.path};
    }
    const auto& best = forecast.search.plans.front();
    goodput::StageInput input;
    input.kind = name_of(stage.kind);
    input.step_s = step_belief(best.cost, best.plan);
    input.devices = situation.fleets[forecast.fleet].count;
    if (stage.kind == StageKind::kGrpo) {
        const std::size_t rollouts = fleet_of(
            situation.campaign, stage.rollout_fleet.empty() ? stage.fleet : stage.rollout_fleet);
        input.steps = static_cast<double>(stage.updates);
        input.step_s =
            sum(input.step_s, rollout_belief(stage, situation, situation.fleets[rollouts]));
    } else {
        input.tokens = stage.tokens;
        input.tokens_per_step =
            static_cast<double>(stage.sequence_length * stage.global_batch_sequences);
    }
    return input;
}

// The parts of a step that are no compute, for the waterfall.
std::vector<goodput::StepShare> step_shares(const cost::StepCost& step) {
    const auto share = [&](std::initializer_list<cost::Part> parts) {
        double seconds = 0.0;
        for (const auto part : parts) seconds += step.parts[static_cast<std::size_t>(part)];
        return std::max(0.0, seconds / step.step_s);
    };
    using cost::Part;
    return {{"bubble", share({Part::kBubble})},
            {"exposed_communication",
             share({Part::kTp, Part::kCp, Part::kEp, Part::kFsdp, Part::kPp, Part::kDp})},
            {"host", share({Part::kHost, Part::kOverhead})}};
}

template <typename Q>
goodput::Uncertain figure_belief(const catalog::Figure<Q>& figure) {
    const double middle = figure.value->count;
    const double spread = goodput::kScore90 * figure.spread();
    return {figure.low ? figure.low->count : middle / (1.0 + spread), middle,
            figure.high ? figure.high->count : middle * (1.0 + spread),
            goodput::kind_from(catalog::name_of(figure.kind)).value_or(goodput::Kind::kGuessed),
            figure.source};
}

// Nobody names a price for this chip: then what the catalog's priced chips rent for, per bf16
// FLOP/s, from the cheapest to the dearest. A guess, and marked as one.
std::optional<goodput::Uncertain> rent_by_analogy(const catalog::Catalog& known,
                                                  const catalog::Chip& chip) {
    const auto& peak = chip.peak(catalog::Format::kBf16);
    if (!peak.known()) return std::nullopt;
    std::vector<double> rates;
    for (const auto& other : known.chips()) {
        const auto& others = other.peak(catalog::Format::kBf16);
        if (!other.rental_per_hour.known() || !others.known()) continue;
        rates.push_back(other.rental_per_hour.value->count / others.value->count);
    }
    if (rates.size() < 3) return std::nullopt;
    std::ranges::sort(rates);
    const double flops = peak.value->count;
    return goodput::Uncertain{
        rates.front() * flops, rates[rates.size() / 2] * flops, rates.back() * flops,
        goodput::Kind::kGuessed,
        fmt::format(
            "no price is known for {}: rents of {} priced chips of the catalog, per bf16 FLOP/s",
            chip.id, rates.size())};
}

void add_prices(goodput::Beliefs& beliefs, const Situation& situation, const FleetSpec& spec,
                const catalog::Chip& chip) {
    if (spec.price_per_chip_hour) {
        beliefs.rent_usd_per_device_hour =
            goodput::certain(spec.price_per_chip_hour->count, "campaign");
    } else if (chip.rental_per_hour.known()) {
        beliefs.rent_usd_per_device_hour = figure_belief(chip.rental_per_hour);
    } else if (chip.purchase.known()) {
        beliefs.capex_usd_per_device = figure_belief(chip.purchase);
        beliefs.usd_per_kwh =
            goodput::Uncertain{0.05, 0.08, 0.15, goodput::Kind::kGuessed, "industrial electricity"};
    } else {
        beliefs.rent_usd_per_device_hour = rent_by_analogy(situation.catalog, chip);
    }
    if (chip.power.known()) beliefs.power_w_per_device = figure_belief(chip.power);
}

// Whether runs on this die have been published, going by the measured steps behind the cost book.
goodput::Platform platform_of(const catalog::Chip& chip, const cost::CostBook& book) {
    std::vector<std::string> names = chip.aliases;
    names.push_back(chip.id);
    return book.resolve(names, "", 0, "").die_known ? goodput::Platform::kPublished
                                                    : goodput::Platform::kUnproven;
}

void add_campaign(goodput::ProjectionInput& input, const Situation& situation) {
    const Campaign& campaign = situation.campaign;
    const FleetSpec& spec = campaign.fleets.front();
    input.devices = spec.count;
    input.devices_per_node = spec.chips_per_node;
    input.spare_nodes = spec.spare_nodes;
    input.confidence = campaign.decision.confidence;
    if (campaign.decision.finish_within) input.deadline_s = campaign.decision.finish_within->count;
    if (campaign.decision.budget) input.budget_usd = campaign.decision.budget->count;
    const double parameters =
        static_cast<double>(model::count_parameters(situation.architecture).total);
    input.beliefs.checkpoint_bytes =
        goodput::certain(parameters * kCheckpointBytesPerParameter, "parameters x 14 bytes");
    if (spec.checkpoint_bandwidth) {
        input.beliefs.write_bytes_per_s =
            goodput::certain(spec.checkpoint_bandwidth->count, "campaign");
    }
    if (spec.restart_time)
        input.beliefs.restart_s = goodput::certain(spec.restart_time->count, "campaign");
    add_prices(input.beliefs, situation, spec, situation.fleets.front().chip);
}

}  // namespace

Result<cost::CostBook> read_cost_book(const Home& home) {
    const std::string path = home.data("cost/constants.toml");
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
                                                   const cost::CostBook& book,
                                                   const cost::SearchOptions& options) {
    std::vector<StageForecast> forecasts;
    for (const auto& stage : situation.campaign.stages) {
        StageForecast forecast{stage,
                               fleet_of(situation.campaign, stage.fleet),
                               job_of(situation.campaign, stage),
                               {}};
        const auto started = std::chrono::steady_clock::now();
        auto found = cost::find_plans(situation.architecture, situation.fleets[forecast.fleet],
                                      forecast.job, book, options);
        if (!found) return found.error();
        forecast.search = *std::move(found);
        forecast.search.elapsed = {
            std::chrono::duration<double>(std::chrono::steady_clock::now() - started).count()};
        forecasts.push_back(std::move(forecast));
    }
    return forecasts;
}

Result<goodput::Projection> forecast_months(const Home& home, const Situation& situation,
                                            const cost::CostBook& book,
                                            const std::vector<StageForecast>& stages,
                                            const Measured& measured, std::uint64_t seed,
                                            int histories) {
    const std::string path = home.data("reliability/defaults.toml");
    const auto text = read_file(path, kDataFileBytesMax);
    if (!text) return text.error();
    auto input =
        goodput::parse_defaults(*text, path, platform_of(situation.fleets.front().chip, book));
    if (!input) return input.error();
    for (const auto& stage : stages) {
        auto entry = stage_input(stage, situation);
        if (!entry) return entry.error();
        input->stages.push_back(*std::move(entry));
    }
    input->step_shares = step_shares(stages.front().search.plans.front().cost);
    add_campaign(*input, situation);
    input->soak = measured.soak;
    input->blockers = measured.blockers;
    input->seed = seed;
    input->histories_per_draw = std::max(1, histories / input->belief_draws);
    return goodput::project(*input);
}

}  // namespace ascertain::app
