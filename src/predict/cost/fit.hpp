// Learns the constants from measured steps: the most probable values under the priors of
// constant_table(), with deviations per die, framework and fabric, and one nuisance level per
// series so that rows of one source do not count as independent. docs/formulas.md#fit
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "predict/cost/constants.hpp"
#include "predict/cost/layer.hpp"
#include "predict/cost/machine.hpp"
#include "predict/cost/runs.hpp"
#include "predict/cost/step.hpp"

namespace ascertain::cost {

struct FitOptions {
    int iterations = 8;
    double row_noise = 0.03;      // log standard deviation of one row beside its own uncertainty
    double assumed_noise = 0.05;  // added where a decisive setting was assumed
    double expert_noise = 0.20;   // added for mixtures of experts: releases differ by so much
    double series_spread = 0.03;  // of a series' own level, with heavy tails too
    double series_tail = 1.0;     // degrees of freedom of a series' level
    double tail = 3.0;            // degrees of freedom of the error: outliers lose their weight
};

// A fit that can be repeated with some rows left out. Holds references to `runs`.
class Fit {
public:
    // Rows that are refused, or that the predictor refuses, are left out; rows without a series get
    // no level of one. `groups` says which chips
    // form a die class and how many cores it has; dies that it lacks are fitted by chip name.
    Fit(const std::vector<PublishedRun>& runs, const CostBook& groups, const FitOptions& options);

    [[nodiscard]] std::size_t size() const { return rows_.size(); }
    [[nodiscard]] const PublishedRun& run(std::size_t row) const { return *rows_[row].run; }
    [[nodiscard]] const std::string& die_of(std::size_t row) const { return dies_[rows_[row].die]; }

    // Parameters in logarithms, from rows whose `used` is true. kUnsupported when none is.
    struct Solution {
        std::vector<double> theta;
        std::vector<double> spread;  // posterior log standard deviations; filled on request
    };
    [[nodiscard]] Result<Solution> solve(const std::vector<bool>& used, const Solution* start,
                                         int iterations, bool with_spread) const;

    // All rows as straight lines around a solution. A fit on lines costs milliseconds, which is
    // what leaving out one group after another needs; the answer is predicted by the full model.
    struct Linear {  // of one row at one point: value and slopes by effective constant
        double value = 0.0;
        std::array<double, kConstantCount> slope{};
        Constants at;
    };
    using Lines = std::vector<Linear>;
    [[nodiscard]] Lines linearise_all(const Solution& solution) const;
    // Rows marked in `trusted` get no level of their series: what they have in common is learnt.
    [[nodiscard]] Result<Solution> solve_on(const Lines& lines, const std::vector<bool>& used,
                                            const Solution& start, int iterations,
                                            const std::vector<bool>& trusted = {}) const;

    // log(predicted seconds) of a row. A series' level is used only when `series_known`.
    [[nodiscard]] double predict(std::size_t row, const Solution& solution,
                                 bool series_known) const;
    [[nodiscard]] double measured(std::size_t row) const { return rows_[row].measured; }
    // Where the time of a row goes under a solution.
    [[nodiscard]] StepSeconds parts(std::size_t row, const Solution& solution) const;

    [[nodiscard]] CostBook book(const Solution& solution, const std::vector<bool>& used,
                                const std::string& fitted_on) const;

private:
    struct Row {
        const PublishedRun* run = nullptr;
        Machine machine;
        ShardWork work;
        std::size_t die = 0;
        std::size_t framework = 0;
        std::size_t fabric = 0;
        std::size_t release = 0;
        std::size_t series = 0;
        double measured = 0.0;  // log seconds
        double variance = 0.0;
    };
    struct Slots {  // parameters that a constant of a row adds up from; -1: none
        std::ptrdiff_t global, die, framework, fabric, release;
    };

    [[nodiscard]] Slots slots(const Row& row, std::size_t constant) const;
    [[nodiscard]] Constants constants_of(const Row& row, const std::vector<double>& theta) const;
    [[nodiscard]] double log_step(const Row& row, const Constants& constants) const;
    [[nodiscard]] Linear linearise(const Row& row, const std::vector<double>& theta) const;
    void lay_out_parameters();
    // One Gauss-Newton iteration with robust weights; `lines` null: the model itself.
    [[nodiscard]] bool improve(const Lines* lines, const std::vector<bool>& used,
                               const std::vector<bool>& trusted, std::vector<double>& theta,
                               std::vector<double>& factor) const;

    CostBook groups_;
    FitOptions options_;
    std::vector<Row> rows_;
    std::vector<std::string> dies_, frameworks_, fabrics_, releases_, series_;
    std::vector<double> prior_mean_, prior_spread_;
    std::vector<std::ptrdiff_t> die_slot_, framework_slot_, fabric_slot_,
        release_slot_;  // [group][constant]
    std::size_t series_begin_ = 0;
    mutable Workspace space_;
};

}  // namespace ascertain::cost
