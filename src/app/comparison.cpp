#include "app/comparison.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "predict/goodput/projection_json.hpp"

namespace ascertain::app {
namespace {

bool is_guess(catalog::Kind kind) {
    return kind == catalog::Kind::kPress || kind == catalog::Kind::kRecalled ||
           kind == catalog::Kind::kGuessed;
}

template <typename Number>
void sort_in(CompareRow& row, const std::string& what, const catalog::Figure<Number>& figure) {
    if (!figure.known()) {
        row.unknown.push_back({what, "", figure.reason});
        return;
    }
    auto& list = is_guess(figure.kind) ? row.guessed : row.known;
    list.push_back({what, std::string(catalog::name_of(figure.kind)), figure.source});
}

catalog::Format format_of(const std::string& precision) {
    if (precision == "fp8") return catalog::Format::kFp8;
    if (precision == "fp16") return catalog::Format::kFp16;
    return precision == "fp32" ? catalog::Format::kFp32 : catalog::Format::kBf16;
}

void sort_in_chip(CompareRow& row, const catalog::Fleet& fleet, const std::string& precision,
                  const cost::CostBook& book) {
    const catalog::Chip& chip = fleet.chip;
    const auto format = format_of(precision);
    const std::string id = chip.id + " ";
    sort_in(row, id + "peak_dense." + std::string(catalog::name_of(format)), chip.peak(format));
    sort_in(row, id + "memory.capacity", chip.memory);
    sort_in(row, id + "memory.bandwidth", chip.memory_bandwidth);
    sort_in(row, id + "scale_up.per_direction", chip.scale_up_per_direction);
    sort_in(row, id + "bf16_matmul_achieved.fraction", chip.achieved.fraction);
    sort_in(row, id + "reliability.device_hours_between_interruptions", chip.interruption_interval);
    sort_in(row, id + "power.board", chip.power);
    if (chip.rental_per_hour.known() || !chip.purchase.known()) {
        sort_in(row, id + "price.rental", chip.rental_per_hour);
    } else {
        sort_in(row, id + "price.purchase", chip.purchase);
    }
    std::vector<std::string> names = chip.aliases;
    names.push_back(chip.id);
    if (book.resolve(names, "", 0, "").die_known) {
        row.known.push_back({id + "training step times", "published",
                             "runs of this die are in data/published/runs.json"});
    } else {
        row.unknown.push_back(
            {id + "training step times", "",
             "no run on this die is published; constants of other dies are used"});
    }
}

void sort_in_inputs(CompareRow& row) {
    for (const auto& input : row.projection->provenance) {
        if (input.kind == goodput::Kind::kGiven) continue;
        auto& list = goodput::unmeasured(input.kind) ? row.guessed : row.known;
        list.push_back({input.name, std::string(goodput::name_of(input.kind)), input.source});
    }
}

void add_serving(const Home& home, const cost::CostBook& book, CompareRow& row) {
    auto sizing = size_serving(home, row.situation, book, 1);
    if (!sizing) {
        row.serving_refused_because = sizing.error().text();
    } else if (sizing->ranked.best.empty()) {
        row.serving_refused_because = sizing->ranked.nothing_fits;
    } else {
        row.serving = *std::move(sizing);
    }
}

Json knowledge_json(const std::vector<Knowledge>& list, std::string_view detail) {
    Json array = Json::array();
    for (const auto& one : list) {
        Json entry{{"what", one.what}, {detail, one.detail}};
        if (!one.kind.empty()) entry["kind"] = one.kind;
        array.push_back(std::move(entry));
    }
    return array;
}

Json part_json(const Situation& situation, std::size_t fleet, const cost::SearchResult& search,
               std::int64_t sequences) {
    Json entry{{"fleet", fleet},
               {"chip", situation.fleets[fleet].chip.id},
               {"sequences_per_step", sequences}};
    if (search.plans.empty()) {
        entry["plan"] = nullptr;
        entry["nothing_fits"] = search.nothing_fits;
        return entry;
    }
    const auto& best = search.plans.front();
    entry["plan"] = parallel::describe(best.plan);
    entry["step_s"] = finite_or_null(best.cost.step_s);
    entry["low_s"] = finite_or_null(best.cost.low_s);
    entry["high_s"] = finite_or_null(best.cost.high_s);
    entry["memory_bytes"] = finite_or_null(best.cost.memory_bytes);
    entry["mfu_ratio"] = finite_or_null(best.cost.mfu_ratio);
    entry["bound_by"] = best.cost.bound_by;
    return entry;
}

Json stages_json(const CompareRow& row) {
    Json list = Json::array();
    for (const auto& stage : row.stages) {
        Json parts = Json::array();
        parts.push_back(
            part_json(row.situation, stage.fleet, stage.search, stage.job.global_batch_sequences));
        if (stage.shared) {
            parts.push_back(part_json(row.situation, stage.shared->fleet, stage.shared->search,
                                      stage.shared->job.global_batch_sequences));
        }
        Json entry{{"kind", name_of(stage.stage.kind)},
                   {"trained_by", std::move(parts)},
                   {"exchange_s", stage.shared ? Json(stage.shared->exchange_s) : Json()}};
        entry["answers_by"] = stage.stage.kind == StageKind::kGrpo
                                  ? Json(row.situation.fleets[stage.rollout_fleet].chip.id)
                                  : Json();
        list.push_back(std::move(entry));
    }
    return list;
}

Json fleets_json(const Situation& situation) {
    Json list = Json::array();
    for (std::size_t i = 0; i < situation.fleets.size(); ++i) {
        const auto& fleet = situation.fleets[i];
        list.push_back({{"chip", fleet.chip.id},
                        {"count", fleet.count},
                        {"network", fleet.scale_out.id},
                        {"chips_per_node", fleet.chips_per_node},
                        {"spare_nodes", fleet.spare_nodes},
                        {"export_note", fleet.chip.export_note}});
    }
    return list;
}

// The best layout's figures beside what they come to; its basis is in `plan --serve`.
Json serving_json(const CompareRow& row) {
    if (!row.serving) return nullptr;
    const Json whole = to_json(*row.serving);
    Json best = whole.at("layouts").front();
    best.erase("basis");
    best["chip"] = whole.at("chip");
    best["workload"] = whole.at("workload");
    best["devices_needed"] = whole.at("devices_needed");
    best["usd_per_million_output_tokens"] = whole.at("usd_per_million_output_tokens");
    return best;
}

Json row_json(const CompareRow& row) {
    Json entry{{"chips", row.variant.text},
               {"mixing", name_of(row.variant.mixing)},
               {"delivered_ratio", row.delivered},
               {"fleets", fleets_json(row.situation)},
               {"serving_chip", row.situation.campaign.serving.chip},
               {"serving", serving_json(row)},
               {"serving_refused_because",
                row.serving ? Json(nullptr) : Json(row.serving_refused_because)},
               {"stages", stages_json(row)},
               {"refused_because", row.projection ? Json(nullptr) : Json(row.refused_because)},
               {"projection", nullptr},
               {"known", knowledge_json(row.known, "source")},
               {"guessed", knowledge_json(row.guessed, "source")},
               {"unknown", knowledge_json(row.unknown, "reason")}};
    if (row.projection) {
        entry["projection"] = goodput::to_json(*row.projection, Json(), Json());
        entry["projection"].erase("one_history");
        entry["projection"].erase("timeline");
    }
    return entry;
}

}  // namespace

Result<CompareRow> compare_on(const Home& home, const Situation& base, const cost::CostBook& book,
                              const Variant& variant, double delivered, std::uint64_t seed,
                              int histories) {
    auto situation = vary(home, base, variant, delivered);
    if (!situation) return situation.error();
    CompareRow row;
    row.variant = variant;
    row.delivered = delivered;
    row.situation = *std::move(situation);
    add_serving(home, book, row);
    for (const auto& fleet : row.situation.fleets)
        sort_in_chip(row, fleet, row.situation.campaign.precision, book);
    auto stages = forecast_stages(row.situation, book, {});
    if (!stages) {
        row.refused_because = stages.error().text();
        return row;
    }
    row.stages = *std::move(stages);
    auto projection = forecast_months(home, row.situation, book, row.stages, {}, seed, histories);
    if (!projection) {
        row.refused_because = projection.error().message;
        return row;
    }
    row.projection = *std::move(projection);
    sort_in_inputs(row);
    return row;
}

Json to_json(const Situation& base, const std::vector<CompareRow>& rows, std::uint64_t seed) {
    Json list = Json::array();
    for (const auto& row : rows) list.push_back(row_json(row));
    const Decision& decision = base.campaign.decision;
    return {
        {"schema", "ascertain.comparison/1"},
        {"campaign", base.campaign.path},
        {"model", base.architecture.name},
        {"confidence", decision.confidence},
        {"deadline_days",
         decision.finish_within ? Json(decision.finish_within->count / kSecondsPerDay) : Json()},
        {"budget_usd", decision.budget ? Json(decision.budget->count) : Json()},
        {"seed", seed},
        {"rows", std::move(list)}};
}

}  // namespace ascertain::app
