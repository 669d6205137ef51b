// How wrong the predictor is on published runs.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "predict/cost/constants.hpp"
#include "predict/cost/runs.hpp"

namespace ascertain::cost {

struct ScoreRow {
    std::string id;
    std::string series;
    std::string chip;
    bool used_for_fitting = false;
    std::optional<double> measured_step_s;
    std::optional<double> predicted_step_s;
    std::optional<double> low_s;  // 80 % interval
    std::optional<double> high_s;
    std::optional<double> error_ratio;  // predicted / measured - 1
    std::string refused_because;
};

struct ScoreSummary {
    std::int64_t count = 0;
    double mape = 0.0;  // of |error_ratio|
    double median_ape = 0.0;
    double p90_ape = 0.0;
    double bias = 0.0;  // mean of error_ratio
    double interval_coverage = 0.0;
};

struct Score {
    std::vector<ScoreRow> rows;
    ScoreSummary all;
    std::map<std::string, ScoreSummary> by_series;
    std::map<std::string, ScoreSummary> by_chip;
};

// Predicts every run that is ready, refuses the others with their reason. The order is kept.
[[nodiscard]] Score score_runs(const std::vector<PublishedRun>& runs, const CostBook& book);

// Statistics of rows that were predicted and measured.
[[nodiscard]] ScoreSummary summarise(const std::vector<const ScoreRow*>& rows);

// ascertain.score/1, data/schema/score.schema.json.
[[nodiscard]] Json to_json(const Score& score);

}  // namespace ascertain::cost
