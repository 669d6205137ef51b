// Fits the constants of the cost model on published runs, and says how far to trust them: every
// figure it prints beside "left out" is of rows that the fit had not seen.
//
//   ascertain_fit DATA [--write] [--skip-validation] [--exact] [--rows] [--refused] [--validation
//   PAGE]
//
// DATA is the product's data folder: chips/, networks/, published/runs.json, cost/constants.toml,
// whose die classes it keeps and whose numbers it replaces with --write.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "predict/catalog/load.hpp"
#include "predict/cost/fit.hpp"

namespace {

using namespace ascertain;
using cost::Fit;
using cost::PublishedRun;

std::string read_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

struct Errors {
    std::vector<double> log_ratio;  // log(predicted / measured)
    struct Figures {
        std::size_t count = 0;
        double mape = 0.0, median = 0.0, p90 = 0.0, bias = 0.0, near5 = 0.0,
               near10 = 0.0;  // percent
    };
    [[nodiscard]] Figures figures() const {
        Figures f;
        if (log_ratio.empty()) return f;
        std::vector<double> ape;
        double mape = 0.0, bias = 0.0, near5 = 0.0, near10 = 0.0;
        for (const double e : log_ratio) {
            const double a = std::abs(std::expm1(e));
            ape.push_back(a);
            mape += a;
            bias += std::expm1(e);
            near5 += a <= 0.05;
            near10 += a <= 0.10;
        }
        std::sort(ape.begin(), ape.end());
        const double n = static_cast<double>(ape.size());
        const auto at = [&](double q) {
            return 100 * ape[static_cast<std::size_t>(q * (n - 1.0) + 0.5)];
        };
        return {ape.size(),     100 * mape / n,  at(0.5),         at(0.9),
                100 * bias / n, 100 * near5 / n, 100 * near10 / n};
    }
    void print(const char* title) const {
        const Figures f = figures();
        if (f.count == 0) return;
        std::printf(
            "%-44s %4zu  MAPE %5.1f  median %5.1f  P90 %5.1f  bias %+5.1f  within 5/10 %%: "
            "%2.0f/%2.0f\n",
            title, f.count, f.mape, f.median, f.p90, f.bias, f.near5, f.near10);
    }
    [[nodiscard]] double quantile(double q) const {
        std::vector<double> width;
        for (const double e : log_ratio) width.push_back(std::abs(e));
        if (width.empty()) return 0.0;
        std::sort(width.begin(), width.end());
        return width[static_cast<std::size_t>(q * static_cast<double>(width.size() - 1) + 0.5)];
    }
};

bool dense_a(const PublishedRun& run) {
    return run.trust == "A" && !run.experts && !run.decisive_assumption();
}

Errors of(const Fit& fit, const std::vector<double>& predicted,
          const std::function<bool(const PublishedRun&)>& which) {
    Errors errors;
    for (std::size_t r = 0; r < fit.size(); ++r)
        if (!std::isnan(predicted[r]) && which(fit.run(r)))
            errors.log_ratio.push_back(predicted[r] - fit.measured(r));
    return errors;
}

// Predictions for every row from a fit on the rows of other groups.
std::vector<double> left_out(const Fit& fit, const Fit::Solution& full, const Fit::Lines& lines,
                             bool exact, const std::function<std::string(std::size_t)>& group_of) {
    std::map<std::string, std::vector<std::size_t>> groups;
    for (std::size_t r = 0; r < fit.size(); ++r) groups[group_of(r)].push_back(r);
    std::vector<double> predicted(fit.size(), std::nan(""));
    for (const auto& [name, members] : groups) {
        if (name.empty()) continue;
        std::vector<bool> used(fit.size(), true);
        for (const std::size_t r : members) used[r] = false;
        auto solution = fit.solve_on(lines, used, full, 4);
        if (solution && exact) solution = fit.solve(used, &*solution, 2, false);
        if (!solution) continue;
        for (const std::size_t r : members) predicted[r] = fit.predict(r, *solution, false);
    }
    return predicted;
}

// One line of the validation page.
struct Evaluation {
    std::string title;
    Errors errors;
    std::string gate;  // what the research sets as "ship"
};

// How wrong the growth of a series is, from its smallest to its largest fleet, in points.
std::vector<std::pair<std::string, double>> slopes(const Fit& fit,
                                                   const std::vector<double>& predicted) {
    std::map<std::string, std::pair<std::size_t, std::size_t>> ends;
    std::map<std::string, std::set<std::int64_t>> sizes;
    for (std::size_t r = 0; r < fit.size(); ++r) {
        const PublishedRun& one = fit.run(r);
        if (!dense_a(one) || std::isnan(predicted[r])) continue;
        sizes[one.series].insert(one.fleet.count);
        const auto [place, fresh] = ends.try_emplace(one.series, r, r);
        if (fresh) continue;
        if (one.fleet.count < fit.run(place->second.first).fleet.count) place->second.first = r;
        if (one.fleet.count > fit.run(place->second.second).fleet.count) place->second.second = r;
    }
    std::vector<std::pair<std::string, double>> list;
    for (const auto& [series, pair] : ends) {
        const auto [first, last] = pair;
        const auto& small = fit.run(first);
        const auto& large = fit.run(last);
        // Weak scaling only: the same plan but for data parallelism, the same work per device.
        const bool same = small.plan.tp == large.plan.tp && small.plan.pp == large.plan.pp &&
                          small.plan.micro_batch == large.plan.micro_batch &&
                          small.job.global_batch_sequences * large.fleet.count ==
                              large.job.global_batch_sequences * small.fleet.count;
        if (sizes[series].size() < 3 || !same) continue;
        const double measured = std::exp(fit.measured(last) - fit.measured(first));
        list.emplace_back(series, 100 * (std::exp(predicted[last] - predicted[first]) - measured));
    }
    return list;
}

void write_validation(const std::string& path, const std::vector<Evaluation>& evaluations,
                      const std::vector<std::pair<std::string, double>>& slope_list,
                      const cost::IntervalWidths& widths, const Fit& fit,
                      const std::vector<double>& inside, const std::vector<double>& outside) {
    std::ofstream page(path);
    page << "# Validation of the step-time predictor\n\n"
            "Generated by `ascertain_fit data --validation docs/validation.md`; do not "
            "edit. Errors are of step time, in\n"
            "percent. Rows are those of `data/published/runs.json`. *Left out* means that the fit "
            "had seen no row of that series,\n"
            "framework or die. *A* rows are the authors' own measurements with micro-batch, chunks "
            "and recompute stated.\n\n"
            "| evaluation | rows | mean | median | P90 | bias | within 5 % | within 10 % | gate "
            "(mean / median / P90) |\n"
            "|---|---|---|---|---|---|---|---|---|\n";
    char line[512];
    for (const Evaluation& one : evaluations) {
        const Errors::Figures f = one.errors.figures();
        if (f.count == 0) continue;
        std::snprintf(line, sizeof line,
                      "| %s | %zu | %.1f | %.1f | %.1f | %+.1f | %.0f | %.0f | %s |\n",
                      one.title.c_str(), f.count, f.mape, f.median, f.p90, f.bias, f.near5,
                      f.near10, one.gate.c_str());
        page << line;
    }
    page << "\nPeers on vTrain's 109 multi-node rows, nothing fitted to them (our runs of their "
            "published versions): SimuMax 11.8 to\n"
            "14.7, Calculon 15.3 to 19.7, llm-analysis 17.9, vTrain's own paper 14.7 % mean. Of "
            "those rows 26 are in our data.\n\n"
            "## Weak scaling\n\nGrowth of the step from the smallest to the largest fleet of a "
            "series, predicted less measured, in points;\n"
            "series left out.\n\n| series | points |\n|---|---|\n";
    std::vector<double> sizes;
    for (const auto& [series, points] : slope_list) {
        std::snprintf(line, sizeof line, "| %s | %+.1f |\n", series.c_str(), points);
        page << line;
        sizes.push_back(std::abs(points));
    }
    std::sort(sizes.begin(), sizes.end());
    if (!sizes.empty()) {
        std::snprintf(
            line, sizeof line, "\nMedian %.1f points, 90 %% within %.1f (gate: 1.5 and 3).\n",
            sizes[sizes.size() / 2],
            sizes[static_cast<std::size_t>(0.9 * static_cast<double>(sizes.size() - 1) + 0.5)]);
        page << line;
    }
    std::snprintf(line, sizeof line,
                  "\n## Intervals\n\nHalf-width of the 80 %% interval, from the same errors: %.1f "
                  "%% with die and framework known, %.1f %% "
                  "framework\nunknown, %.1f %% die unknown, %.1f %% mixtures of experts.\n\n## By "
                  "series\n\n| series | rows | in sample "
                  "| left out |\n|---|---|---|---|\n",
                  100 * std::expm1(widths.known), 100 * std::expm1(widths.framework_unknown),
                  100 * std::expm1(widths.die_unknown), 100 * std::expm1(widths.experts));
    page << line;
    std::map<std::string, std::array<double, 3>> series;
    for (std::size_t r = 0; r < fit.size(); ++r) {
        auto& sums = series[fit.run(r).series];
        sums[0] += 1.0;
        sums[1] += std::abs(std::expm1(inside[r] - fit.measured(r)));
        sums[2] += std::abs(std::expm1(outside[r] - fit.measured(r)));
    }
    for (const auto& [name, sums] : series) {
        std::snprintf(line, sizeof line, "| %s | %.0f | %.1f | %.1f |\n", name.c_str(), sums[0],
                      100 * sums[1] / sums[0], 100 * sums[2] / sums[0]);
        page << line;
    }
}

int run(int count, char** arguments) {
    if (count < 2) {
        std::fputs(
            "usage: ascertain_fit DATA [--write] [--skip-validation] [--exact] [--rows] "
            "[--refused] [--validation PAGE]\n",
            stderr);
        return 64;
    }
    const std::string data = arguments[1];
    std::set<std::string> flags(arguments + 2, arguments + count);
    const auto catalog = catalog::load_catalog(data, {});
    if (!catalog) return std::fprintf(stderr, "%s\n", catalog.error().text().c_str()), 65;
    const std::string book_path = data + "/cost/constants.toml";
    auto groups = cost::CostBook::parse(read_file(book_path), book_path);
    if (!groups) return std::fprintf(stderr, "%s\n", groups.error().text().c_str()), 65;
    const std::string runs_path = data + "/published/runs.json";
    const auto document = parse_json(read_file(runs_path), runs_path);
    if (!document) return std::fprintf(stderr, "%s\n", document.error().text().c_str()), 65;
    const auto runs = cost::read_runs(*document, *catalog, runs_path);
    if (!runs) return std::fprintf(stderr, "%s\n", runs.error().text().c_str()), 65;
    for (const PublishedRun& one : *runs)
        if (flags.contains("--refused") && !one.refused_because.empty())
            std::printf("refused %-50s %s\n", one.id.c_str(), one.refused_because.c_str());

    const cost::FitOptions options;
    const Fit fit(*runs, *groups, options);
    const std::vector<bool> all(fit.size(), true);
    std::printf("%zu rows, %zu can be predicted\n", runs->size(), fit.size());
    const auto full = fit.solve(all, nullptr, options.iterations, true);
    if (!full) return std::fprintf(stderr, "%s\n", full.error().text().c_str()), 70;
    std::vector<double> inside(fit.size()), known(fit.size());
    for (std::size_t r = 0; r < fit.size(); ++r) {
        inside[r] = fit.predict(r, *full, false);
        known[r] = fit.predict(r, *full, true);
    }
    const auto dense = [](const PublishedRun& one) { return !one.experts; };
    const auto experts = [](const PublishedRun& one) { return one.experts; };
    std::vector<Evaluation> evaluations;
    const auto evaluate = [&](const char* title, Errors errors, const char* gate) {
        errors.print(title);
        evaluations.push_back({title, std::move(errors), gate});
    };
    evaluate("in sample, dense A", of(fit, inside, dense_a), "- / 2.5 / 9");
    of(fit, known, dense_a).print("in sample, dense A, series level known");
    evaluate("in sample, dense", of(fit, inside, dense), "");
    evaluate("in sample, experts", of(fit, inside, experts), "");

    std::vector<double> series(fit.size(), std::nan(""));
    if (!flags.contains("--skip-validation")) {
        const Fit::Lines lines = fit.linearise_all(*full);
        const bool exact = flags.contains("--exact");
        series =
            left_out(fit, *full, lines, exact, [&](std::size_t r) { return fit.run(r).series; });
        evaluate("series left out, dense A", of(fit, series, dense_a), "7 / 4.5 / 15");
        evaluate("series left out, dense", of(fit, series, dense), "");
        evaluate("series left out, experts", of(fit, series, experts), "- / 18 / -");
        const auto frameworks =
            left_out(fit, *full, lines, exact, [&](std::size_t r) { return fit.run(r).framework; });
        evaluate("framework left out, dense A", of(fit, frameworks, dense_a), "15 / - / -");
        const auto dies =
            left_out(fit, *full, lines, exact, [&](std::size_t r) { return fit.die_of(r); });
        evaluate("die left out, dense A", of(fit, dies, dense_a), "20 / - / -");
        // The field's common ruler; it gets no treatment of its own but this line of the report.
        const auto vtrain = [](const PublishedRun& one) { return one.series == "vtrain-multi"; };
        evaluate("vTrain rows, their series left out", of(fit, series, vtrain), "12 / - / -");
        evaluate("vTrain rows, fitted", of(fit, inside, vtrain), "8 / 4.5 / -");
        groups->widths.known = of(fit, series, dense_a).quantile(0.8);
        groups->widths.framework_unknown = of(fit, frameworks, dense).quantile(0.8);
        groups->widths.die_unknown = of(fit, dies, dense).quantile(0.8);
        groups->widths.experts = of(fit, series, experts).quantile(0.8);
        std::printf("80 %% half-widths: known %.3f framework %.3f die %.3f experts %.3f\n",
                    groups->widths.known, groups->widths.framework_unknown,
                    groups->widths.die_unknown, groups->widths.experts);
    }
    if (flags.contains("--rows")) {
        for (std::size_t r = 0; r < fit.size(); ++r) {
            const PublishedRun& one = fit.run(r);
            const auto parts = fit.parts(r, *full);
            std::printf("row %-52s %-9s %9.3f in %+6.1f out %+6.1f |", one.id.c_str(),
                        one.framework.c_str(), one.measured_step_s,
                        100 * std::expm1(inside[r] - fit.measured(r)),
                        100 * std::expm1(series[r] - fit.measured(r)));
            for (std::size_t p = 0; p < cost::kPartCount; ++p)
                if (parts.parts[p] > 0.005 * parts.step_s)
                    std::printf(" %s %.0f",
                                std::string(cost::name_of(static_cast<cost::Part>(p))).c_str(),
                                100 * parts.parts[p] / parts.step_s);
            std::printf(" | %s %s\n", parallel::describe(one.plan).c_str(), one.chip.c_str());
        }
    }
    if (const auto at = std::find(arguments, arguments + count, std::string("--validation"));
        at != arguments + count && at + 1 != arguments + count)
        write_validation(*(at + 1), evaluations, slopes(fit, series), groups->widths, fit, inside,
                         series);
    cost::CostBook book = fit.book(*full, all, "published runs of data/published/runs.json");
    book.widths = groups->widths;
    if (flags.contains("--write")) {
        std::ofstream(book_path) << book.to_toml();
        std::printf("wrote %s\n", book_path.c_str());
    } else if (flags.contains("--print")) {
        std::fputs(book.to_toml().c_str(), stdout);
    }
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    return run(count, arguments);
}
