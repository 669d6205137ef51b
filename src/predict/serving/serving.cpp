#include "predict/serving/serving.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/toml_table.hpp"

namespace ascertain::serving {
namespace {

constexpr double kTenth = 1.2816;  // standard normal, 90th percentile

double real(std::int64_t value) {
    return static_cast<double>(value);
}

Error too_large(const Server& server, const Memory& one) {
    return {ErrorCode::kBadInput,
            fmt::format("{} in {} does not fit on {} x {} as {}: one sequence needs {} a chip "
                        "(weights {}), {} can be filled; take more chips, a narrower precision or "
                        "a shorter context",
                        server.whole.name, name_of(server.engine.precision), server.layout.chips(),
                        server.fleet.chip.id, describe(server.layout), format_size(one.total()),
                        format_size(one.weights), format_size(one.capacity)),
            "serving: memory"};
}

Error too_slow(const Server& server, std::string_view what, double limit_s, double best_s) {
    return {
        ErrorCode::kBadInput,
        fmt::format("{} of at most {} cannot be met on {} x {} as {}: alone, a request takes {}",
                    what, format_duration({limit_s}), server.layout.chips(), server.fleet.chip.id,
                    describe(server.layout), format_duration({best_s})),
        "serving: limits"};
}

// The largest count in [1, most] whose step is short enough; the step grows with the count.
Result<double> within_latency(const Server& server, const EngineLevel& level, double most,
                              double context, double limit_s) {
    const double gained = tokens_per_step(server.engine);
    double low = 1.0;
    const auto one = step_seconds(server, level, low, context);
    if (!one) return one.error();
    if (*one / gained > limit_s)
        return too_slow(server, "a time per output token", limit_s, *one / gained);
    double high = most + 1.0;
    while (high - low > 1.0) {
        const double middle = std::floor((low + high) / 2.0);
        const auto step = step_seconds(server, level, middle, context);
        if (!step) return step.error();
        (*step / gained <= limit_s ? low : high) = middle;
    }
    return low;
}

// One prompt alone in its group: its tokens in passes, then the step that writes the first token.
Result<double> first_token_seconds(const Server& server, const EngineLevel& level,
                                   const Workload& workload) {
    const double fresh = workload.prompt_tokens * (1.0 - workload.cached_ratio);
    const auto pass = prefill_pass(server, 1.0, workload.prompt_tokens, workload.cached_ratio);
    if (!pass) return pass.error();
    const double more_passes = std::max(0.0, fresh / real(server.engine.prefill_tokens) - 1.0);
    return level.prefill * (pass->latency() + more_passes * pass->host_s);
}

}  // namespace

Result<EngineLevel> EngineLevel::parse(std::string_view text, std::string_view name) {
    const std::string path(name);
    try {
        const toml::table root = toml::parse(text, path);
        std::optional<Error> error;
        TomlTable in(root, "serving", path, error);
        EngineLevel level;
        (void)in.text("schema");
        level.rows = in.integer("rows", 0, 1'000'000);
        level.fitted_on = in.text("fitted_on");
        level.prefill = in.number_or("prefill", 0.1, 10.0, 1.0);
        level.decode = in.number_or("decode", 0.1, 10.0, 1.0);
        level.width = in.number_or("width", 0.01, 5.0, 0.7);
        in.refuse_unknown();
        if (error) return *error;
        return level;
    } catch (const toml::parse_error& error) {
        const auto& begin = error.source().begin;
        return Error{ErrorCode::kBadInput, std::string(error.description()),
                     fmt::format("{}:{}:{}", path, begin.line, begin.column)};
    }
}

cost::Interval around(double mid, double width) {
    return {mid * std::exp(-width), mid, mid * std::exp(width)};
}

double interval_width(const Server& server, const EngineLevel& level) {
    if (server.machine.resolved.die_known) return level.width;
    // What the die's own figures and the prior of its constants add, as if a pass hung on the
    // memory rate and the product rate alike.
    const catalog::Chip& chip = server.fleet.chip;
    const auto spread = [&](cost::Constant which) {
        return server.machine.resolved.spread[static_cast<std::size_t>(which)];
    };
    const double memory =
        std::hypot(chip.memory_bandwidth.spread(), spread(cost::Constant::kMemoryShare));
    const double products = std::hypot(chip.peak(cost::format_of(server.job)).spread(),
                                       spread(cost::Constant::kGemmShare));
    return std::hypot(level.width, kTenth * std::max(memory, products));
}

double sequences_in_memory(const Server& server, double context) {
    const Memory none = memory_of(server, 0.0, context);
    const Memory one = memory_of(server, 1.0, context);
    const double room = none.capacity.count - none.total().count;
    if (!one.fits()) return 0.0;
    return std::min(real(server.engine.batch_max), std::floor(room / one.cache.count));
}

double micro_batch(const Server& server, double sequences) {
    return std::max(1.0, sequences / real(server.layout.pp));
}

Result<double> step_seconds(const Server& server, const EngineLevel& level, double sequences,
                            double context) {
    const double batch = micro_batch(server, sequences);
    const auto pass = decode_pass(server, batch, context);
    if (!pass) return pass.error();
    // A micro-batch comes round when it has been through all stages, and not before the busiest
    // stage has served all the others.
    return level.decode * std::max(pass->latency(), sequences / batch * pass->busiest_stage());
}

Result<double> prompt_seconds(const Server& server, const EngineLevel& level,
                              const Workload& workload) {
    const double fresh = workload.prompt_tokens * (1.0 - workload.cached_ratio);
    const double prompts = std::max(1.0, std::floor(real(server.engine.prefill_tokens) / fresh));
    const auto pass = prefill_pass(server, prompts, workload.prompt_tokens, workload.cached_ratio);
    if (!pass) return pass.error();
    return level.prefill * pass->busiest_stage() / prompts;
}

Result<Estimate> estimate(const Server& server, const Workload& workload, const Limits& limits,
                          const EngineLevel& level, const cost::CostBook& book,
                          std::optional<double> sequences) {
    if (const auto done = check(workload); !done) return done.error();
    if (sequences && !(*sequences >= 1.0 && *sequences <= 1e6))
        return Error{ErrorCode::kBadInput, fmt::format("{} is outside 1 to 1e6", *sequences),
                     "serving: sequences"};
    Estimate out;
    out.layout = server.layout;
    out.engine = server.engine;
    // Requests come and go: on average half of an answer is written.
    out.context = workload.prompt_tokens + workload.output_tokens / 2.0;
    // Every sequence must be able to end.
    const double longest = workload.prompt_tokens + workload.output_tokens;
    if (const Memory one = memory_of(server, 1.0, longest); !one.fits())
        return too_large(server, one);
    out.sequences = sequences.value_or(sequences_in_memory(server, out.context));
    out.memory = memory_of(server, out.sequences, out.context);
    if (!out.memory.fits()) return too_large(server, out.memory);
    const auto first = first_token_seconds(server, level, workload);
    if (!first) return first.error();
    if (limits.time_to_first_token_s && *first > *limits.time_to_first_token_s)
        return too_slow(server, "a time to first token", *limits.time_to_first_token_s, *first);
    if (limits.time_per_output_token_s) {
        const auto most = within_latency(server, level, out.sequences, out.context,
                                         *limits.time_per_output_token_s);
        if (!most) return most.error();
        out.sequences = *most;
        out.memory = memory_of(server, out.sequences, out.context);
    }
    const auto prompt_s = prompt_seconds(server, level, workload);
    if (!prompt_s) return prompt_s.error();
    const auto pass = decode_pass(server, micro_batch(server, out.sequences), out.context);
    if (!pass) return pass.error();
    const auto step = step_seconds(server, level, out.sequences, out.context);
    if (!step) return step.error();
    const double token_s = *step / tokens_per_step(server.engine);
    const double width = interval_width(server, level);
    const double group = real(server.layout.group_chips());
    const double per_token_s = token_s / out.sequences;  // of a group
    out.prefill_tokens_per_s = around(workload.prompt_tokens / *prompt_s / group, width);
    out.decode_tokens_per_s = around(1.0 / per_token_s / group, width);
    out.output_tokens_per_s = around(
        workload.output_tokens / (*prompt_s + workload.output_tokens * per_token_s) / group, width);
    out.time_to_first_token_s = around(*first, width);
    out.time_per_output_token_s = around(token_s, width);
    out.bound_by = bound_by(*pass);
    out.basis = cost::basis_of(server.fleet, server.job, server.machine, book);
    const bool measured = level.rows > 0 && server.machine.resolved.die_known;
    out.basis.push_back({"serving.level", level.decode, "ratio", measured ? "published" : "guessed",
                         level.rows > 0 ? "fitted on " + level.fitted_on : "no row was fitted",
                         level.width / kTenth});
    return out;
}

}  // namespace ascertain::serving
