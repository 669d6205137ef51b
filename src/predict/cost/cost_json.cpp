#include "predict/cost/cost_json.hpp"

namespace ascertain::cost {
namespace {

Json memory_json(const parallel::MemoryParts& memory) {
    return {{"pipeline_rank", memory.rank},
            {"weights_bytes", memory.weights.count},
            {"gradients_bytes", memory.gradients.count},
            {"optimizer_bytes", memory.optimizer.count},
            {"activations_bytes", memory.activations.count},
            {"logits_bytes", memory.logits.count},
            {"buffers_bytes", memory.buffers.count},
            {"reserve_bytes", memory.reserve.count},
            {"host_bytes", memory.host.count}};
}

Json plan_json(const RankedPlan& ranked) {
    const parallel::Plan& plan = ranked.plan;
    Json json = {{"tp", plan.tp},
                 {"pp", plan.pp},
                 {"vpp", plan.vpp},
                 {"dp", plan.dp},
                 {"cp", plan.cp},
                 {"ep", plan.ep},
                 {"etp", plan.etp},
                 {"sharding", parallel::name_of(plan.sharding)},
                 {"micro_batch", plan.micro_batch},
                 {"recompute", parallel::name_of(plan.recompute)},
                 {"recompute_layers", plan.recompute_layers},
                 {"offload_layers", plan.offload_layers},
                 {"pipeline_layers", plan.pipeline_layers},
                 {"schedule", parallel::name_of(plan.schedule)},
                 {"sequence_parallel", plan.sequence_parallel}};
    const Json cost = to_json(ranked.cost);
    for (const auto& [key, value] : cost.items()) json[key] = value;
    json["worse_because"] =
        ranked.worse_because.empty() ? Json(nullptr) : Json(ranked.worse_because);
    return json;
}

}  // namespace

Json to_json(const StepCost& cost) {
    Json parts = Json::object();
    for (std::size_t i = 0; i < kPartCount; ++i)
        parts[std::string(name_of(static_cast<Part>(i))) + "_s"] = finite_or_null(cost.parts[i]);
    Json basis = Json::array();
    for (const Basis& one : cost.basis)
        basis.push_back({{"name", one.name},
                         {"value", finite_or_null(one.value)},
                         {"unit", one.unit},
                         {"kind", one.kind},
                         {"source", one.source},
                         {"spread_ratio", finite_or_null(one.spread)}});
    Json tornado = Json::array();
    for (const Influence& one : cost.tornado)
        tornado.push_back({{"name", one.name},
                           {"low_s", finite_or_null(one.low_s)},
                           {"high_s", finite_or_null(one.high_s)}});
    return {{"step_s", finite_or_null(cost.step_s)},
            {"low_s", finite_or_null(cost.low_s)},
            {"high_s", finite_or_null(cost.high_s)},
            {"memory_bytes", finite_or_null(cost.memory_bytes)},
            {"memory_low_bytes", finite_or_null(cost.memory_low_bytes)},
            {"memory_high_bytes", finite_or_null(cost.memory_high_bytes)},
            {"tokens_per_s", finite_or_null(cost.tokens_per_s)},
            {"mfu_ratio", finite_or_null(cost.mfu_ratio)},
            {"bound_by", cost.bound_by},
            {"parts", std::move(parts)},
            {"memory", memory_json(cost.memory)},
            {"basis", std::move(basis)},
            {"tornado", std::move(tornado)}};
}

Json to_json(const SearchResult& result) {
    Json plans = Json::array();
    for (const RankedPlan& ranked : result.plans) plans.push_back(plan_json(ranked));
    Json landscape = Json::array();
    for (const LandscapePoint& point : result.landscape)
        landscape.push_back({{"plan", parallel::describe(point.plan)},
                             {"step_s", finite_or_null(point.step_s)},
                             {"memory_bytes", finite_or_null(point.memory_bytes)},
                             {"fits", point.fits}});
    return {
        {"schema", "ascertain.plan/1"},
        {"considered", result.considered},
        {"pruned", result.pruned},
        {"costed", result.costed},
        {"exact", result.exact},
        {"elapsed_s", finite_or_null(result.elapsed.count)},
        {"nothing_fits", result.nothing_fits.empty() ? Json(nullptr) : Json(result.nothing_fits)},
        {"usable_bytes", finite_or_null(result.usable_bytes)},
        {"landscape", std::move(landscape)},
        {"plans", std::move(plans)}};
}

}  // namespace ascertain::cost
