#include "predict/cost/score.hpp"

#include <algorithm>
#include <cmath>

#include "predict/cost/step.hpp"

namespace ascertain::cost {
namespace {

// The q-quantile of sorted values, linear between order statistics.
double quantile(const std::vector<double>& sorted, double q) {
    const double at = q * static_cast<double>(sorted.size() - 1);
    const auto below = static_cast<std::size_t>(at);
    const std::size_t above = std::min(below + 1, sorted.size() - 1);
    return sorted[below] + (at - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

void fill_prediction(double step_s, double width, double measured_s, ScoreRow& row) {
    row.predicted_step_s = step_s;
    row.low_s = step_s * std::exp(-width);
    row.high_s = step_s * std::exp(width);
    row.error_ratio = step_s / measured_s - 1.0;
}

void predict(const PublishedRun& run, const CostBook& book, ScoreRow& row) {
    const Result<Machine> machine = resolve_machine(run.fleet, run.job, book);
    if (!machine) {
        row.refused_because = machine.error().text();
        return;
    }
    const Result<ShardWork> work = shard_work(run.architecture, run.plan, run.job);
    if (!work) {
        row.refused_because = work.error().text();
        return;
    }
    Workspace space;
    const Result<StepSeconds> step =
        step_seconds(run.architecture, run.job, run.plan, *machine, *work,
                     block_seconds(*work, run.plan, run.job, *machine), Precision::kExact, space);
    if (!step) {
        row.refused_because = step.error().text();
        return;
    }
    const double width = interval_width(*machine, book, run.experts, run.decisive_assumption());
    fill_prediction(step->step_s, width, run.measured_step_s, row);
}

Json optional_json(const std::optional<double>& value) {
    return value ? finite_or_null(*value) : Json(nullptr);
}

Json summary_json(const ScoreSummary& summary) {
    const bool any = summary.count > 0;
    const auto figure = [any](double value) { return any ? finite_or_null(value) : Json(nullptr); };
    return {{"count", summary.count},
            {"mape", figure(summary.mape)},
            {"median_ape", figure(summary.median_ape)},
            {"p90_ape", figure(summary.p90_ape)},
            {"bias", figure(summary.bias)},
            {"interval_coverage", figure(summary.interval_coverage)}};
}

}  // namespace

ScoreSummary summarise(const std::vector<const ScoreRow*>& rows) {
    ScoreSummary summary;
    std::vector<double> errors;
    double covered = 0.0;
    for (const ScoreRow* row : rows) {
        if (!row->error_ratio || !row->measured_step_s) continue;
        errors.push_back(std::abs(*row->error_ratio));
        summary.bias += *row->error_ratio;
        if (*row->low_s <= *row->measured_step_s && *row->measured_step_s <= *row->high_s)
            covered += 1.0;
    }
    summary.count = static_cast<std::int64_t>(errors.size());
    if (errors.empty()) return summary;
    const double n = static_cast<double>(errors.size());
    for (const double error : errors) summary.mape += error / n;
    summary.bias /= n;
    summary.interval_coverage = covered / n;
    std::sort(errors.begin(), errors.end());
    summary.median_ape = quantile(errors, 0.5);
    summary.p90_ape = quantile(errors, 0.9);
    return summary;
}

namespace {

ScoreRow blank_row(const PublishedRun& run) {
    ScoreRow row;
    row.id = run.id;
    row.series = run.series;
    row.chip = run.chip;
    if (run.measured_step_s > 0.0) row.measured_step_s = run.measured_step_s;
    row.refused_because = run.refused_because;
    row.assumed = run.decisive_assumptions();
    return row;
}

void add_summaries(const std::vector<PublishedRun>& runs, Score& score) {
    std::vector<const ScoreRow*> all;
    std::map<std::string, std::vector<const ScoreRow*>> series;
    std::map<std::string, std::vector<const ScoreRow*>> chips;
    for (const ScoreRow& row : score.rows) {
        if (!row.error_ratio) continue;
        all.push_back(&row);
        series[row.series].push_back(&row);
        chips[row.chip].push_back(&row);
    }
    score.all = summarise(all);
    for (const auto& [name, rows] : series) score.by_series[name] = summarise(rows);
    for (const auto& [name, rows] : chips) score.by_chip[name] = summarise(rows);
    score.slopes = slopes_of(runs, score.rows);
    score.rankings = rankings_of(runs, score.rows);
}

}  // namespace

Score score_runs(const std::vector<PublishedRun>& runs, const CostBook& book) {
    Score score;
    score.judged_by = "shipped constants; rows they were fitted on are marked";
    for (const PublishedRun& run : runs) {
        ScoreRow row = blank_row(run);
        row.used_for_fitting =
            std::binary_search(book.fitted_ids.begin(), book.fitted_ids.end(), run.id);
        if (row.refused_because.empty()) predict(run, book, row);
        score.rows.push_back(std::move(row));
    }
    add_summaries(runs, score);
    return score;
}

Score score_predictions(const std::vector<PublishedRun>& runs,
                        const std::vector<double>& log_step_s, const std::vector<double>& width) {
    Score score;
    score.judged_by = "constants fitted without the row's own series";
    for (std::size_t i = 0; i < runs.size(); ++i) {
        ScoreRow row = blank_row(runs[i]);
        if (row.refused_because.empty() && std::isnan(log_step_s[i]))
            row.refused_because = "left out of the fit: the predictor lacks a number of its chip";
        if (row.refused_because.empty())
            fill_prediction(std::exp(log_step_s[i]), width[i], runs[i].measured_step_s, row);
        score.rows.push_back(std::move(row));
    }
    add_summaries(runs, score);
    return score;
}

Json to_json(const Score& score) {
    Json rows = Json::array();
    for (const ScoreRow& row : score.rows)
        rows.push_back({{"id", row.id},
                        {"series", row.series},
                        {"chip", row.chip},
                        {"used_for_fitting", row.used_for_fitting},
                        {"measured_step_s", optional_json(row.measured_step_s)},
                        {"predicted_step_s", optional_json(row.predicted_step_s)},
                        {"low_s", optional_json(row.low_s)},
                        {"high_s", optional_json(row.high_s)},
                        {"error_ratio", optional_json(row.error_ratio)},
                        {"refused_because",
                         row.refused_because.empty() ? Json(nullptr) : Json(row.refused_because)},
                        {"assumed", row.assumed}});
    const auto table = [](const std::map<std::string, ScoreSummary>& entries) {
        Json json = Json::object();
        for (const auto& [name, summary] : entries) json[name] = summary_json(summary);
        return json;
    };
    Json slopes = Json::array();
    for (const ScoreSlope& slope : score.slopes)
        slopes.push_back({{"series", slope.series},
                          {"devices_from", slope.devices_from},
                          {"devices_to", slope.devices_to},
                          {"measured_growth_ratio", finite_or_null(slope.measured_growth)},
                          {"predicted_growth_ratio", finite_or_null(slope.predicted_growth)}});
    Json rankings = Json::array();
    for (const ScoreRanking& ranking : score.rankings)
        rankings.push_back({{"series", ranking.series},
                            {"first_id", ranking.model},
                            {"plans", ranking.plans},
                            {"regret_ratio", finite_or_null(ranking.regret)},
                            {"regret_top3_ratio", finite_or_null(ranking.regret_top3)}});
    Json peers = Json::array();
    for (const PeerScore& peer : score.peers)
        peers.push_back({{"name", peer.name},
                         {"series", peer.series},
                         {"count", peer.count},
                         {"mape", finite_or_null(peer.mape)},
                         {"bias", optional_json(peer.bias)},
                         {"setting", peer.setting},
                         {"source", peer.source}});
    return {{"schema", "ascertain.score/1"},
            {"judged_by", score.judged_by},
            {"rows", std::move(rows)},
            {"summary",
             {{"all", summary_json(score.all)},
              {"by_series", table(score.by_series)},
              {"by_chip", table(score.by_chip)}}},
            {"slopes", std::move(slopes)},
            {"rankings", std::move(rankings)},
            {"peers", std::move(peers)}};
}

}  // namespace ascertain::cost
