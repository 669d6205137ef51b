// The months of a campaign: from plans, prices and what is known of chips to a projection.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "app/files.hpp"
#include "app/forecast.hpp"
#include "app/rollouts.hpp"
#include "model/parameters.hpp"
#include "predict/goodput/closed_forms.hpp"
#include "predict/goodput/published.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kDataFileBytesMax = 4u << 20;
// Weights in bf16, fp32 master weights and two fp32 moments: what a resumable checkpoint holds.
constexpr double kCheckpointBytesPerParameter = 2.0 + 4.0 + 4.0 + 4.0;

// A chip's price with its part of host, network and building.
constexpr double kSystemCostLow = 1.2;
constexpr double kSystemCostMid = 1.5;
constexpr double kSystemCostHigh = 2.0;
// The exchange between two fleets rests on a guessed share of their ports.
constexpr double kExchangeSpread = 3.0;

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

goodput::Uncertain sum(const goodput::Uncertain& a, const goodput::Uncertain& b) {
    return {a.low + b.low, a.mid + b.mid, a.high + b.high, std::max(a.kind, b.kind),
            a.source + "; " + b.source};
}

Error nothing_fits(const Situation& situation, const Stage& stage, std::size_t fleet,
                   const cost::SearchResult& search) {
    return {ErrorCode::kUnknownValue,
            fmt::format("no plan for the {} stage fits in memory on {} x {}: {}",
                        name_of(stage.kind), situation.fleets[fleet].count,
                        situation.fleets[fleet].chip.id, search.nothing_fits),
            situation.campaign.path};
}

// Both fleets of a shared stage wait for the slower one, then exchange gradients.
goodput::Uncertain shared_step(const goodput::Uncertain& a, const goodput::Uncertain& b,
                               double exchange_s) {
    return {std::max(a.low, b.low) + exchange_s / kExchangeSpread,
            std::max(a.mid, b.mid) + exchange_s,
            std::max(a.high, b.high) + exchange_s * kExchangeSpread,
            std::max({a.kind, b.kind, goodput::Kind::kGuessed}),
            a.source + " beside " + b.source + ", gradients exchanged between them"};
}

Result<goodput::StageInput> stage_input(const Home& home, const StageForecast& forecast,
                                        const Situation& situation, const cost::CostBook& book) {
    const Stage& stage = forecast.stage;
    if (forecast.search.plans.empty())
        return nothing_fits(situation, stage, forecast.fleet, forecast.search);
    const auto& best = forecast.search.plans.front();
    goodput::StageInput input;
    input.kind = name_of(stage.kind);
    input.step_s = step_belief(best.cost, best.plan);
    input.devices = situation.fleets[forecast.fleet].count;
    if (forecast.shared) {
        const auto& shared = *forecast.shared;
        if (shared.search.plans.empty())
            return nothing_fits(situation, stage, shared.fleet, shared.search);
        const auto& other = shared.search.plans.front();
        input.step_s =
            shared_step(input.step_s, step_belief(other.cost, other.plan), shared.exchange_s);
        input.shared_devices = situation.fleets[shared.fleet].count;
    }
    if (stage.kind == StageKind::kGrpo) {
        const auto answers =
            rollout_belief(home, situation, book, stage, situation.fleets[forecast.rollout_fleet]);
        if (!answers) return answers.error();
        input.steps = static_cast<double>(stage.updates);
        input.step_s = sum(input.step_s, *answers);
        input.rollout_s = answers->mid;
        if (forecast.rollout_fleet != forecast.fleet) {
            input.loose_devices = situation.fleets[forecast.rollout_fleet].count;
        }
    } else {
        input.tokens = stage.tokens;
        input.tokens_per_step =
            static_cast<double>(stage.sequence_length * stage.global_batch_sequences);
    }
    return input;
}

// The parts of training that are no compute, for the waterfall: of each stage's best plan, by the
// time that the stage trains.
std::vector<goodput::StepShare> step_shares(const std::vector<StageForecast>& stages,
                                            const std::vector<goodput::StageInput>& inputs) {
    using cost::Part;
    struct Row {
        const char* name;
        std::vector<Part> parts;
    };
    const std::vector<Row> rows{
        {"bubble", {Part::kBubble}},
        {"exposed_communication",
         {Part::kTp, Part::kCp, Part::kEp, Part::kFsdp, Part::kPp, Part::kDp}},
        {"host", {Part::kHost, Part::kOverhead}}};
    double all_s = 0.0;
    std::vector<double> seconds(rows.size(), 0.0);
    for (std::size_t i = 0; i < stages.size(); ++i) {
        const cost::StepCost& step = stages[i].search.plans.front().cost;
        const double steps =
            inputs[i].steps > 0.0 ? inputs[i].steps : inputs[i].tokens / inputs[i].tokens_per_step;
        const double trained_s = steps * (inputs[i].step_s.mid - inputs[i].rollout_s);
        all_s += trained_s;
        for (std::size_t r = 0; r < rows.size(); ++r)
            for (const Part part : rows[r].parts)
                seconds[r] += trained_s * step.parts[static_cast<std::size_t>(part)] / step.step_s;
    }
    std::vector<goodput::StepShare> shares;
    for (std::size_t r = 0; r < rows.size(); ++r)
        shares.push_back({rows[r].name, all_s > 0.0 ? std::max(0.0, seconds[r] / all_s) : 0.0});
    return shares;
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

// What one fleet's chips cost and draw.
struct Money {
    std::optional<goodput::Uncertain> rent_usd_per_device_hour;
    std::optional<goodput::Uncertain> capex_usd_per_device;
    std::optional<goodput::Uncertain> power_w;
};

// Power as printed; where nobody prints one, from the lowest to the highest in circulation.
std::optional<goodput::Uncertain> power_belief(const catalog::Chip& chip) {
    if (chip.power.known()) return figure_belief(chip.power);
    std::vector<double> watts;
    for (const auto& conflict : chip.conflicts) {
        if (conflict.field == "power.board" && conflict.figure.value)
            watts.push_back(*conflict.figure.value);
    }
    if (watts.size() < 2) return std::nullopt;
    const auto [low, high] = std::ranges::minmax(watts);
    return goodput::Uncertain{
        low, std::sqrt(low * high), high, goodput::Kind::kPress,
        fmt::format("no vendor figure; {:.0f} to {:.0f} W in circulation", low, high)};
}

Money money_of(const Situation& situation, std::size_t which) {
    const FleetSpec& spec = situation.campaign.fleets[which];
    // A fleet is counted in devices; the catalog prints packages.
    const catalog::Chip chip = catalog::per_device(situation.fleets[which].chip);
    Money money;
    money.power_w = power_belief(chip);
    if (spec.price_per_chip_hour) {
        money.rent_usd_per_device_hour =
            goodput::certain(spec.price_per_chip_hour->count, "campaign");
    } else if (chip.rental_per_hour.known()) {
        money.rent_usd_per_device_hour = figure_belief(chip.rental_per_hour);
    } else if (chip.purchase.known() && money.power_w) {
        goodput::Uncertain capex = figure_belief(chip.purchase);
        capex.low *= kSystemCostLow;
        capex.mid *= kSystemCostMid;
        capex.high *= kSystemCostHigh;
        capex.kind = goodput::Kind::kGuessed;
        capex.source += "; x 1.2 to 2 for host, network and building (guessed)";
        money.capex_usd_per_device = capex;
    } else {
        money.rent_usd_per_device_hour = rent_by_analogy(situation.catalog, chip);
    }
    return money;
}

// Whether runs on this die have been published, going by the measured steps behind the cost book.
goodput::Platform platform_of(const catalog::Chip& chip, const cost::CostBook& book) {
    std::vector<std::string> names = chip.aliases;
    names.push_back(chip.id);
    return book.resolve(names, "", 0, "").die_known ? goodput::Platform::kPublished
                                                    : goodput::Platform::kUnproven;
}

// The one or two fleets that the stages use, the first stage's first.
struct FleetsInUse {
    std::size_t first = 0;
    std::optional<std::size_t> second;

    [[nodiscard]] std::size_t number_of(std::size_t fleet) const { return fleet == first ? 0 : 1; }
};

Result<FleetsInUse> fleets_in_use(const Situation& situation,
                                  const std::vector<StageForecast>& stages) {
    FleetsInUse used{stages.front().fleet, std::nullopt};
    for (const auto& stage : stages) {
        std::vector<std::size_t> fleets{stage.fleet};
        if (stage.stage.kind == StageKind::kGrpo) fleets.push_back(stage.rollout_fleet);
        if (stage.shared) fleets.push_back(stage.shared->fleet);
        for (const std::size_t fleet : fleets) {
            if (fleet == used.first || fleet == used.second) continue;
            if (used.second) {
                return Error{ErrorCode::kUnsupported,
                             "the stages use three fleets or more; the months are played for one "
                             "or two",
                             situation.campaign.path};
            }
            used.second = fleet;
        }
    }
    return used;
}

void add_campaign(goodput::ProjectionInput& input, const Situation& situation, std::size_t first) {
    const Campaign& campaign = situation.campaign;
    const FleetSpec& spec = campaign.fleets[first];
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
    if (spec.restart_time)
        input.beliefs.restart_s = goodput::certain(spec.restart_time->count, "campaign");
}

// A belief about the storage of the whole job cannot exceed what its devices write or read when
// each does as much as one alone was measured to.
void cap(goodput::Uncertain& belief, const catalog::Figure<BytesPerSecond>& per_device,
         std::int64_t devices) {
    if (!per_device.known()) return;
    const double most = per_device.value->count * static_cast<double>(devices);
    if (most < belief.mid) belief.kind = goodput::Kind::kMeasured;
    for (double* end : {&belief.low, &belief.mid, &belief.high}) *end = std::min(*end, most);
    belief.source = fmt::format(
        "{} devices at {:.3g} GB/s each (measured: {}) are {:.4g} GB/s at "
        "most; {}",
        devices, per_device.value->count / 1e9, per_device.source, most / 1e9, belief.source);
}

void add_storage(goodput::ProjectionInput& input, const catalog::Chip& chip,
                 const FleetSpec& spec) {
    goodput::Beliefs& beliefs = input.beliefs;
    if (spec.checkpoint_bandwidth) {
        beliefs.write_bytes_per_s = goodput::certain(spec.checkpoint_bandwidth->count, "campaign");
    } else {
        cap(beliefs.write_bytes_per_s, chip.checkpoint_write_per_device, spec.count);
    }
    cap(beliefs.read_bytes_per_s, chip.checkpoint_read_per_device, spec.count);
}

goodput::CheckpointMode mode_of(const std::string& name) {
    if (name == "asynchronous") return goodput::CheckpointMode::kAsynchronous;
    if (name == "in_memory") return goodput::CheckpointMode::kInMemory;
    return goodput::CheckpointMode::kBlocking;
}

// A replica of the first stage's plan, in nodes: what the run loses at once when it shrinks.
std::int64_t nodes_per_replica(const StageForecast& stage, const FleetSpec& spec) {
    const std::int64_t replicas = std::max<std::int64_t>(1, stage.search.plans.front().plan.dp);
    const std::int64_t devices = std::max<std::int64_t>(1, spec.count / replicas);
    return (devices + spec.chips_per_node - 1) / spec.chips_per_node;
}

void add_operations(goodput::ProjectionInput& input, const Operations& operations,
                    const StageForecast& stage, const FleetSpec& spec) {
    input.checkpoint_mode = mode_of(operations.checkpoint);
    if (operations.checkpoint_interval)
        input.checkpoint_interval_s = operations.checkpoint_interval->count;
    if (operations.persistent_interval)
        input.persistent_interval_s = operations.persistent_interval->count;
    if (operations.replicas_lost_at_most > 0.0) {
        input.elastic.nodes_per_replica = nodes_per_replica(stage, spec);
        input.elastic.replicas_lost_ratio_max = operations.replicas_lost_at_most;
    }
    if (operations.maintenance_every)
        input.maintenance = {operations.maintenance_every->count,
                             operations.maintenance_takes->count};
    if (operations.monitoring_ratio)
        input.beliefs.monitoring_ratio = goodput::certain(*operations.monitoring_ratio, "campaign");
    if (operations.step_time_spread) {
        const double ratio = goodput::straggler_ratio(spec.count, *operations.step_time_spread);
        input.beliefs.straggler_ratio = goodput::certain(
            ratio, fmt::format("the slowest of {} devices whose step times spread by {:.3g} of "
                               "their mean (campaign)",
                               spec.count, *operations.step_time_spread));
    }
}

// What a soak of these chips saw, as `calibrate` writes it into their file.
goodput::SoakEvidence soak_of(const catalog::Chip& chip) {
    if (!chip.soak_time.known() || !chip.soak_failures.known()) return {};
    return {*chip.soak_failures.value, chip.soak_time.value->count / kSecondsPerHour};
}

// Prices of both fleets, and the tariff that whoever buys chips also pays.
void add_money(goodput::ProjectionInput& input, const Situation& situation,
               const FleetsInUse& used) {
    const Money first = money_of(situation, used.first);
    input.beliefs.rent_usd_per_device_hour = first.rent_usd_per_device_hour;
    input.beliefs.capex_usd_per_device = first.capex_usd_per_device;
    input.beliefs.power_w_per_device = first.power_w;
    input.beliefs.usd_per_kwh =
        goodput::Uncertain{0.05, 0.08, 0.15, goodput::Kind::kGuessed, "industrial electricity"};
    if (!input.second) return;
    const Money second = money_of(situation, *used.second);
    input.second->rent_usd_per_device_hour = second.rent_usd_per_device_hour;
    input.second->capex_usd_per_device = second.capex_usd_per_device;
    input.second->power_w_per_device = second.power_w;
}

// What the defaults believe about this fleet's platform.
Result<goodput::ProjectionInput> defaults_for(const Home& home, goodput::Platform platform) {
    const std::string path = home.data("reliability/defaults.toml");
    const auto text = read_file(path, kDataFileBytesMax);
    if (!text) return text.error();
    return goodput::parse_defaults(*text, path, platform);
}

}  // namespace

Result<goodput::ProjectionInput> projection_input(const Home& home, const Situation& situation,
                                                  const cost::CostBook& book,
                                                  const std::vector<StageForecast>& stages) {
    const auto used = fleets_in_use(situation, stages);
    if (!used) return used.error();
    const auto platform = [&](std::size_t fleet) {
        return platform_of(situation.fleets[fleet].chip, book);
    };
    // A stack that nobody has trained on brings its defects to whatever trains on it; rollout
    // workers alone do not stop a run.
    auto beliefs = platform(used->first);
    for (const auto& stage : stages) {
        beliefs = std::max(beliefs, platform(stage.fleet));
        if (stage.shared) beliefs = std::max(beliefs, platform(stage.shared->fleet));
    }
    auto input = defaults_for(home, beliefs);
    if (!input) return input;
    const auto own = defaults_for(home, platform(used->first));
    if (!own) return own.error();
    input->failure = own->failure;
    input->soak = soak_of(situation.fleets[used->first].chip);
    if (used->second) {
        const auto other = defaults_for(home, platform(*used->second));
        if (!other) return other.error();
        const FleetSpec& spec = situation.campaign.fleets[*used->second];
        input->second = goodput::SecondFleet{spec.name,
                                             spec.count,
                                             spec.chips_per_node,
                                             spec.spare_nodes,
                                             other->failure,
                                             {},
                                             {},
                                             {},
                                             soak_of(situation.fleets[*used->second].chip)};
    }
    for (const auto& stage : stages) {
        auto entry = stage_input(home, stage, situation, book);
        if (!entry) return entry.error();
        entry->fleet = used->number_of(stage.fleet);
        entry->loose_fleet = used->number_of(stage.rollout_fleet);
        input->stages.push_back(*std::move(entry));
    }
    input->step_shares = step_shares(stages, input->stages);
    add_campaign(*input, situation, used->first);
    add_storage(*input, situation.fleets[used->first].chip, situation.campaign.fleets[used->first]);
    add_operations(*input, situation.campaign.operations, stages.front(),
                   situation.campaign.fleets[used->first]);
    add_money(*input, situation, *used);
    return input;
}

Result<goodput::Projection> forecast_months(const Home& home, const Situation& situation,
                                            const cost::CostBook& book,
                                            const std::vector<StageForecast>& stages,
                                            const Measured& measured, std::uint64_t seed,
                                            int histories) {
    auto input = projection_input(home, situation, book, stages);
    if (!input) return input.error();
    input->soak.failures += measured.soak.failures;
    input->soak.device_hours += measured.soak.device_hours;
    input->blockers = measured.blockers;
    input->findings = measured.findings;
    input->seed = seed;
    input->histories_per_draw = std::max(1, histories / input->belief_draws);
    return goodput::project(*input);
}

}  // namespace ascertain::app
