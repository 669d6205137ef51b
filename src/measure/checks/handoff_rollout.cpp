// handoff.rollout_fp32 and handoff.rollout: the gate before reinforcement learning. The device
// writes on from random beginnings, as a sampler does, and says how likely it held each token; the
// reference, which stands for the trainer, scores the same tokens. What the two differ by is what
// a policy gradient would take for a change of the policy (docs/formulas.md#rollout).
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "measure/checks/answers.hpp"
#include "measure/checks/scores.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 2> kNeeded{"tokens", "nonfinite_logprobs"};
// The cap of truncated importance sampling: beyond it a token's gradient is cut.
constexpr double kImportanceCap = 2.0;
// Edges of the buckets of probability; the last holds 1.
constexpr std::array kProbabilityEdges{0.0, 0.01, 0.1, 0.5, 1.0};
constexpr std::size_t kPositionParts = 4;
// Before it writes, the device is given other weights by this share and then the right ones, as
// after an update: a sampler that keeps old ones shows.
constexpr double kUpdate = 0.05;

struct RolloutQuestion {
    std::string dtype;
    bool with_twin = false;
};

// What is to be written: texts of `length`, a quarter of each given.
struct Writing {
    int length = 0;
    bool greedy = false;

    [[nodiscard]] int prompt() const { return length / 4; }
};

// Sampled at every length; greedily, for agreement, at the longest.
std::vector<Writing> writings_of(const Context& context) {
    std::vector<Writing> writings;
    for (const int length : handoff_lengths(context)) writings.push_back({length, false});
    if (!writings.empty()) writings.push_back({writings.back().length, true});
    return writings;
}

Ask ask_device(const Context& context, const RolloutQuestion& question) {
    Ask ask{.state = {{"asked", "device"}}, .requests = {}};
    for (const Writing& writing : writings_of(context)) {
        ask.requests.push_back({.kind = "generate",
                                .params = {{"weights", context.subject.params["serve_weights"]},
                                           {"text",
                                            {{"rows", handoff_rows(context, writing.length)},
                                             {"length", writing.prompt()},
                                             {"seed", context.seed}}},
                                           {"new_tokens", writing.length - writing.prompt()},
                                           {"greedy", writing.greedy},
                                           {"seed", context.seed},
                                           {"dtype", question.dtype},
                                           {"side", "device"},
                                           {"after_update", kUpdate},
                                           {"hash", ask.requests.empty()}},
                                .deadline = deadline_of_training(context.profile),
                                .members = {0}});
    }
    return ask;
}

// Keeps what the device wrote and has the reference score it: each text as it would itself, then,
// where there is a twin, as a healthy device of that precision would.
std::variant<Ask, GiveUp> ask_reference(const Context& context, const RolloutQuestion& question,
                                        std::span<const Answer> answers) {
    const auto writings = writings_of(context);
    if (answers.size() != writings.size()) return harness_error("not every text was written once");
    Json written = Json::array();
    for (std::size_t i = 0; i < writings.size(); ++i) written.push_back(nullptr);
    for (const Answer& answer : answers) {
        if (answer.kind != AnswerKind::kResult) return give_up(answer);
        const auto observation = observation_of(answer, kNeeded);
        if (const auto* broken = std::get_if<GiveUp>(&observation)) return *broken;
        const Json& result = answer.result;
        if (answer.request >= writings.size() || !result.contains("tokens") ||
            !result.contains("logprobs")) {
            return harness_error("what was written is not there");
        }
        const Metric* broken =
            find_metric(std::get<Observation>(observation), "nonfinite_logprobs");
        written[answer.request] = {{"tokens", result["tokens"]},
                                   {"logprobs", result["logprobs"]},
                                   {"nonfinite", broken->value.value_or(1.0)},
                                   {"hash", result.value("weights_hash", Json())},
                                   {"hash_reason", result.value("weights_hash_reason", "")},
                                   {"quantisation", result.value("quantisation", "")}};
    }
    Ask ask{.state = {{"asked", "reference"}, {"written", written}}, .requests = {}};
    for (const bool twin : {false, true}) {
        if (twin && !question.with_twin) break;
        for (std::size_t i = 0; i < writings.size(); ++i) {
            ask.requests.push_back({.kind = "logprobs",
                                    .params = {{"weights", context.subject.params["serve_weights"]},
                                               {"tokens", written[i]["tokens"]},
                                               {"dtype", twin ? question.dtype : "fp32"},
                                               {"side", twin ? "twin" : "kernels"},
                                               {"ways", {"whole"}},
                                               {"hash", ask.requests.empty()}},
                                    .deadline = deadline_of_training(context.profile),
                                    .members = {context.reference()}});
        }
    }
    return ask;
}

// One token that the sampler wrote.
struct Token {
    double ratio_log = 0.0;    // log p of the trainer - of the sampler
    double probability = 0.0;  // by the sampler
    double place = 0.0;        // 0 .. 1 along what was written
};

// What trainer and sampler differ by, over many tokens.
struct Mismatch {
    Difference difference;
    std::vector<Token> tokens;

    template <typename Value>
    [[nodiscard]] double mean(Value value) const {
        double sum = 0.0;
        for (const Token& token : tokens) sum += value(token);
        return tokens.empty() ? 0.0 : sum / static_cast<double>(tokens.size());
    }
    // Estimates KL(sampler || trainer) without bias and without negative terms (the k3 estimator,
    // Schulman 2020): mean of r - 1 - log r.
    [[nodiscard]] double k3() const {
        return mean([](const Token& t) { return std::expm1(t.ratio_log) - t.ratio_log; });
    }
    [[nodiscard]] double clipped_share() const {
        const double cap = std::log(kImportanceCap);
        return mean([&](const Token& t) { return t.ratio_log > cap ? 1.0 : 0.0; });
    }
    // Kish's effective sample size of the importance weights, over their number.
    [[nodiscard]] double effective_sample_share() const {
        const double first = mean([](const Token& t) { return std::exp(t.ratio_log); });
        const double second = mean([](const Token& t) { return std::exp(2.0 * t.ratio_log); });
        return second > 0.0 ? first * first / second : 0.0;
    }
};

// `own`: the sampler's numbers of a row, one for each token after the prompt; a text that ended
// early has fewer.
void add_row(const std::vector<std::optional<double>>& own, const Scores& theirs, std::size_t row,
             std::size_t prompt, Mismatch& into) {
    if (row >= theirs.logprobs.size()) {
        ++into.difference.unscored;
        return;
    }
    const auto& scored = theirs.logprobs[row];
    for (std::size_t i = 0; i < own.size(); ++i) {
        const std::size_t place = prompt - 1 + i;
        if (place >= scored.size() || !own[i] || !scored[place]) {
            ++into.difference.unscored;
            continue;
        }
        const double ratio_log = *scored[place] - *own[i];
        into.difference.logprob.push_back(std::abs(ratio_log));
        into.difference.probability.push_back(
            std::abs(std::exp(*scored[place]) - std::exp(*own[i])));
        into.difference.signed_sum += ratio_log;
        into.tokens.push_back({ratio_log, std::exp(*own[i]),
                               static_cast<double>(i) / static_cast<double>(own.size())});
    }
}

// How often a side would have put another token than the one that was written greedily.
double disagreement(const Json& tokens, const Scores& scores, std::size_t prompt) {
    std::size_t other = 0;
    std::size_t all = 0;
    for (std::size_t row = 0; row < tokens.size(); ++row) {
        for (std::size_t place = prompt; place < tokens[row].size(); ++place) {
            ++all;
            const bool there = row < scores.likeliest.size() &&
                               place - 1 < scores.likeliest[row].size() &&
                               scores.likeliest[row][place - 1] == tokens[row][place];
            if (!there) ++other;
        }
    }
    return all == 0 ? 1.0 : static_cast<double>(other) / static_cast<double>(all);
}

struct Compared {
    Mismatch device;  // against the reference, sampled texts of all lengths
    Mismatch twin;    // the reference's twin against the reference, on the same texts
    std::vector<double> by_length;
    std::vector<double> by_length_twin;
    double greedy = 0.0;
    double greedy_twin = 0.0;
    double nonfinite = 0.0;
};

// The numbers of a side for the tokens that were written in a row, from its scores of the text.
std::vector<std::optional<double>> written_part(const Scores& scores, std::size_t row,
                                                std::size_t prompt, std::size_t count) {
    std::vector<std::optional<double>> part(count);
    if (row >= scores.logprobs.size()) return part;
    const auto& all = scores.logprobs[row];
    for (std::size_t i = 0; i < count && prompt - 1 + i < all.size(); ++i) {
        part[i] = all[prompt - 1 + i];
    }
    return part;
}

std::variant<Compared, GiveUp> compare(const Context& context, const RolloutQuestion& question,
                                       const Json& written, std::span<const Answer> answers) {
    const auto writings = writings_of(context);
    const auto read = scores_by_request(answers, writings.size() * (question.with_twin ? 2 : 1));
    if (const auto* reason = std::get_if<GiveUp>(&read)) return *reason;
    const auto& scores = std::get<std::map<std::size_t, Scores>>(read);
    Compared compared;
    for (std::size_t i = 0; i < writings.size(); ++i) {
        const Json& own = written[i];
        const auto prompt = static_cast<std::size_t>(writings[i].prompt());
        const Scores& reference = scores.at(i);
        const Scores* twin = question.with_twin ? &scores.at(writings.size() + i) : nullptr;
        compared.nonfinite += own["nonfinite"].get<double>();
        if (writings[i].greedy) {
            compared.greedy = disagreement(own["tokens"], reference, prompt);
            if (twin != nullptr) {
                Difference between;
                add_difference(*twin, reference, false, between);
                compared.greedy_twin = between.disagreement();
            }
            continue;
        }
        Mismatch device_here;
        Mismatch twin_here;
        for (std::size_t row = 0; row < own["logprobs"].size(); ++row) {
            const auto numbers = numbers_of(own["logprobs"][row]);
            for (Mismatch* into : {&compared.device, &device_here}) {
                add_row(numbers, reference, row, prompt, *into);
            }
            if (twin == nullptr) continue;
            const auto emulated = written_part(*twin, row, prompt, numbers.size());
            for (Mismatch* into : {&compared.twin, &twin_here}) {
                add_row(emulated, reference, row, prompt, *into);
            }
        }
        compared.by_length.push_back(device_here.difference.mean());
        compared.by_length_twin.push_back(twin_here.difference.mean());
    }
    return compared;
}

// Mean |difference| of the tokens that `within` accepts.
template <typename Within>
Json slice(const Mismatch& mismatch, double from, double to, Within within) {
    double sum = 0.0;
    std::size_t count = 0;
    for (const Token& token : mismatch.tokens) {
        if (!within(token)) continue;
        sum += std::abs(token.ratio_log);
        ++count;
    }
    return {{"from", from},
            {"to", to},
            {"tokens", count},
            {"logprob_error_mean", count == 0 ? Json() : Json(sum / static_cast<double>(count))}};
}

Json detail_of(const Context& context, const RolloutQuestion& question, const Json& written,
               const Compared& compared) {
    Json lengths = Json::array();
    const auto asked = handoff_lengths(context);
    for (std::size_t i = 0; i < asked.size(); ++i) {
        lengths.push_back({{"length", asked[i]},
                           {"logprob_error_mean", compared.by_length[i]},
                           {"logprob_error_mean_band",
                            question.with_twin ? Json(compared.by_length_twin[i]) : Json()}});
    }
    Json positions = Json::array();
    for (std::size_t part = 0; part < kPositionParts; ++part) {
        const double from = static_cast<double>(part) / kPositionParts;
        const double to = static_cast<double>(part + 1) / kPositionParts;
        positions.push_back(slice(compared.device, from, to, [&](const Token& token) {
            return token.place >= from && token.place < to;
        }));
    }
    Json probabilities = Json::array();
    for (std::size_t i = 0; i + 1 < kProbabilityEdges.size(); ++i) {
        const double from = kProbabilityEdges[i];
        const double to = kProbabilityEdges[i + 1];
        const bool last = i + 2 == kProbabilityEdges.size();
        probabilities.push_back(slice(compared.device, from, to, [&](const Token& token) {
            return token.probability >= from && (last || token.probability < to);
        }));
    }
    return {{"dtype", question.dtype},
            {"lengths", std::move(lengths)},
            {"positions", std::move(positions)},
            {"probabilities", std::move(probabilities)},
            {"quantisation", written[0]["quantisation"]}};
}

Metric weights_metric(const Json& written, std::span<const Answer> answers) {
    const std::string reason = written[0]["hash_reason"].get<std::string>();
    if (!reason.empty()) return absent_metric("weights_differ", "count", reason);
    Json theirs;
    for (const Answer& answer : answers) {
        if (answer.request == 0) theirs = answer.result.value("weights_hash", Json());
    }
    const Json& own = written[0]["hash"];
    return metric_of("weights_differ", own.is_null() || own != theirs ? 1.0 : 0.0, "count");
}

Observation observe(const RolloutQuestion& question, const Compared& compared) {
    const Mismatch& device = compared.device;
    const Difference& all = device.difference;
    Observation observation{
        metric_of("nonfinite_logprobs", compared.nonfinite, "count"),
        metric_of("unscored_tokens", static_cast<double>(all.unscored), "count"),
        metric_of("scored_tokens", all.count(), "count")};
    const auto both = [&](const char* name, double value, double band, const char* unit) {
        add_metric(observation, name, value, unit, all);
        if (question.with_twin) {
            add_metric(observation, (std::string(name) + "_band").c_str(), band, unit, all);
        }
    };
    const Difference& twin = compared.twin.difference;
    both("rollout_error_mean", all.mean(), twin.mean(), "nat");
    both("rollout_error_p99", all.p99(), twin.p99(), "nat");
    both("rollout_probability_error_mean", all.probability_mean(), twin.probability_mean(),
         "ratio");
    both("rollout_divergence", device.k3(), compared.twin.k3(), "nat");
    both("clipped_share", device.clipped_share(), compared.twin.clipped_share(), "ratio");
    both("greedy_disagreement", compared.greedy, compared.greedy_twin, "ratio");
    add_metric(observation, "rollout_error_max", all.max(), "nat", all);
    add_metric(observation, "rollout_shift", all.shift(), "nat", all);
    add_metric(observation, "effective_sample_share", device.effective_sample_share(), "ratio",
               all);
    add_growth(observation, compared.by_length, all);
    return observation;
}

Step rollout(const Context& context, const Json& state, std::span<const Answer> answers,
             const RolloutQuestion& question) {
    if (parameter(context, "serve_weights", Json::value_t::object) == nullptr ||
        handoff_lengths(context).empty() || question.dtype.empty()) {
        return harness_error("the rollouts need weights, the length they reach and a dtype");
    }
    if (state.is_null()) return ask_device(context, question);
    if (state.value("asked", "") == "device") {
        auto next = ask_reference(context, question, answers);
        if (auto* reason = std::get_if<GiveUp>(&next)) return std::move(*reason);
        return std::get<Ask>(std::move(next));
    }
    const Json& written = state["written"];
    const auto outcome = compare(context, question, written, answers);
    if (const auto* reason = std::get_if<GiveUp>(&outcome)) return *reason;
    const Compared& compared = std::get<Compared>(outcome);
    Done done;
    done.observation = observe(question, compared);
    done.observation.push_back(weights_metric(written, answers));
    done.detail = detail_of(context, question, written, compared);
    return done;
}

}  // namespace

Step handoff_rollout_fp32(const Context& context, const Json& state,
                          std::span<const Answer> answers) {
    return rollout(context, state, answers, {.dtype = "fp32", .with_twin = false});
}

Step handoff_rollout(const Context& context, const Json& state, std::span<const Answer> answers) {
    const Json* dtype = parameter(context, "serve_dtype", Json::value_t::string);
    return rollout(context, state, answers,
                   {.dtype = dtype == nullptr ? "" : dtype->get<std::string>(), .with_twin = true});
}

}  // namespace ascertain::checks
