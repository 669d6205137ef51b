#include "predict/goodput/projection_json.hpp"

#include <cmath>
#include <string>

#include "base/units.hpp"

namespace ascertain::goodput {
namespace {

Json number(const std::optional<double>& value) {
    return value ? finite_or_null(*value) : Json(nullptr);
}

Json text_or_null(const std::string& text) {
    return text.empty() ? Json(nullptr) : Json(text);
}

Json quantiles_json(const Quantiles& quantiles) {
    Json json = {{"p10", number(quantiles.p10)},
                 {"p50", number(quantiles.p50)},
                 {"p90", number(quantiles.p90)}};
    if (!quantiles.reason.empty()) json["reason"] = quantiles.reason;
    return json;
}

Json deadline_json(const Projection& projection) {
    const DeadlineProbability& deadline = projection.deadline;
    return {{"low", number(deadline.low)},
            {"mid", number(deadline.mid)},
            {"high", number(deadline.high)},
            {"decided_by", text_or_null(deadline.decided_by)},
            {"decided_by_kind",
             deadline.decided_by.empty() ? Json(nullptr) : Json(name_of(deadline.decided_by_kind))},
            {"settled_by", text_or_null(deadline.settled_by)},
            {"reason", deadline.reason}};
}

Json parts_json(const std::vector<WaterfallPart>& parts) {
    Json list = Json::array();
    for (const WaterfallPart& part : parts) {
        list.push_back({{"name", part.name}, {"ratio", finite_or_null(part.ratio)}});
    }
    return list;
}

Json must_be_true_json(const Projection& projection) {
    Json list = Json::array();
    for (const Blocker& blocker : projection.blockers) {
        list.push_back({{"name", "blocker." + blocker.check},
                        {"unit", nullptr},
                        {"direction", "closed"},
                        {"now", nullptr},
                        {"needed", nullptr},
                        {"device_hours_to_prove", nullptr},
                        {"reason", blocker.reason}});
    }
    for (const MustBeTrue& must : projection.must_be_true) {
        Json item = {{"name", must.name},
                     {"unit", must.unit},
                     {"direction", must.direction},
                     {"now", finite_or_null(must.now)},
                     {"needed", number(must.needed)},
                     {"device_hours_to_prove", number(must.device_hours_to_prove)}};
        if (!must.reason.empty()) item["reason"] = must.reason;
        list.push_back(item);
    }
    return list;
}

Json tornado_json(const Projection& projection) {
    Json list = Json::array();
    for (const TornadoBar& bar : projection.tornado) {
        list.push_back({{"name", bar.name},
                        {"kind", name_of(bar.kind)},
                        {"low", finite_or_null(bar.low)},
                        {"high", finite_or_null(bar.high)},
                        {"finish_days_at_low", number(bar.finish_days_at_low)},
                        {"finish_days_at_high", number(bar.finish_days_at_high)},
                        {"probability_at_low", bar.probability_at_low},
                        {"probability_at_high", bar.probability_at_high},
                        {"settled_by", bar.settled_by}});
    }
    return list;
}

Json provenance_json(const Projection& projection) {
    Json list = Json::array();
    for (const Provenance& input : projection.provenance) {
        list.push_back({{"name", input.name},
                        {"value", finite_or_null(input.value)},
                        {"unit", input.unit},
                        {"kind", name_of(input.kind)},
                        {"source", input.source},
                        {"low", finite_or_null(input.low)},
                        {"high", finite_or_null(input.high)}});
    }
    return list;
}

Json trace_json(const Trace& trace) {
    Json list = Json::array();
    for (const TraceRecord& record : trace) {
        list.push_back({{"time_s", seconds_from_ticks(record.time)},
                        {"moment", name_of(record.moment)},
                        {"detail", record.detail < 0 ? Json(nullptr) : Json(record.detail)},
                        {"durable_work_s", seconds_from_ticks(record.position)}});
    }
    return list;
}

// States that took any time, as shares of each slice.
Json timeline_json(const Timeline& timeline) {
    Json states = Json::array();
    for (std::size_t i = 0; i < kShares; ++i) {
        Json ratios = Json::array();
        bool any = false;
        for (const auto& slice : timeline.slices) {
            const double ratio = slice[i] / timeline.slice_s;
            any = any || ratio > 1e-9;
            ratios.push_back(std::round(1e6 * ratio) / 1e6);
        }
        if (any)
            states.push_back(
                {{"name", name_of(static_cast<Share>(i))}, {"ratio", std::move(ratios)}});
    }
    return {{"history", timeline.history},
            {"chosen_from", timeline.chosen_from},
            {"slice_days", timeline.slice_s / kSecondsPerDay},
            {"states", std::move(states)}};
}

Json known_or_null(const Json& part) {
    return part.is_object() && !part.empty() ? part : Json(nullptr);
}

}  // namespace

Json to_json(const Projection& projection, const Json& step, const Json& memory) {
    Json json;
    json["schema"] = "ascertain.projection/1";
    json["answer"] = name_of(projection.answer);
    json["confidence"] = projection.confidence;
    json["deadline_days"] = number(projection.deadline_days);
    json["step"] = known_or_null(step);
    json["memory"] = known_or_null(memory);
    if (json["step"].is_null() || json["memory"].is_null()) {
        json["step_or_memory_reason"] = "no plan was costed for this projection";
    }
    json["goodput"] = {{"ratio", finite_or_null(projection.goodput_ratio)},
                       {"waterfall", parts_json(projection.waterfall)},
                       {"lost_to", parts_json(projection.lost_to)},
                       {"interruptions_per_day", quantiles_json(projection.interruptions_per_day)},
                       {"checkpoint_interval_s", finite_or_null(projection.checkpoint_interval_s)},
                       {"ideal_days", finite_or_null(projection.ideal_days)},
                       {"corrupted_at_end_ratio", projection.corrupted_at_end_ratio}};
    json["finish_days"] = quantiles_json(projection.finish_days);
    json["finish_days"]["finished_ratio"] = projection.finished_ratio;
    json["finish_days"]["horizon_days"] = projection.horizon_days;
    json["finish_days"]["histogram"] = {{"edges_days", projection.finish_days_histogram_edges},
                                        {"histories", projection.finish_days_histogram}};
    json["probability_of_deadline"] = deadline_json(projection);
    json["cost_usd"] = quantiles_json(projection.cost_usd);
    json["cost_usd"]["budget"] = number(projection.budget_usd);
    json["cost_usd"]["probability_within_budget"] = number(projection.probability_within_budget);
    json["energy_kwh"] = quantiles_json(projection.energy_kwh);
    json["must_be_true"] = must_be_true_json(projection);
    json["tornado"] = tornado_json(projection);
    json["provenance"] = provenance_json(projection);
    json["failure_prior_share"] = projection.failure_prior_share;
    json["one_history"] = trace_json(projection.trace);
    json["timeline"] = timeline_json(projection.timeline);
    json["histories"] = projection.histories;
    json["seed"] = projection.seed;
    return json;
}

}  // namespace ascertain::goodput
