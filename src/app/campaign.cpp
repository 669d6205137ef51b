#include "app/campaign.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "base/text.hpp"
#include "base/toml_table.hpp"
#include "predict/serving/question.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kCampaignBytesMax = 1u << 20;  // a campaign is a page, not a data set
constexpr std::int64_t kCountMax = 100'000'000;  // of chips, sequences, updates: beyond is a typo
constexpr double kTokensMax = 1e16;

Error at_start(const std::string& path, std::string message) {
    return {ErrorCode::kBadInput, std::move(message), fmt::format("{}:1:1", path)};
}

// Shared by every reader below: the file's name and the first error found.
struct Reading {
    const std::string& path;
    std::optional<Error> error;

    TomlTable open(const toml::table& table, std::string name) {
        return {table, std::move(name), path, error};
    }
};

Rollout rollout_from(const std::string& name, TomlTable& in) {
    if (name.empty()) return Rollout::kNotSaid;
    if (name == "synchronous") return Rollout::kSynchronous;
    if (name != "partial") in.refuse("rollout", "write \"synchronous\" or \"partial\"");
    return Rollout::kPartial;
}

ServingSpec read_serving(const toml::table& table, Reading& reading) {
    constexpr double kRateMax = 1e12;
    constexpr double kLengthMax = 1e8;
    auto in = reading.open(table, "serving");
    ServingSpec serving;
    serving.chip = in.text("chip");
    serving.network = in.text_or("network", "");
    serving.count = in.integer_or("count", 1, kCountMax, 0);
    serving.chips_per_node = in.integer_or("chips_per_node", 1, 1024, 8);
    serving.precision = in.text_or("precision", "");
    if (const auto& name = serving.precision; !name.empty() && !serving::precision_from(name))
        in.refuse("precision", fmt::format("\"{}\" is none of bf16, fp8, int8, fp4", name));
    serving.prompt_tokens = in.number_or("prompt_tokens", 0.0, kLengthMax, serving.prompt_tokens);
    serving.output_tokens = in.number_or("output_tokens", 0.0, kLengthMax, serving.output_tokens);
    serving.cached_ratio = in.number_or("cached_ratio", 0.0, 1.0, 0.0);
    serving.time_per_output_token = in.maybe_duration("time_per_output_token");
    serving.time_to_first_token = in.maybe_duration("time_to_first_token");
    serving.output_tokens_per_s = in.maybe_number("output_tokens_per_s", 0.0, kRateMax);
    in.refuse_unknown();
    return serving;
}

Stage read_stage(const toml::table& table, Reading& reading) {
    auto in = reading.open(table, "training.stage");
    const std::string kind = in.choice("kind", {"pretrain", "sft", "grpo"});
    Stage stage;
    stage.fleet = in.text_or("fleet", "");
    stage.shared_fleet = in.text_or("shared_fleet", "");
    if (kind == "grpo") {
        stage.kind = StageKind::kGrpo;
        stage.updates = in.integer("updates", 1, kCountMax);
        stage.prompts_per_update = in.integer("prompts_per_update", 1, kCountMax);
        stage.samples_per_prompt = in.integer("samples_per_prompt", 2, 100'000);
        stage.response_tokens = in.integer("response_tokens", 1, kCountMax);
        stage.prompt_tokens = in.integer_or("prompt_tokens", 0, kCountMax, 512);
        stage.response_tokens_max = in.integer_or("response_tokens_max", 1, kCountMax, 0);
        if (stage.response_tokens_max > 0 && stage.response_tokens_max <= stage.response_tokens)
            in.refuse("response_tokens_max",
                      fmt::format("answers of {} tokens on average cannot all be cut off at {}",
                                  stage.response_tokens, stage.response_tokens_max));
        stage.updates_per_rollout = in.integer_or("updates_per_rollout", 1, 10'000, 1);
        stage.rollout = rollout_from(in.text_or("rollout", ""), in);
        stage.rollout_fleet = in.text_or("rollout_fleet", "");
    } else {
        stage.kind = kind == "sft" ? StageKind::kSft : StageKind::kPretrain;
        stage.tokens =
            static_cast<double>(in.integer("tokens", 1, static_cast<std::int64_t>(kTokensMax)));
        stage.sequence_length = in.integer("sequence_length", 1, kCountMax);
        stage.global_batch_sequences = in.integer("global_batch_sequences", 1, kCountMax);
    }
    for (const auto* plan : in.tables("plan", false)) {
        auto part = reading.open(*plan, "training.stage.plan");
        stage.plan = read_plan_wish(part);
    }
    in.refuse_unknown();
    return stage;
}

FleetSpec read_fleet(const toml::table& table, Reading& reading, bool needs_name) {
    auto in = reading.open(table, "fleet");
    FleetSpec fleet;
    fleet.name = needs_name ? in.text("name") : in.text_or("name", "");
    fleet.chip = in.text("chip");
    fleet.network = in.text("network");
    fleet.count = in.integer("count", 1, kCountMax);
    fleet.chips_per_node = in.integer_or("chips_per_node", 1, 1024, 8);
    fleet.spare_nodes = in.integer_or("spare_nodes", 0, kCountMax, 0);
    fleet.price_per_chip_hour = in.maybe_money("price_per_chip_hour");
    fleet.checkpoint_bandwidth = in.maybe_rate("checkpoint_bandwidth");
    fleet.restart_time = in.maybe_duration("restart_time");
    if (!reading.error && fleet.count % fleet.chips_per_node != 0) {
        in.refuse("count", fmt::format("{} chips do not fill nodes of {}", fleet.count,
                                       fleet.chips_per_node));
    }
    in.refuse_unknown();
    return fleet;
}

Decision read_decision(const toml::table& table, Reading& reading) {
    auto in = reading.open(table, "decision");
    Decision decision;
    decision.finish_within = in.maybe_duration("finish_within");
    decision.budget = in.maybe_money("budget");
    decision.confidence = in.number_or("confidence", 0.0, 1.0, 0.9);
    decision.interruptions_per_day_at_most =
        in.maybe_number("interruptions_per_day_at_most", 0.0, 1e6);
    in.refuse_unknown();
    return decision;
}

Operations read_operations(const toml::table& table, Reading& reading) {
    auto in = reading.open(table, "operations");
    Operations operations;
    if (table.contains("checkpoint"))
        operations.checkpoint = in.choice("checkpoint", {"blocking", "asynchronous", "in_memory"});
    operations.checkpoint_interval = in.maybe_duration("checkpoint_interval");
    operations.persistent_interval = in.maybe_duration("persistent_interval");
    if (operations.persistent_interval && operations.checkpoint != "in_memory")
        in.refuse("persistent_interval", "goes with checkpoint = \"in_memory\"");
    operations.replicas_lost_at_most = in.number_or("replicas_lost_at_most", 0.0, 0.95, 0.0);
    operations.maintenance_every = in.maybe_duration("maintenance_every");
    operations.maintenance_takes = in.maybe_duration("maintenance_takes");
    if (operations.maintenance_every && !operations.maintenance_takes)
        in.refuse("maintenance_every", "say how long it takes: maintenance_takes = \"8 h\"");
    if (operations.maintenance_takes && !operations.maintenance_every)
        in.refuse("maintenance_takes", "say how often: maintenance_every = \"14 d\"");
    operations.monitoring_ratio = in.maybe_number("monitoring_ratio", 0.0, 1.0);
    operations.step_time_spread = in.maybe_number("step_time_spread", 0.0, 1.0);
    in.refuse_unknown();
    return operations;
}

WaiverSpec read_waiver(const toml::table& table, Reading& reading) {
    auto in = reading.open(table, "waiver");
    WaiverSpec waiver{in.text("check"), in.text("by"), in.text("until"), in.text("why")};
    const bool dated =
        waiver.until.size() == 10 && waiver.until[4] == '-' && waiver.until[7] == '-';
    if (!reading.error && !dated) in.refuse("until", "write the last day as \"2027-01-31\"");
    in.refuse_unknown();
    return waiver;
}

// Names that stages use must be fleets there are.
void check_fleet_names(const Campaign& campaign, TomlTable& training, Reading& reading) {
    std::vector<std::string> names;
    for (const auto& fleet : campaign.fleets) names.push_back(fleet.name);
    for (const auto& stage : campaign.stages) {
        for (const auto& used : {stage.fleet, stage.rollout_fleet, stage.shared_fleet}) {
            if (reading.error || used.empty() || std::ranges::find(names, used) != names.end())
                continue;
            training.refuse("stage",
                            fmt::format("a stage names fleet \"{}\", which does not exist{}", used,
                                        did_you_mean(used, names)));
        }
    }
}

std::string resolved(const std::string& named, const std::string& campaign_path) {
    const std::filesystem::path path(named);
    if (path.is_absolute()) return named;
    return (std::filesystem::path(campaign_path).parent_path() / path).lexically_normal().string();
}

Campaign read_root(const toml::table& root, const std::string& path, Reading& reading) {
    Campaign campaign;
    campaign.path = path;
    auto in = reading.open(root, "campaign");
    auto model = reading.open(in.table("model"), "model");
    if (reading.error) return campaign;
    campaign.model_config = resolved(model.text("config"), path);
    model.refuse_unknown();

    auto training = reading.open(in.table("training"), "training");
    if (reading.error) return campaign;
    campaign.precision = training.choice("precision", {"bf16", "fp8", "fp16", "fp32"});
    for (const auto* stage : training.tables("stage", true)) {
        campaign.stages.push_back(read_stage(*stage, reading));
    }
    training.refuse_unknown();

    const auto fleets = in.tables("fleet", true);
    for (const auto* fleet : fleets) {
        campaign.fleets.push_back(read_fleet(*fleet, reading, fleets.size() > 1));
    }
    check_fleet_names(campaign, training, reading);

    for (const auto* serving : in.tables("serving", false)) {
        campaign.serving = read_serving(*serving, reading);
    }
    if (!reading.error) campaign.decision = read_decision(in.table("decision"), reading);
    for (const auto* operations : in.tables("operations", false)) {
        campaign.operations = read_operations(*operations, reading);
    }
    campaign.devices = {"auto"};
    for (const auto* here : in.tables("here", false)) {
        auto part = reading.open(*here, "here");
        campaign.devices = part.texts_or("devices", {"auto"});
        campaign.reference = part.text_or("reference", "cpu");
        if (const auto defects = part.text_or("defects", ""); !defects.empty())
            campaign.defects = resolved(defects, path);
        part.refuse_unknown();
    }
    for (const auto* compare : in.tables("compare", false)) {
        auto part = reading.open(*compare, "compare");
        campaign.compare_chips = part.texts_or("chips", {});
        part.refuse_unknown();
    }
    for (const auto* waiver : in.tables("waiver", false)) {
        campaign.waivers.push_back(read_waiver(*waiver, reading));
    }
    in.refuse_unknown();
    return campaign;
}

Json stage_json(const Stage& stage) {
    Json entry{{"kind", name_of(stage.kind)}};
    if (stage.kind == StageKind::kGrpo) {
        entry["updates"] = stage.updates;
        entry["prompts_per_update"] = stage.prompts_per_update;
        entry["samples_per_prompt"] = stage.samples_per_prompt;
        entry["response_tokens"] = stage.response_tokens;
        entry["prompt_tokens"] = stage.prompt_tokens;
        if (stage.response_tokens_max > 0) entry["response_tokens_max"] = stage.response_tokens_max;
        if (stage.updates_per_rollout > 1) entry["updates_per_rollout"] = stage.updates_per_rollout;
        if (stage.rollout != Rollout::kNotSaid) entry["rollout"] = name_of(stage.rollout);
    } else {
        entry["tokens"] = stage.tokens;
        entry["sequence_length"] = stage.sequence_length;
        entry["global_batch_sequences"] = stage.global_batch_sequences;
    }
    if (!stage.fleet.empty()) entry["fleet"] = stage.fleet;
    if (!stage.rollout_fleet.empty()) entry["rollout_fleet"] = stage.rollout_fleet;
    if (!stage.shared_fleet.empty()) entry["shared_fleet"] = stage.shared_fleet;
    if (Json plan = to_json(stage.plan); !plan.empty()) entry["plan"] = std::move(plan);
    return entry;
}

Json fleet_json(const FleetSpec& fleet) {
    return {{"name", fleet.name},
            {"chip", fleet.chip},
            {"network", fleet.network},
            {"count", fleet.count},
            {"chips_per_node", fleet.chips_per_node},
            {"spare_nodes", fleet.spare_nodes}};
}

}  // namespace

std::string_view name_of(StageKind kind) {
    switch (kind) {
        case StageKind::kPretrain: return "pretrain";
        case StageKind::kSft: return "sft";
        case StageKind::kGrpo: return "grpo";
    }
    ASCERTAIN_ASSERT(false);
}

std::string_view name_of(Rollout rollout) {
    switch (rollout) {
        case Rollout::kNotSaid: return "";
        case Rollout::kSynchronous: return "synchronous";
        case Rollout::kPartial: return "partial";
    }
    ASCERTAIN_ASSERT(false);
}

Result<Campaign> read_campaign(std::string_view text, const std::string& path) {
    if (text.size() > kCampaignBytesMax) {
        return at_start(path, fmt::format("{} bytes is more than a campaign may have ({})",
                                          text.size(), kCampaignBytesMax));
    }
    if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) {
        return at_start(path,
                        "the campaign is empty; data/campaigns/first-look.toml is an example");
    }
    try {
        const toml::table root = toml::parse(text, path);
        Reading reading{path, std::nullopt};
        Campaign campaign = read_root(root, path, reading);
        if (reading.error) return *reading.error;
        return campaign;
    } catch (const toml::parse_error& error) {
        const auto& begin = error.source().begin;
        return Error{ErrorCode::kBadInput, std::string(error.description()),
                     fmt::format("{}:{}:{}", path, begin.line, begin.column)};
    }
}

Json to_json(const Campaign& campaign) {
    Json stages = Json::array();
    for (const auto& stage : campaign.stages) stages.push_back(stage_json(stage));
    Json fleets = Json::array();
    for (const auto& fleet : campaign.fleets) fleets.push_back(fleet_json(fleet));
    Json waivers = Json::array();
    for (const auto& waiver : campaign.waivers) {
        waivers.push_back({{"check", waiver.check},
                           {"by", waiver.by},
                           {"until", waiver.until},
                           {"why", waiver.why}});
    }
    const Decision& decision = campaign.decision;
    return {{"path", campaign.path},
            {"model_config", campaign.model_config},
            {"precision", campaign.precision},
            {"stages", std::move(stages)},
            {"fleets", std::move(fleets)},
            {"serving_chip", campaign.serving.chip},
            {"decision",
             {{"finish_within_s",
               decision.finish_within ? Json(decision.finish_within->count) : Json()},
              {"budget_usd", decision.budget ? Json(decision.budget->count) : Json()},
              {"confidence", decision.confidence},
              {"interruptions_per_day_at_most", decision.interruptions_per_day_at_most
                                                    ? Json(*decision.interruptions_per_day_at_most)
                                                    : Json()}}},
            {"devices", campaign.devices},
            {"reference", campaign.reference},
            {"defects", campaign.defects},
            {"waivers", std::move(waivers)}};
}

}  // namespace ascertain::app
