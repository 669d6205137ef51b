// What a replica delivers: tokens per second and chip, latencies, memory, the largest batch.
// docs/formulas.md#serving
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "predict/cost/constants.hpp"
#include "predict/cost/machine.hpp"
#include "predict/cost/operator_cost.hpp"
#include "predict/serving/memory.hpp"
#include "predict/serving/pass.hpp"

namespace ascertain::serving {

// How real engines stand to the passes as priced: fitted on data/published/serving.json
// (data/cost/serving.toml). Seconds are multiplied by it.
struct EngineLevel {
    double prefill = 1.0;
    double decode = 1.0;
    double width = 0.7;  // half-width of the 80 % interval, in logarithms, on a die that is known
    std::int64_t rows = 0;
    std::string fitted_on;

    // kBadInput with file:line:column.
    [[nodiscard]] static Result<EngineLevel> parse(std::string_view text, std::string_view name);
};

struct Estimate {
    Layout layout;
    Engine engine;
    double sequences = 0.0;  // at once in each group
    double context = 0.0;    // tokens that a sequence has on average while it is answered
    Memory memory;           // of the chip
    cost::Interval prefill_tokens_per_s;   // per chip that only prefills, of the whole prompt
    cost::Interval decode_tokens_per_s;    // per chip that only decodes
    cost::Interval output_tokens_per_s;    // per chip that does both
    cost::Interval time_to_first_token_s;  // of one prompt, without queueing
    cost::Interval time_per_output_token_s;
    std::string bound_by;  // the largest part of a decode step
    std::vector<cost::Basis> basis;
};

// `sequences` in each group, or nothing: then the largest number that memory, the engine and the
// limits allow. Errors: those of check() and make_server; kBadInput, where = "serving: memory" or
// "serving: limits", when not even one sequence is possible, saying what would be needed. Cost:
// about 12 passes.
[[nodiscard]] Result<Estimate> estimate(const Server& server, const Workload& workload,
                                        const Limits& limits, const EngineLevel& level,
                                        const cost::CostBook& book,
                                        std::optional<double> sequences = std::nullopt);

// Half-width of the 80 % interval in logarithms: that of engines, and what catalog figures and
// constants of a die nobody measured add to it.
[[nodiscard]] double interval_width(const Server& server, const EngineLevel& level);

// [mid e^-width, mid, mid e^width].
[[nodiscard]] cost::Interval around(double mid, double width);

// Seconds of one decode step as engines run it, `sequences` (real, > 0) in each group.
[[nodiscard]] Result<double> step_seconds(const Server& server, const EngineLevel& level,
                                          double sequences, double context);
// Seconds of group and prompt that prefilling takes, in passes of the engine's size.
[[nodiscard]] Result<double> prompt_seconds(const Server& server, const EngineLevel& level,
                                            const Workload& workload);
// The largest number of sequences that memory and engine allow in each group; below 1: none.
[[nodiscard]] double sequences_in_memory(const Server& server, double context);

}  // namespace ascertain::serving
