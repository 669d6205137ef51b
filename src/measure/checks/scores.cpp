#include "measure/checks/scores.hpp"

#include <algorithm>
#include <cmath>

#include "measure/checks/answers.hpp"

namespace ascertain::checks {
namespace {

// A slope with length needs a factor of eight, and a quantile of one in a thousand a thousand
// tokens.
constexpr int kTokensQuick = 512;  // at each length
constexpr int kTokensStandard = 4096;

double mean_of(const std::vector<double>& values) {
    double sum = 0.0;
    for (const double value : values) sum += value;
    return values.empty() ? 0.0 : sum / static_cast<double>(values.size());
}

}  // namespace

std::optional<Scores> scores_of(const Json& result, const char* way) {
    const auto scores = result.find("scores");
    if (scores == result.end() || !scores->is_object() || !scores->contains(way)) return {};
    const Json& own = (*scores)[way];
    if (!own.is_object() || !own.contains("logprobs") || !own.contains("likeliest")) return {};
    Scores read;
    for (const Json& row : own["logprobs"]) read.logprobs.push_back(numbers_of(row));
    read.likeliest = own["likeliest"];
    return read;
}

double Difference::mean() const {
    return mean_of(logprob);
}

double Difference::probability_mean() const {
    return mean_of(probability);
}

double Difference::max() const {
    return logprob.empty() ? 0.0 : *std::max_element(logprob.begin(), logprob.end());
}

double Difference::disagreement() const {
    return logprob.empty() ? 0.0 : static_cast<double>(disagreements) / count();
}

double Difference::shift() const {
    return std::abs(signed_sum / std::max(1.0, count()));
}

double Difference::p99() const {
    if (logprob.empty()) return 0.0;
    std::vector<double> sorted = logprob;
    const auto place = static_cast<std::ptrdiff_t>(0.99 * (count() - 1.0));
    std::nth_element(sorted.begin(), sorted.begin() + place, sorted.end());
    return sorted[static_cast<std::size_t>(place)];
}

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

std::vector<int> handoff_lengths(const Context& context) {
    const Json* limit = parameter(context, "serve_length_max", Json::value_t::number_integer);
    if (limit == nullptr) {
        limit = parameter(context, "serve_length_max", Json::value_t::number_unsigned);
    }
    std::vector<int> lengths;
    for (const int length : kHandoffLengths) {
        if (limit != nullptr && length <= limit->get<std::int64_t>()) lengths.push_back(length);
    }
    if (!has_time(context) && lengths.size() > 1) lengths.erase(lengths.begin() + 1, lengths.end());
    return lengths;
}

int handoff_rows(const Context& context, int length) {
    const int tokens = context.profile == Profile::kQuick ? kTokensQuick : kTokensStandard;
    return std::max(2, tokens / length);
}

void add_metric(Observation& observation, const char* name, double value, const char* unit,
                const Difference& over) {
    Metric metric = metric_of(name, value, unit);
    metric.n = static_cast<std::int64_t>(over.logprob.size());
    observation.push_back(std::move(metric));
}

void add_growth(Observation& observation, const std::vector<double>& errors,
                const Difference& over) {
    constexpr const char* kName = "error_growth_with_length";
    constexpr double kNothing = 1e-9;
    if (errors.size() > 1) {
        const double growth = (errors.back() + kNothing) / (errors.front() + kNothing);
        add_metric(observation, kName, growth, "ratio", over);
    } else {
        observation.push_back(absent_metric(kName, "ratio", "one length was asked"));
    }
}

std::variant<std::map<std::size_t, Scores>, GiveUp> scores_by_request(
    std::span<const Answer> answers, std::size_t texts) {
    std::map<std::size_t, Scores> scores;
    for (const Answer& answer : answers) {
        if (answer.kind != AnswerKind::kResult) {
            return harness_error("the reference could not score: " + answer.message);
        }
        const auto read = scores_of(answer.result, "whole");
        if (!read) return harness_error("the reference's scores are missing");
        scores.emplace(answer.request, *read);
    }
    if (scores.size() != texts) return harness_error("not every text was scored once");
    return scores;
}

}  // namespace ascertain::checks
