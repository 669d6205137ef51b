#include "predict/serving/rollout.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "predict/serving/layouts.hpp"

namespace ascertain::serving {
namespace {

constexpr int kSlices = 32;  // of the longest answer: the integrand is smooth

double normal_share(double score) {
    return 0.5 * std::erfc(-score / std::numbers::sqrt2);
}

// Mean of a log-normal that is cut off at `most`.
double cut_mean(double log_median, double spread, double most) {
    const double score = (std::log(most) - log_median) / spread;
    return std::exp(log_median + spread * spread / 2.0) * normal_share(score - spread) +
           most * normal_share(-score);
}

struct Seconds2 {
    double waiting = 0.0;
    double carrying = 0.0;
    double sequences = 0.0;
};

// `share` answers fall to each group; as many as fit are written at once.
Result<Seconds2> on_layout(const Server& server, const EngineLevel& level,
                           const RolloutQuestion& question, const Survival& survival,
                           double share) {
    const double mean = question.lengths.mean_tokens;
    const double gained = tokens_per_step(server.engine);
    const double context = question.prompt_tokens + mean / 2.0;
    const double room = sequences_in_memory(server, context);
    if (room < 1.0 ||
        sequences_in_memory(server, question.prompt_tokens + survival.longest()) < 1.0)
        return Error{ErrorCode::kBadInput, "does not fit", "serving: memory"};
    Seconds2 out;
    out.sequences = std::clamp(share, 1.0, room);
    const auto prompt = prompt_seconds(server, level, {question.prompt_tokens, mean, 0.0});
    if (!prompt) return prompt.error();
    const auto full = step_seconds(server, level, out.sequences, context);
    if (!full) return full.error();
    const double prefill_s = share * *prompt;
    const double rounds = std::max(share, 1.0) / out.sequences;
    out.carrying = prefill_s + rounds * mean * *full / gained;
    // Answers that wait for room are written at the full batch; the last batch drains as answers
    // end, and the longest keeps everybody.
    double drain_s = 0.0;
    const double slice = survival.longest() / kSlices;
    for (int i = 0; i < kSlices; ++i) {
        const double written = (i + 0.5) * slice;
        const double alive = std::max(1.0, out.sequences * survival(written));
        const auto step = step_seconds(server, level, alive, question.prompt_tokens + written);
        if (!step) return step.error();
        drain_s += slice * *step / gained;
    }
    out.waiting = prefill_s + (rounds - 1.0) * mean * *full / gained + drain_s;
    return out;
}

}  // namespace

Result<Survival> Survival::of(const Lengths& lengths) {
    const auto positive = [](double value) { return std::isfinite(value) && value > 0.0; };
    if (!positive(lengths.mean_tokens) || !positive(lengths.log_spread) ||
        !(positive(lengths.longest_ratio) && lengths.longest_ratio > 1.0)) {
        return Error{
            ErrorCode::kBadInput,
            fmt::format("answers of {} tokens on average, spread {}, at most {} times that",
                        lengths.mean_tokens, lengths.log_spread, lengths.longest_ratio),
            "serving: lengths"};
    }
    Survival survival;
    survival.log_spread_ = lengths.log_spread;
    survival.longest_ = lengths.mean_tokens * lengths.longest_ratio;
    // The cut mean grows with the median from 0 to the cut-off, so one median gives the mean.
    double low = std::log(lengths.mean_tokens) - 10.0 * lengths.log_spread - 10.0;
    double high = std::log(survival.longest_) + 10.0 * lengths.log_spread + 10.0;
    for (int i = 0; i < 100; ++i) {
        const double middle = (low + high) / 2.0;
        const double mean = cut_mean(middle, lengths.log_spread, survival.longest_);
        (mean < lengths.mean_tokens ? low : high) = middle;
    }
    survival.log_median_ = (low + high) / 2.0;
    return survival;
}

double Survival::operator()(double tokens) const {
    if (tokens <= 0.0) return 1.0;
    if (tokens >= longest_) return 0.0;
    return normal_share((log_median_ - std::log(tokens)) / log_spread_);
}

Result<Rollout> rollout(const model::Architecture& architecture, const catalog::Fleet& fleet,
                        const Engine& engine, const RolloutQuestion& question,
                        const EngineLevel& level, const cost::CostBook& book) {
    if (const auto done =
            check(Workload{question.prompt_tokens, question.lengths.mean_tokens, 0.0});
        !done)
        return done.error();
    if (!(question.answers >= 1.0 && question.answers <= 1e12) || question.chips < 1) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("{} answers on {} chips", question.answers, question.chips),
                     "serving: rollout"};
    }
    const auto survival = Survival::of(question.lengths);
    if (!survival) return survival.error();
    Rollout best;
    best.waiting_s = best.carrying_s = std::numeric_limits<double>::infinity();
    for (const Layout& layout : layouts(architecture, fleet, question.chips)) {
        const auto server = make_server(architecture, fleet, layout, engine, book);
        if (!server) {
            if (server.error().code == ErrorCode::kUnknownValue) return server.error();
            continue;
        }
        const auto replicas = static_cast<double>(question.chips / layout.chips());
        const double share = question.answers / (replicas * static_cast<double>(layout.dp));
        const auto found = on_layout(*server, level, question, *survival, share);
        if (!found) continue;
        best.width = interval_width(*server, level);
        if (found->waiting < best.waiting_s) {
            best.waiting_s = found->waiting;
            best.layout = layout;
            best.sequences = found->sequences;
        }
        if (found->carrying < best.carrying_s) {
            best.carrying_s = found->carrying;
            best.carrying_layout = layout;
        }
    }
    if (!std::isfinite(best.waiting_s)) {
        return Error{ErrorCode::kBadInput,
                     fmt::format("{} in {} cannot write answers of up to {:.0f} tokens on {} x {}: "
                                 "no layout holds weights and cache",
                                 architecture.name, name_of(engine.precision), survival->longest(),
                                 question.chips, fleet.chip.id),
                     "serving: memory"};
    }
    best.tokens_per_s = question.answers * question.lengths.mean_tokens / best.carrying_s /
                        static_cast<double>(question.chips);
    return best;
}

}  // namespace ascertain::serving
