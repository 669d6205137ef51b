#include "predict/serving/serving_json.hpp"

namespace ascertain::serving {
namespace {

Json interval(const cost::Interval& one) {
    return {{"low", finite_or_null(one.low)},
            {"mid", finite_or_null(one.mid)},
            {"high", finite_or_null(one.high)}};
}

Json limit(const std::optional<double>& value) {
    return value ? Json(*value) : Json();
}

}  // namespace

Json to_json(const Estimate& one) {
    Json basis = Json::array();
    for (const auto& input : one.basis) {
        basis.push_back({{"name", input.name},
                         {"value", finite_or_null(input.value)},
                         {"unit", input.unit},
                         {"kind", input.kind},
                         {"source", input.source},
                         {"spread_ratio", finite_or_null(input.spread)}});
    }
    return {{"tp", one.layout.tp},
            {"dp", one.layout.dp},
            {"pp", one.layout.pp},
            {"chips", one.layout.chips()},
            {"precision", name_of(one.engine.precision)},
            {"sequences", one.sequences},
            {"context_tokens", one.context},
            {"memory",
             {{"weights_bytes", one.memory.weights.count},
              {"cache_bytes", one.memory.cache.count},
              {"activations_bytes", one.memory.activations.count},
              {"reserve_bytes", one.memory.reserve.count},
              {"total_bytes", one.memory.total().count},
              {"usable_bytes", one.memory.capacity.count}}},
            {"prefill_tokens_per_s", interval(one.prefill_tokens_per_s)},
            {"decode_tokens_per_s", interval(one.decode_tokens_per_s)},
            {"output_tokens_per_s", interval(one.output_tokens_per_s)},
            {"time_to_first_token_s", interval(one.time_to_first_token_s)},
            {"time_per_output_token_s", interval(one.time_per_output_token_s)},
            {"bound_by", one.bound_by},
            {"basis", std::move(basis)}};
}

Json to_json(const Ranked& ranked, const Workload& workload, const Limits& limits) {
    Json layouts = Json::array();
    for (const auto& one : ranked.best) layouts.push_back(to_json(one));
    return {{"schema", "ascertain.serving/1"},
            {"workload",
             {{"prompt_tokens", workload.prompt_tokens},
              {"output_tokens", workload.output_tokens},
              {"cached_ratio", workload.cached_ratio}}},
            {"limits",
             {{"time_per_output_token_s", limit(limits.time_per_output_token_s)},
              {"time_to_first_token_s", limit(limits.time_to_first_token_s)}}},
            {"tried", ranked.tried},
            {"nothing_fits", ranked.best.empty() ? Json(ranked.nothing_fits) : Json()},
            {"layouts", std::move(layouts)}};
}

}  // namespace ascertain::serving
