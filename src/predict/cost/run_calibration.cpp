#include "predict/cost/run_calibration.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "predict/cost/score.hpp"

namespace ascertain::cost {
namespace {

bool same_id(const std::vector<PublishedRun>& runs, const std::string& id) {
    return std::any_of(runs.begin(), runs.end(),
                       [&](const PublishedRun& run) { return run.id == id; });
}

std::vector<CalibrationRow> predicted(const std::vector<PublishedRun>& added,
                                      const CostBook& before, const CostBook& after) {
    const Score old = score_runs(added, before);
    const Score now = score_runs(added, after);
    std::vector<CalibrationRow> rows;
    for (std::size_t i = 0; i < added.size(); ++i) {
        CalibrationRow row;
        row.id = added[i].id;
        row.chip = added[i].chip;
        row.framework = added[i].framework;
        row.measured_step_s = added[i].measured_step_s;
        row.before_s = old.rows[i].predicted_step_s.value_or(0.0);
        row.after_s = now.rows[i].predicted_step_s.value_or(0.0);
        row.refused_because = now.rows[i].refused_because;
        rows.push_back(std::move(row));
    }
    return rows;
}

}  // namespace

Result<RunCalibration> calibrate_from_runs(const std::vector<PublishedRun>& shipped,
                                           const std::vector<PublishedRun>& added,
                                           const CostBook& known, const FitOptions& options) {
    RunCalibration out;
    std::vector<PublishedRun> runs;
    for (const PublishedRun& run : shipped) {
        // A row given again is the user's word on it.
        if (same_id(added, run.id))
            out.warnings.push_back(
                fmt::format("{} is among the shipped rows; it counts once", run.id));
        else
            runs.push_back(run);
    }
    for (PublishedRun run : added) {
        run.series.clear();
        runs.push_back(std::move(run));
    }
    const Fit fit(runs, known, options);
    std::string names;
    std::size_t learnt = 0;
    for (std::size_t row = 0; row < fit.size(); ++row) {
        if (!same_id(added, fit.run(row).id)) continue;
        ++learnt;
        names += (names.empty() ? "" : ", ") + fit.run(row).id;
    }
    if (learnt == 0) {
        std::string why;
        for (const PublishedRun& run : added)
            if (why.empty() && !run.refused_because.empty())
                why = fmt::format("; {}: {}", run.id, run.refused_because);
        return Error{ErrorCode::kBadInput, "no row can be learnt from" + why, "--from-runs"};
    }
    if (learnt < kCalibrationRowsMin)
        out.warnings.push_back(
            fmt::format("{} row{}: may be an outlier; {} or more tell a level from an accident",
                        learnt, learnt == 1 ? "" : "s", kCalibrationRowsMin));
    const std::vector<bool> all(fit.size(), true);
    const auto solution = fit.solve(all, nullptr, options.iterations, true);
    if (!solution) return solution.error();
    out.book = fit.book(*solution, all,
                        fmt::format("the shipped published runs and, measured: {}", names));
    out.rows = predicted(added, known, out.book);
    return out;
}

}  // namespace ascertain::cost
