// docs/validation.md, written from what cross_validate() found.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "predict/cost/page.hpp"
#include "predict/cost/validation.hpp"

namespace ascertain::cost {
namespace {

void write_evaluations(Page& page, const std::vector<Evaluation>& evaluations) {
    page.line(
        "| evaluation | rows | mean | median | P90 | bias | within 5 % | within 10 % | in the "
        "80 % interval | gate (mean / median / P90) |");
    page.line("|---|---|---|---|---|---|---|---|---|---|");
    for (const Evaluation& one : evaluations) {
        const ErrorFigures& f = one.figures;
        if (f.count == 0) continue;
        page.line("| {} | {} | {:.1f} | {:.1f} | {:.1f} | {:+.1f} | {:.0f} | {:.0f} | {} | {} |",
                  one.title, f.count, f.mean, f.median, f.p90, f.bias, f.near_5, f.near_10,
                  f.covered > 0.0 ? fmt::format("{:.0f} %", f.covered) : std::string(), one.gate);
    }
}

void write_few_rows(Page& page, const std::vector<FewRows>& table) {
    page.line("\n## What a few measured rows are worth\n");
    page.line(
        "A framework or die that the fit had never seen, after learning from its k smallest runs "
        "(`calibrate --from-runs`);\nthe rest of the group is predicted. Over groups of eight and "
        "more dense A rows, each group counting once.\n");
    page.line("| new | k | groups | mean error | median group | mean absolute bias | gate |");
    page.line("|---|---|---|---|---|---|---|");
    for (const char* of : {"framework", "die"})
        for (const FewRows& one : table)
            if (one.of == of)
                page.line("| {} | {} | {} | {:.1f} | {:.1f} | {:.1f} | {} |", one.of, one.rows,
                          one.groups, one.mean, one.median, one.bias, one.gate);
}

void write_peers(Page& page, const std::vector<PeerScore>& peers,
                 const std::vector<ScoreRow>& left_out, const std::vector<ScoreRow>& fitted) {
    page.line("\n## Side by side with peers\n");
    page.line(
        "On the published multi-node rows that the field can share. The peers' figures are on "
        "all rows of that source,\nours on those that we have; ours are given twice, because "
        "the peers have no constants fitted to them.\n");
    page.line("| predictor | rows | mean error | bias | setting |");
    page.line("|---|---|---|---|---|");
    const auto ours = [&](const char* title, const std::vector<ScoreRow>& rows,
                          const std::string& series) {
        std::vector<const ScoreRow*> members;
        for (const ScoreRow& row : rows)
            if (row.series == series) members.push_back(&row);
        const ScoreSummary summary = summarise(members);
        page.line("| ours, {} | {} | {:.1f} % | {:+.1f} % | rows of `{}` |", title, summary.count,
                  100 * summary.mape, 100 * summary.bias, series);
    };
    std::string last;
    for (const PeerScore& peer : peers) {
        if (peer.series != last) {
            ours("series left out", left_out, peer.series);
            ours("fitted on them", fitted, peer.series);
            last = peer.series;
        }
        page.line("| {} | {} | {:.1f} % | {} | {}; {} |", peer.name, peer.count, 100 * peer.mape,
                  peer.bias ? fmt::format("{:+.1f} %", 100 * *peer.bias) : std::string("?"),
                  peer.setting, peer.source);
    }
}

constexpr std::string_view kGatedSlopes = "h100-80gb-sxm";  // the chip whose slopes are gated

void write_slope_figures(Page& page, const char* title, std::vector<double> sizes,
                         const char* gate) {
    if (sizes.empty()) return;
    std::sort(sizes.begin(), sizes.end());
    const auto ninth = static_cast<std::size_t>(0.9 * static_cast<double>(sizes.size() - 1) + 0.5);
    page.line("{}, {}: median {:.1f} points, 90 % within {:.1f}{}.", title, sizes.size(),
              sizes[sizes.size() / 2], sizes[ninth], gate);
}

void write_slopes(Page& page, const std::vector<ScoreSlope>& slopes) {
    page.line("\n## Weak scaling\n");
    page.line(
        "Growth of the step from the smallest to the largest fleet of a series, predicted "
        "less measured, in points;\nseries left out.\n");
    page.line("| series | devices | measured | predicted | points |");
    page.line("|---|---|---|---|---|");
    std::vector<double> all;
    std::vector<double> gated;
    for (const ScoreSlope& slope : slopes) {
        page.line("| {} | {} to {} | {:+.1f} % | {:+.1f} % | {:+.1f} |", slope.series,
                  slope.devices_from, slope.devices_to, 100 * (slope.measured_growth - 1.0),
                  100 * (slope.predicted_growth - 1.0), slope.points());
        all.push_back(std::abs(slope.points()));
        if (slope.chip == kGatedSlopes) gated.push_back(std::abs(slope.points()));
    }
    page.line("");
    write_slope_figures(page, "All series", std::move(all), "");
    write_slope_figures(page, "The series on DGX-H100", std::move(gated), " (gate: 1.5 and 3)");
}

constexpr std::string_view kGatedRankings = "vtrain-multi";  // the field's common ruler

void write_rankings(Page& page, const std::vector<ScoreRanking>& rankings) {
    page.line("\n## Choosing a plan\n");
    page.line(
        "One job on one fleet, measured under several plans: how much slower than the best "
        "measured one is the plan that\nis predicted to be best (series left out), and the "
        "best of the three predicted best.\n");
    page.line("| series | plans | first row | regret | regret of the top three |");
    page.line("|---|---|---|---|---|");
    double sum = 0.0;
    std::vector<double> gated;
    for (const ScoreRanking& one : rankings) {
        page.line("| {} | {} | {} | {:.1f} % | {:.1f} % |", one.series, one.plans, one.model,
                  100 * one.regret, 100 * one.regret_top3);
        sum += one.regret;
        if (one.series == kGatedRankings) gated.push_back(100 * one.regret);
    }
    if (!rankings.empty())
        page.line("\nMean regret {:.1f} % over {} groups.",
                  100 * sum / static_cast<double>(rankings.size()), rankings.size());
    if (gated.empty()) return;
    page.line("Of `{}`: at most {:.1f} %, mean {:.1f} % over {} groups (gate: 5 each, mean 2).",
              kGatedRankings, *std::max_element(gated.begin(), gated.end()),
              std::accumulate(gated.begin(), gated.end(), 0.0) / static_cast<double>(gated.size()),
              gated.size());
}

void write_series(Page& page, const std::vector<PublishedRun>& runs, const Validation& v) {
    page.line("\n## By series\n");
    page.line("| series | rows | in sample | left out |");
    page.line("|---|---|---|---|");
    struct Sums {
        double rows = 0.0, inside = 0.0, outside = 0.0;
    };
    std::map<std::string, Sums> series;
    for (std::size_t i = 0; i < runs.size(); ++i) {
        if (std::isnan(v.inside[i]) || std::isnan(v.series[i])) continue;
        const double measured = std::log(runs[i].measured_step_s);
        Sums& sums = series[runs[i].series];
        sums.rows += 1.0;
        sums.inside += 100 * std::abs(std::expm1(v.inside[i] - measured));
        sums.outside += 100 * std::abs(std::expm1(v.series[i] - measured));
    }
    for (const auto& [name, sums] : series)
        page.line("| {} | {:.0f} | {:.1f} | {:.1f} |", name, sums.rows, sums.inside / sums.rows,
                  sums.outside / sums.rows);
}

}  // namespace

std::string validation_page(const std::vector<PublishedRun>& runs, const Validation& v,
                            const std::vector<PeerScore>& peers, std::string_view picture) {
    const Score score = score_predictions(runs, v.series, v.width);
    Page page;
    page.line("# Validation of the step-time predictor\n");
    page.line(
        "Written by `ascertain score data/published/runs.json --cross-validate --page "
        "docs/validation.md`; do not edit.\nErrors are of step time, in percent. *Left out* "
        "means that the fit had seen no row of that series, framework or\ndie. *A* rows are "
        "the authors' own measurements with micro-batch, chunks and recompute stated. The "
        "interval of a\nrow that is left out is as wide as 80 % of the errors on *other* "
        "series (frameworks, dies).\n");
    page.line("![Predicted against measured, and the peers' errors]({})\n", picture);
    write_evaluations(page, v.evaluations);
    write_few_rows(page, v.few_rows);
    const Score fitted = score_predictions(runs, v.inside, v.width);
    write_peers(page, peers, score.rows, fitted.rows);
    write_slopes(page, score.slopes);
    write_rankings(page, score.rankings);
    const IntervalWidths& w = v.widths;
    page.line("\n## Intervals\n");
    page.line(
        "Half-width of the 80 % interval of predictions to come: {:.1f} % with die and "
        "framework known, {:.1f} % framework\nunknown, {:.1f} % die unknown, {:.1f} % mixtures "
        "of experts.",
        100 * std::expm1(w.known), 100 * std::expm1(w.framework_unknown),
        100 * std::expm1(w.die_unknown), 100 * std::expm1(w.experts));
    write_series(page, runs, v);
    return std::move(page).text();
}

}  // namespace ascertain::cost
