// What two sides say of the same text, token by token, and what they differ by: the statistics that
// all handoff checks share (docs/formulas.md#handoff).
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "measure/checks/check.hpp"

namespace ascertain::checks {

// Log-probabilities in nats; absent where a side has none.
struct Scores {
    std::vector<std::vector<std::optional<double>>> logprobs;  // [row][seq - 1]
    Json likeliest;  // [row][seq - 1], the token a side would have put there; -1 where not scored
};

// The scores of one way (`whole`, `alone`, `decode`) of a logprobs answer, or nothing when they are
// not there.
[[nodiscard]] std::optional<Scores> scores_of(const Json& result, const char* way);

// The scores of the way `whole` of each answer, by the number of its request; or that the reference
// could not score, or that not every one of `texts` was scored once.
[[nodiscard]] std::variant<std::map<std::size_t, Scores>, GiveUp> scores_by_request(
    std::span<const Answer> answers, std::size_t texts);

// What two sides differ by, over all places that both scored.
struct Difference {
    std::vector<double> logprob;      // |a - b|, nats
    std::vector<double> probability;  // |e^a - e^b|
    double signed_sum = 0.0;          // of a - b
    std::size_t disagreements = 0;    // on the likeliest token
    std::size_t unscored = 0;         // one side has a number where the other has none

    [[nodiscard]] double count() const { return static_cast<double>(logprob.size()); }
    [[nodiscard]] double mean() const;
    [[nodiscard]] double probability_mean() const;
    [[nodiscard]] double max() const;
    [[nodiscard]] double disagreement() const;
    // |mean of a - b|.
    [[nodiscard]] double shift() const;
    // The value that all but one in a hundred stay below.
    [[nodiscard]] double p99() const;
};

// `partial`: b may leave out the beginning of each row, as decoding does; there its likeliest token
// is -1.
void add_difference(const Scores& a, const Scores& b, bool partial, Difference& into);

// The lengths that are asked: docs/formulas.md#handoff says why these.
inline constexpr std::array kHandoffLengths{16, 32, 64, 128};

// Those that the model of the context reaches; the first alone where there is no time for more.
[[nodiscard]] std::vector<int> handoff_lengths(const Context& context);

// How many texts of `length` are asked for in this profile.
[[nodiscard]] int handoff_rows(const Context& context, int length);

// Adds a metric that rests on as many tokens as `over` compared.
void add_metric(Observation& observation, const char* name, double value, const char* unit,
                const Difference& over);

// Adds error_growth_with_length: the last error over the first, one for errors that do not grow;
// absent where one length alone was asked.
void add_growth(Observation& observation, const std::vector<double>& errors,
                const Difference& over);

}  // namespace ascertain::checks
