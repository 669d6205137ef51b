#include "predict/cost/validation.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>
#include <set>

namespace ascertain::cost {
namespace {

using Which = std::function<bool(std::size_t row)>;

bool is_dense(const PublishedRun& run) {
    return !run.experts;
}

double quantile(std::vector<double> values, double q) {
    if (values.empty()) return 0.0;
    std::sort(values.begin(), values.end());
    return values[static_cast<std::size_t>(q * static_cast<double>(values.size() - 1) + 0.5)];
}

// Rows of a fit, predicted from a fit on the rows of other groups.
std::vector<double> leave_out(const Fit& fit, const Fit::Solution& full, const Fit::Lines& lines,
                              bool exact, const std::function<std::string(std::size_t)>& group_of) {
    std::map<std::string, std::vector<std::size_t>> groups;
    for (std::size_t r = 0; r < fit.size(); ++r) groups[group_of(r)].push_back(r);
    std::vector<double> predicted(fit.size(), std::nan(""));
    constexpr int kLineIterations = 4;
    constexpr int kExactIterations = 2;
    for (const auto& [name, members] : groups) {
        if (name.empty()) continue;
        std::vector<bool> used(fit.size(), true);
        for (const std::size_t r : members) used[r] = false;
        auto solution = fit.solve_on(lines, used, full, kLineIterations);
        if (solution && exact) solution = fit.solve(used, &*solution, kExactIterations, false);
        if (!solution) continue;
        for (const std::size_t r : members) predicted[r] = fit.predict(r, *solution, false);
    }
    return predicted;
}

// Learns the other groups and the `k` smallest rows of each group, and judges the group's rest;
// groups of fewer than k + 3 rows that count are left aside.
FewRows few_rows(const Fit& fit, const Fit::Solution& full, const Fit::Lines& lines, std::size_t k,
                 const Which& counts, const std::function<std::string(std::size_t)>& group_of) {
    constexpr int kIterations = 4;
    constexpr std::size_t kJudgedMin = 3;
    constexpr std::size_t kMost = 5;  // the same groups whatever k is
    std::map<std::string, std::vector<std::size_t>> groups;
    for (std::size_t r = 0; r < fit.size(); ++r)
        if (counts(r)) groups[group_of(r)].push_back(r);
    FewRows out;
    out.rows = k;
    std::vector<double> means;
    for (auto& [name, members] : groups) {
        if (members.size() < kMost + kJudgedMin) continue;
        std::stable_sort(members.begin(), members.end(), [&](std::size_t a, std::size_t b) {
            return fit.run(a).fleet.count < fit.run(b).fleet.count;
        });
        std::vector<bool> used(fit.size());
        std::vector<bool> learnt(fit.size(), false);
        for (std::size_t r = 0; r < fit.size(); ++r) used[r] = group_of(r) != name;
        for (std::size_t i = 0; i < k; ++i) used[members[i]] = learnt[members[i]] = true;
        const auto solution = fit.solve_on(lines, used, full, kIterations, learnt);
        if (!solution) continue;
        double mean = 0.0;
        double bias = 0.0;
        const double n = static_cast<double>(members.size() - k);
        for (std::size_t i = k; i < members.size(); ++i) {
            const std::size_t r = members[i];
            const double error =
                100.0 * std::expm1(fit.predict(r, *solution, false) - fit.measured(r));
            mean += std::abs(error) / n;
            bias += error / n;
        }
        means.push_back(mean);
        out.mean += mean;
        out.bias += std::abs(bias);
    }
    out.groups = means.size();
    if (means.empty()) return out;
    out.mean /= static_cast<double>(means.size());
    out.bias /= static_cast<double>(means.size());
    out.median = quantile(means, 0.5);
    return out;
}

// |log error| of the rows that `which` picks.
std::vector<double> sizes_of(const Fit& fit, const std::vector<double>& predicted,
                             const Which& which) {
    std::vector<double> sizes;
    for (std::size_t r = 0; r < fit.size(); ++r)
        if (!std::isnan(predicted[r]) && which(r))
            sizes.push_back(std::abs(predicted[r] - fit.measured(r)));
    return sizes;
}

ErrorFigures figures_of(const Fit& fit, const std::vector<double>& predicted,
                        const std::vector<double>& width, const Which& which) {
    ErrorFigures f;
    std::vector<double> absolute;
    for (std::size_t r = 0; r < fit.size(); ++r) {
        if (std::isnan(predicted[r]) || !which(r)) continue;
        const double log_error = predicted[r] - fit.measured(r);
        const double error = 100.0 * std::expm1(log_error);
        absolute.push_back(std::abs(error));
        f.mean += std::abs(error);
        f.bias += error;
        f.near_5 += std::abs(error) <= 5.0 ? 100.0 : 0.0;
        f.near_10 += std::abs(error) <= 10.0 ? 100.0 : 0.0;
        if (!width.empty() && std::abs(log_error) <= width[r]) f.covered += 100.0;
    }
    f.count = absolute.size();
    if (f.count == 0) return f;
    const double n = static_cast<double>(f.count);
    for (double* sum : {&f.mean, &f.bias, &f.near_5, &f.near_10, &f.covered}) *sum /= n;
    f.median = quantile(absolute, 0.5);
    f.p90 = quantile(absolute, 0.9);
    return f;
}

// Half-width of each row's 80 % interval: the quantile of the errors left out on rows of its kind,
// without those of its own group, so that no row judges itself.
std::vector<double> widths_left_out(const Fit& fit, const std::vector<double>& predicted,
                                    const std::function<std::string(std::size_t)>& group_of) {
    constexpr double kCovered = 0.8;
    std::vector<double> width(fit.size(), 0.0);
    std::map<std::pair<std::string, bool>, double> known;
    for (std::size_t r = 0; r < fit.size(); ++r) {
        const bool experts = fit.run(r).experts;
        const std::string group = group_of(r);
        const auto [place, fresh] = known.try_emplace({group, experts}, 0.0);
        if (fresh)
            place->second = quantile(sizes_of(fit, predicted,
                                              [&](std::size_t other) {
                                                  return fit.run(other).experts == experts &&
                                                         group_of(other) != group;
                                              }),
                                     kCovered);
        width[r] = place->second;
    }
    return width;
}

// By run in place of by row of the fit.
std::vector<double> spread_out(const Fit& fit, const std::vector<PublishedRun>& runs,
                               const std::vector<double>& by_row) {
    std::vector<double> by_run(runs.size(), std::nan(""));
    for (std::size_t r = 0; r < fit.size(); ++r)
        by_run[static_cast<std::size_t>(&fit.run(r) - runs.data())] = by_row[r];
    return by_run;
}

}  // namespace

bool is_dense_a(const PublishedRun& run) {
    return run.trust == "A" && is_dense(run) && !run.decisive_assumption();
}

Result<Validation> cross_validate(const std::vector<PublishedRun>& runs, const CostBook& groups,
                                  const FitOptions& options, bool exact) {
    const Fit fit(runs, groups, options);
    const std::vector<bool> all(fit.size(), true);
    const auto full = fit.solve(all, nullptr, options.iterations, true);
    if (!full) return full.error();
    const Fit::Lines lines = fit.linearise_all(*full);
    const auto series_of = [&](std::size_t r) { return fit.run(r).series; };
    const auto framework_of = [&](std::size_t r) { return fit.run(r).framework; };
    const auto die_of = [&](std::size_t r) { return fit.die_of(r); };
    std::vector<double> inside(fit.size());
    for (std::size_t r = 0; r < fit.size(); ++r) inside[r] = fit.predict(r, *full, false);
    const auto series = leave_out(fit, *full, lines, exact, series_of);
    const auto framework = leave_out(fit, *full, lines, exact, framework_of);
    const auto die = leave_out(fit, *full, lines, exact, die_of);
    const auto width = widths_left_out(fit, series, series_of);

    const Which dense_a = [&](std::size_t r) { return is_dense_a(fit.run(r)); };
    const Which dense = [&](std::size_t r) { return is_dense(fit.run(r)); };
    const Which experts = [&](std::size_t r) { return fit.run(r).experts; };
    // The field's common ruler; it gets no treatment of its own but these lines of the report.
    const Which ruler = [&](std::size_t r) { return fit.run(r).series == "vtrain-multi"; };
    Validation v;
    const auto judge = [&](const char* title, const std::vector<double>& predicted,
                           const std::vector<double>& widths, const Which& which,
                           const char* gate) {
        v.evaluations.push_back({title, figures_of(fit, predicted, widths, which), gate});
    };
    const std::vector<double> none;
    judge("in sample, dense A", inside, none, dense_a, "- / 2.5 / 9");
    judge("in sample, dense", inside, none, dense, "");
    judge("in sample, experts", inside, none, experts, "");
    judge("series left out, dense A", series, width, dense_a, "7 / 4.5 / 15");
    judge("series left out, dense", series, width, dense, "");
    judge("series left out, experts", series, width, experts, "- / 18 / -");
    judge("framework left out, dense A", framework, widths_left_out(fit, framework, framework_of),
          dense_a, "15 / - / -");
    judge("die left out, dense A", die, widths_left_out(fit, die, die_of), dense_a, "20 / - / -");
    judge("vTrain rows, their series left out", series, width, ruler, "12 / - / -");
    judge("vTrain rows, fitted", inside, none, ruler, "8 / 4.5 / -");
    for (const std::size_t k : {std::size_t{0}, std::size_t{3}, std::size_t{5}}) {
        FewRows stack = few_rows(fit, *full, lines, k, dense_a, framework_of);
        stack.of = "framework";
        stack.gate = k == 0 ? "15" : k == 3 ? "10" : "";
        v.few_rows.push_back(std::move(stack));
        FewRows chip = few_rows(fit, *full, lines, k, dense_a, die_of);
        chip.of = "die";
        chip.gate = k == 0 ? "20" : k == 5 ? "11" : "";
        v.few_rows.push_back(std::move(chip));
    }
    constexpr double kCovered = 0.8;
    v.widths.known = quantile(sizes_of(fit, series, dense), kCovered);
    v.widths.framework_unknown = quantile(sizes_of(fit, framework, dense), kCovered);
    v.widths.die_unknown = quantile(sizes_of(fit, die, dense), kCovered);
    v.widths.experts = quantile(sizes_of(fit, series, experts), kCovered);
    v.book = fit.book(*full, all, "published runs of data/published/runs.json");
    v.book.widths = v.widths;
    v.inside = spread_out(fit, runs, inside);
    v.series = spread_out(fit, runs, series);
    v.framework = spread_out(fit, runs, framework);
    v.die = spread_out(fit, runs, die);
    v.width = spread_out(fit, runs, width);
    return v;
}

}  // namespace ascertain::cost
