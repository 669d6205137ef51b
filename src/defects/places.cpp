#include "defects/places.hpp"

#include <array>

#include "base/assert.hpp"

namespace ascertain::defects {
namespace {

using Words = std::vector<std::string>;

}  // namespace

const Words& plane_names() {
    static const Words names{"chip",    "memory",     "fabric",  "runtime",
                             "trainer", "checkpoint", "serving", "site"};
    return names;
}

const Words& layout_names() {
    static const Words names{"any",    "contiguous", "transposed",    "strided",
                             "offset", "expanded",   "strided_output"};
    return names;
}

const Words& defect_classes() {
    static const Words names{"backward",
                             "checkpoint-data",
                             "determinism",
                             "execution",
                             "graph-compiler",
                             "hang-comm",
                             "hardware-failure",
                             "infrastructure",
                             "int-overflow",
                             "layout-index",
                             "memory",
                             "parallelism",
                             "performance",
                             "precision",
                             "race",
                             "regression",
                             "rl-mismatch",
                             "rng",
                             "sdc",
                             "semantics",
                             "special-values",
                             "uninitialised"};
    return names;
}

const Words& dtype_names() {
    static const Words names{"any",  "fp64", "fp32",  "fp16",  "bf16",  "fp8",
                             "bool", "int8", "uint8", "int16", "int32", "int64"};
    return names;
}

const Words& collectives() {
    static const Words names{"all_reduce", "reduce_scatter", "all_gather", "all_to_all",
                             "broadcast",  "reduce",         "gather",     "scatter",
                             "send",       "recv",           "barrier"};
    return names;
}

const Words& points() {
    static const Words names{"data",
                             "loss",
                             "accumulate",
                             "gradients",
                             "grad_norm",
                             "clip",
                             "optimizer",
                             "parameters",
                             "router_bias",
                             "aux_loss",
                             "mtp",
                             "recompute",
                             "learning_rate",
                             "loss_scale",
                             "evaluate",
                             "checkpoint_save",
                             "checkpoint_load",
                             "rollout_weights",
                             "rollout_logits",
                             "rollout_log_probabilities",
                             "kv_cache",
                             "tokens_to_host",
                             "advantages",
                             "sampler"};
    return names;
}

const Words& events() {
    static const Words names{
        "device_failure", "host_failure", "node_failure", "network",     "file_system",
        "power",          "software",     "operator",     "maintenance", "silent_corruption"};
    return names;
}

const Words& shape_quantities() {
    static const Words names{"k", "last_dim", "rows", "elements", "any_dim", "ndim"};
    return names;
}

std::string_view engine_of(Place place) {
    switch (place) {
        case Place::kOperator: return "chips/simulated";
        case Place::kCollective: return "";
        case Place::kPoint: return "";
        case Place::kEvent: return "";
    }
    return "";
}

std::string_view name_of(Plane plane) {
    return plane_names()[static_cast<std::size_t>(plane)];
}

std::string_view name_of(Place place) {
    constexpr std::array<std::string_view, 4> kNames{"operator", "collective", "point", "event"};
    return kNames[static_cast<std::size_t>(place)];
}

bool Where::bare() const {
    return overload.empty() && parameter.empty() && state.empty() && phase == Phase::kAny &&
           dtype.empty() && !mixed_dtypes && layout == Layout::kAny && shape.empty() && !argument &&
           !input_above && row_of.empty() && not_aligned_to == 0 && !in_place && device < 0 &&
           rank < 0 && bytes_at_least == 0.0;
}

bool When::always() const {
    return after_calls == 0 && every == 1 && times == 0 && probability >= 1.0 &&
           process_share >= 1.0 && after_busy_s == 0.0 && without_sync_s == 0.0 &&
           after_sync_s == 0.0 && calls_without_sync == 0 && memory_above_bytes == 0.0 &&
           !new_shape && !reused_memory && !overlap && !deterministic;
}

double Does::number(std::string_view field) const {
    const auto found = numbers.find(field);
    ASCERTAIN_ASSERT(found != numbers.end());
    return found->second;
}

std::int64_t Does::whole(std::string_view field) const {
    return static_cast<std::int64_t>(number(field));
}

const std::string& Does::word(std::string_view field) const {
    const auto found = words.find(field);
    ASCERTAIN_ASSERT(found != words.end());
    return found->second;
}

bool Does::given(std::string_view field) const {
    return numbers.contains(field) || words.contains(field);
}

}  // namespace ascertain::defects
