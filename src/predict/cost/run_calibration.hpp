// What a few measured runs of a new die or framework teach: the shipped rows and these are fitted
// together, so that a handful of rows moves what they can tell apart and nothing else, and shrinks
// towards what is known of the class. docs/formulas.md#calibration-from-runs
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "predict/cost/constants.hpp"
#include "predict/cost/fit.hpp"
#include "predict/cost/runs.hpp"

namespace ascertain::cost {

// One row that was learnt from, or why not.
struct CalibrationRow {
    std::string id;
    std::string chip;
    std::string framework;
    double measured_step_s = 0.0;
    double before_s = 0.0;  // predicted by the shipped constants
    double after_s = 0.0;   // by the calibrated ones, which have seen the row
    std::string refused_because;
};

struct RunCalibration {
    CostBook book;  // all constants; `fitted_on` names the rows that were added
    std::vector<CalibrationRow> rows;
    std::vector<std::string> warnings;  // fewer rows than can be trusted, a row already known ...
};

inline constexpr std::size_t kCalibrationRowsMin = 3;  // fewer may be outliers

// `shipped` are the rows that `known` was fitted on; `added` the user's, judged as measurements of
// one new thing: they get no level of their series, so that what they have in common goes to their
// die and framework. kBadInput when no added row can be predicted. Cost: one fit, seconds.
[[nodiscard]] Result<RunCalibration> calibrate_from_runs(const std::vector<PublishedRun>& shipped,
                                                         const std::vector<PublishedRun>& added,
                                                         const CostBook& known,
                                                         const FitOptions& options);

}  // namespace ascertain::cost
