// handoff.fp32 and handoff.precision: a model carried to this device, does it say what it says on
// the reference? Teacher-forced log-probabilities of text that nobody can predict, at several
// lengths; in one pass, row by row, and token by token with a cache. First in fp32, where any
// defect shows, then in the serving precision against the reference's own healthy twin.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "measure/checks/answers.hpp"
#include "measure/checks/steps.hpp"

namespace ascertain::checks {
namespace {

constexpr std::array<std::string_view, 2> kNeeded{"tokens", "nonfinite_logprobs"};
// docs/formulas.md#handoff says why these: a slope with length needs a factor of eight, and a
// quantile of one in a thousand needs a thousand tokens.
constexpr std::array kLengths{16, 32, 64, 128};
constexpr int kTokensQuick = 512;  // at each length
constexpr int kTokensStandard = 4096;

struct Scores {
    std::vector<std::vector<std::optional<double>>> logprobs;  // [row][seq - 1]
    Json likeliest;
};

// The scores of one way of one answer, or nothing when they are not there.
std::optional<Scores> scores_of(const Answer& answer, const char* way) {
    const Json& result = answer.result;
    const auto scores = result.find("scores");
    if (scores == result.end() || !scores->is_object() || !scores->contains(way)) return {};
    const Json& own = (*scores)[way];
    if (!own.is_object() || !own.contains("logprobs") || !own.contains("likeliest")) return {};
    Scores read;
    for (const Json& row : own["logprobs"]) read.logprobs.push_back(numbers_of(row));
    read.likeliest = own["likeliest"];
    return read;
}

// What two sides differ by, over all places that both scored.
struct Difference {
    std::vector<double> logprob;      // |a - b|, nats
    std::vector<double> probability;  // |e^a - e^b|
    double signed_sum = 0.0;          // of a - b
    std::size_t disagreements = 0;    // on the likeliest token
    std::size_t unscored = 0;         // one side has a number where the other has none

    [[nodiscard]] double count() const { return static_cast<double>(logprob.size()); }
    [[nodiscard]] double mean() const { return mean_of(logprob); }
    [[nodiscard]] double probability_mean() const { return mean_of(probability); }
    [[nodiscard]] double max() const {
        return logprob.empty() ? 0.0 : *std::max_element(logprob.begin(), logprob.end());
    }
    [[nodiscard]] double disagreement() const {
        return logprob.empty() ? 0.0 : static_cast<double>(disagreements) / count();
    }
    // The value that all but one in a hundred stay below.
    [[nodiscard]] double p99() const {
        if (logprob.empty()) return 0.0;
        std::vector<double> sorted = logprob;
        const auto place = static_cast<std::ptrdiff_t>(0.99 * (count() - 1.0));
        std::nth_element(sorted.begin(), sorted.begin() + place, sorted.end());
        return sorted[static_cast<std::size_t>(place)];
    }

private:
    static double mean_of(const std::vector<double>& values) {
        double sum = 0.0;
        for (const double value : values) sum += value;
        return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
    }
};

// `partial`: b may leave out the beginning of each row, as decoding does.
void add_difference(const Scores& a, const Scores& b, bool partial, Difference& into) {
    const std::size_t rows = std::max(a.logprobs.size(), b.logprobs.size());
    for (std::size_t row = 0; row < rows; ++row) {
        if (row >= a.logprobs.size() || row >= b.logprobs.size() ||
            a.logprobs[row].size() != b.logprobs[row].size()) {
            ++into.unscored;
            continue;
        }
        const Json& best_a = a.likeliest.at(row);
        const Json& best_b = b.likeliest.at(row);
        for (std::size_t place = 0; place < a.logprobs[row].size(); ++place) {
            const auto& one = a.logprobs[row][place];
            const auto& other = b.logprobs[row][place];
            const bool left_out = partial && best_b.at(place) == -1;
            if (left_out) continue;
            if (!one || !other) {
                ++into.unscored;
                continue;
            }
            into.logprob.push_back(std::abs(*one - *other));
            into.probability.push_back(std::abs(std::exp(*one) - std::exp(*other)));
            into.signed_sum += *one - *other;
            if (best_a.at(place) != best_b.at(place)) ++into.disagreements;
        }
    }
}

struct ServeQuestion {
    std::string dtype;
    bool with_twin = false;
};

int rows_for(const Context& context, int length) {
    const int tokens = context.profile == Profile::kQuick ? kTokensQuick : kTokensStandard;
    return std::max(2, tokens / length);
}

// The lengths that the model reaches.
std::vector<int> lengths_of(const Context& context) {
    const Json* limit = parameter(context, "serve_length_max", Json::value_t::number_integer);
    if (limit == nullptr) {
        limit = parameter(context, "serve_length_max", Json::value_t::number_unsigned);
    }
    std::vector<int> lengths;
    for (const int length : kLengths) {
        if (limit != nullptr && length <= limit->get<std::int64_t>()) lengths.push_back(length);
    }
    if (!has_time(context) && lengths.size() > 1) lengths.erase(lengths.begin() + 1, lengths.end());
    return lengths;
}

Request request_for(const Context& context, int length, const std::string& dtype, const char* side,
                    const Json& ways, bool hash, std::size_t member) {
    return {.kind = "logprobs",
            .params = {{"weights", context.subject.params["serve_weights"]},
                       {"text",
                        {{"rows", rows_for(context, length)},
                         {"length", length},
                         {"seed", context.seed}}},
                       {"dtype", dtype},
                       {"side", side},
                       {"ways", ways},
                       {"hash", hash}},
            .deadline = deadline_of_training(context.profile),
            .members = {member}};
}

// The requests of a question, in the order in which `read` finds their answers: for each length
// device, reference and, where asked for, twin.
std::vector<Request> requests_of(const Context& context, const ServeQuestion& question) {
    std::vector<Request> requests;
    const Json all{"whole", "alone", "decode"};
    const Json whole{"whole"};
    bool first = true;
    for (const int length : lengths_of(context)) {
        requests.push_back(request_for(context, length, question.dtype, "device", all, first, 0));
        requests.push_back(
            request_for(context, length, "fp32", "kernels", whole, first, context.reference()));
        first = false;
    }
    if (question.with_twin) {
        for (const int length : lengths_of(context)) {
            requests.push_back(request_for(context, length, question.dtype, "twin", whole, false,
                                           context.reference()));
        }
    }
    return requests;
}

struct Compared {
    Difference device;              // against the reference, all lengths
    Difference twin;                // the reference's twin against the reference
    Difference alone;               // the device row by row against itself in a batch
    Difference decode;              // ... and token by token
    std::vector<double> by_length;  // mean |difference| of device and reference
    std::size_t weights_differ = 0;
    std::size_t texts_differ = 0;
    double nonfinite = 0.0;
    Json quantisation;
};

std::variant<Compared, GiveUp> read(const Context& context, const ServeQuestion& question,
                                    std::span<const Answer> answers) {
    const std::size_t lengths = lengths_of(context).size();
    std::map<std::size_t, const Answer*> by_request;
    for (const Answer& answer : answers) by_request[answer.request] = &answer;
    const std::size_t expected = lengths * (question.with_twin ? 3 : 2);
    if (answers.size() != expected || by_request.size() != expected) {
        return harness_error("logprobs was not answered once for every length");
    }
    Compared compared;
    for (const auto& [number, answer] : by_request) {
        const bool of_device = number < 2 * lengths && number % 2 == 0;
        if (answer->kind != AnswerKind::kResult) {
            if (of_device) return give_up(*answer);
            return harness_error("the reference could not score: " + answer->message);
        }
        const auto observation = observation_of(*answer, kNeeded);
        if (const auto* broken = std::get_if<GiveUp>(&observation)) return *broken;
        if (of_device) {
            const Metric* broken =
                find_metric(std::get<Observation>(observation), "nonfinite_logprobs");
            compared.nonfinite += broken->value.value_or(1.0);
        }
    }
    for (std::size_t i = 0; i < lengths; ++i) {
        const Answer& device = *by_request[2 * i];
        const Answer& reference = *by_request[2 * i + 1];
        const auto ours = scores_of(device, "whole");
        const auto theirs = scores_of(reference, "whole");
        const auto alone = scores_of(device, "alone");
        const auto decoded = scores_of(device, "decode");
        if (!ours || !theirs || !alone || !decoded) return harness_error("scores are missing");
        if (device.result.value("tokens", Json()) != reference.result.value("tokens", Json(0))) {
            ++compared.texts_differ;
        }
        Difference own;
        add_difference(*ours, *theirs, false, own);
        compared.by_length.push_back(own.mean());
        add_difference(*ours, *theirs, false, compared.device);
        add_difference(*ours, *alone, false, compared.alone);
        add_difference(*ours, *decoded, true, compared.decode);
        if (question.with_twin) {
            const auto twin = scores_of(*by_request[2 * lengths + i], "whole");
            if (!twin) return harness_error("the twin's scores are missing");
            add_difference(*twin, *theirs, false, compared.twin);
        }
    }
    const Json& first = by_request[0]->result;
    const Json hash = first.value("weights_hash", Json());
    if (hash.is_null() || hash != by_request[1]->result.value("weights_hash", Json())) {
        compared.weights_differ = 1;
    }
    compared.quantisation = first.value("quantisation", Json(""));
    return compared;
}

Json detail_of(const Context& context, const ServeQuestion& question, const Compared& compared) {
    Json lengths = Json::array();
    const auto asked = lengths_of(context);
    for (std::size_t i = 0; i < asked.size(); ++i) {
        lengths.push_back({{"length", asked[i]}, {"logprob_error_mean", compared.by_length[i]}});
    }
    return {{"dtype", question.dtype},
            {"lengths", std::move(lengths)},
            {"quantisation", compared.quantisation}};
}

void add(Observation& observation, const char* name, double value, const char* unit,
         const Difference& over) {
    Metric metric = metric_of(name, value, unit);
    metric.n = static_cast<std::int64_t>(over.logprob.size());
    observation.push_back(std::move(metric));
}

Observation common(const Compared& compared) {
    const auto count = [](const char* name, double value) {
        return metric_of(name, value, "count");
    };
    return {count("weights_differ", static_cast<double>(compared.weights_differ)),
            count("texts_differ", static_cast<double>(compared.texts_differ)),
            count("nonfinite_logprobs", compared.nonfinite),
            count("unscored_tokens",
                  static_cast<double>(compared.device.unscored + compared.alone.unscored +
                                      compared.decode.unscored)),
            count("scored_tokens", compared.device.count()),
            count("decoded_tokens", compared.decode.count())};
}

// The longest text's error over the shortest's: one for errors that do not grow along the text.
double growth(const std::vector<double>& by_length) {
    constexpr double kNothing = 1e-9;
    return (by_length.back() + kNothing) / (by_length.front() + kNothing);
}

Step handoff(const Context& context, const Json& state, std::span<const Answer> answers,
             const ServeQuestion& question) {
    if (parameter(context, "serve_weights", Json::value_t::object) == nullptr ||
        lengths_of(context).empty() || question.dtype.empty()) {
        return harness_error("the handoff needs weights, the length they reach and a dtype");
    }
    if (state.is_null()) {
        return Ask{.state = {{"asked", true}}, .requests = requests_of(context, question)};
    }
    const auto outcome = read(context, question, answers);
    if (const auto* reason = std::get_if<GiveUp>(&outcome)) return *reason;
    const Compared& compared = std::get<Compared>(outcome);
    Done done;
    done.detail = detail_of(context, question, compared);
    done.observation = common(compared);
    Observation& all = done.observation;
    const Difference& device = compared.device;
    add(all, "logprob_error_mean", device.mean(), "nat", device);
    add(all, "logprob_error_max", device.max(), "nat", device);
    add(all, "likeliest_disagreement", device.disagreement(), "ratio", device);
    if (!question.with_twin) {
        add(all, "alone_error_max", compared.alone.max(), "nat", compared.alone);
        add(all, "decode_error_max", compared.decode.max(), "nat", compared.decode);
        return done;
    }
    const Difference& twin = compared.twin;
    add(all, "logprob_error_mean_band", twin.mean(), "nat", twin);
    add(all, "logprob_error_p99", device.p99(), "nat", device);
    add(all, "logprob_error_p99_band", twin.p99(), "nat", twin);
    add(all, "probability_error_mean", device.probability_mean(), "ratio", device);
    add(all, "probability_error_mean_band", twin.probability_mean(), "ratio", twin);
    add(all, "likeliest_disagreement_band", twin.disagreement(), "ratio", twin);
    add(all, "logprob_shift", std::abs(device.signed_sum / std::max(1.0, device.count())), "nat",
        device);
    add(all, "alone_error_mean", compared.alone.mean(), "nat", compared.alone);
    add(all, "decode_error_mean", compared.decode.mean(), "nat", compared.decode);
    if (compared.by_length.size() > 1) {
        add(all, "error_growth_with_length", growth(compared.by_length), "ratio", device);
    } else {
        all.push_back(absent_metric("error_growth_with_length", "ratio", "one length was asked"));
    }
    return done;
}

}  // namespace

Step handoff_fp32(const Context& context, const Json& state, std::span<const Answer> answers) {
    return handoff(context, state, answers, {.dtype = "fp32", .with_twin = false});
}

Step handoff_precision(const Context& context, const Json& state, std::span<const Answer> answers) {
    const Json* dtype = parameter(context, "serve_dtype", Json::value_t::string);
    return handoff(context, state, answers,
                   {.dtype = dtype == nullptr ? "" : dtype->get<std::string>(), .with_twin = true});
}

}  // namespace ascertain::checks
