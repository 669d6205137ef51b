// How wrong the predictor is on rows that its constants have not seen: the fit, repeated without
// one series, one framework, one die after the other. docs/validation.md, docs/formulas.md#score
#pragma once

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "predict/cost/constants.hpp"
#include "predict/cost/fit.hpp"
#include "predict/cost/runs.hpp"
#include "predict/cost/score.hpp"

namespace ascertain::cost {

// Errors of a set of rows, in percent of the measured step.
struct ErrorFigures {
    std::size_t count = 0;
    double mean = 0.0;  // of the absolute errors
    double median = 0.0;
    double p90 = 0.0;
    double bias = 0.0;    // mean of the signed errors
    double near_5 = 0.0;  // percent of rows within 5 %
    double near_10 = 0.0;
    double covered = 0.0;  // percent of rows inside their 80 % interval; 0 where none was given
};

struct Evaluation {
    std::string title;
    ErrorFigures figures;
    std::string gate;  // mean / median / P90 that must hold; empty: none
};

// The rest of a group is predicted after its k smallest runs were learnt from.
struct FewRows {
    std::string of;          // "framework", "die"
    std::size_t rows = 0;    // k
    std::size_t groups = 0;  // with enough rows
    double mean = 0.0;       // over groups, of a group's mean absolute error in percent
    double median = 0.0;     // over groups
    double bias = 0.0;       // over groups, of the absolute mean signed error
    std::string gate;
};

// log(predicted seconds) per run under each way of leaving out; NaN where the run is refused.
struct Validation {
    std::vector<double> inside;  // fitted on all rows
    std::vector<double> series;  // without the row's series
    std::vector<double> framework;
    std::vector<double> die;
    std::vector<double> width;  // of the 80 % interval beside `series`, found on other series only
    IntervalWidths widths;      // for predictions to come
    std::vector<Evaluation> evaluations;
    std::vector<FewRows> few_rows;
    CostBook book;  // the constants fitted on all rows, with these widths
};

// Fits and judges. `groups` gives the die classes. `exact` repeats the fit itself for each group in
// place of its straight lines. Errors: those of Fit::solve. Cost: seconds; minutes when exact.
[[nodiscard]] Result<Validation> cross_validate(const std::vector<PublishedRun>& runs,
                                                const CostBook& groups, const FitOptions& options,
                                                bool exact);

// Rows that the gates are set on: the authors' own figures, no experts, no decisive assumption.
[[nodiscard]] bool is_dense_a(const PublishedRun& run);

// docs/validation.md; `picture` is the file name of validation_picture().
[[nodiscard]] std::string validation_page(const std::vector<PublishedRun>& runs,
                                          const Validation& validation,
                                          const std::vector<PeerScore>& peers,
                                          std::string_view picture);

// The picture beside it, an SVG file of its own: rows left out, predicted against measured on
// logarithmic axes, and mean errors beside the peers' on the source that they were judged on.
[[nodiscard]] std::string validation_picture(const std::vector<PublishedRun>& runs,
                                             const Validation& validation,
                                             const std::vector<PeerScore>& peers);

}  // namespace ascertain::cost
