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
    std::vector<std::string> assumed;  // decisive settings that nobody states
};

struct ScoreSummary {
    std::int64_t count = 0;
    double mape = 0.0;  // of |error_ratio|
    double median_ape = 0.0;
    double p90_ape = 0.0;
    double bias = 0.0;  // mean of error_ratio
    double interval_coverage = 0.0;
};

// How a weak-scaling series grows from its smallest to its largest fleet: the same plan but for
// data parallelism, the same work per device. An error of the level cancels here.
struct ScoreSlope {
    std::string series;
    std::string chip;
    std::int64_t devices_from = 0;
    std::int64_t devices_to = 0;
    double measured_growth = 1.0;  // step on the largest fleet over step on the smallest
    double predicted_growth = 1.0;
    [[nodiscard]] double points() const { return 100.0 * (predicted_growth - measured_growth); }
};

// One job on one fleet, measured under several plans: what choosing by prediction would have cost.
struct ScoreRanking {
    std::string series;
    std::string model;  // id of the group's first row
    std::int64_t plans = 0;
    double regret = 0.0;  // measured step of the plan predicted best over the best measured, - 1
    double regret_top3 = 0.0;  // of the best measured among the three predicted best
};

// What another predictor's error is said to be on the same rows. data/published/peers.json
struct PeerScore {
    std::string name;
    std::string series;  // of ours that its rows belong to
    std::int64_t count = 0;
    double mape = 0.0;
    std::optional<double> bias;
    std::string setting;
    std::string source;
};

struct Score {
    std::vector<ScoreRow> rows;
    ScoreSummary all;
    std::map<std::string, ScoreSummary> by_series;
    std::map<std::string, ScoreSummary> by_chip;
    std::vector<ScoreSlope> slopes;
    std::vector<ScoreRanking> rankings;
    std::vector<PeerScore> peers;  // filled by the caller, who owns files
    std::string judged_by;         // which rows the constants had seen
};

// Predicts every run that is ready, refuses the others with their reason. The order is kept.
[[nodiscard]] Score score_runs(const std::vector<PublishedRun>& runs, const CostBook& book);
// The same with seconds predicted elsewhere: `log_step_s` by row, NaN for none; `width` is the
// half-width of the 80 % interval of its logarithm. No row counts as used for fitting.
[[nodiscard]] Score score_predictions(const std::vector<PublishedRun>& runs,
                                      const std::vector<double>& log_step_s,
                                      const std::vector<double>& width);

// Shape instead of level. Only rows with a prediction count; docs/formulas.md#score
[[nodiscard]] std::vector<ScoreSlope> slopes_of(const std::vector<PublishedRun>& runs,
                                                const std::vector<ScoreRow>& rows);
[[nodiscard]] std::vector<ScoreRanking> rankings_of(const std::vector<PublishedRun>& runs,
                                                    const std::vector<ScoreRow>& rows);

// Reads data/published/peers.json. kBadInput naming the entry.
[[nodiscard]] Result<std::vector<PeerScore>> read_peers(const Json& document,
                                                        std::string_view name);

// Statistics of rows that were predicted and measured.
[[nodiscard]] ScoreSummary summarise(const std::vector<const ScoreRow*>& rows);

// ascertain.score/1, data/schema/score.schema.json.
[[nodiscard]] Json to_json(const Score& score);

}  // namespace ascertain::cost
