// Fits the constants of the cost model on published runs, and says how far to trust them: every
// figure it prints beside "left out" is of rows that the fit had not seen.
//
//   ascertain_fit DATA [--write] [--skip-validation] [--rows] [--without SERIES]
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
    void print(const char* title) const {
        if (log_ratio.empty()) return;
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
            return ape[static_cast<std::size_t>(q * (n - 1.0) + 0.5)];
        };
        std::printf(
            "%-44s %4zu  MAPE %5.1f  median %5.1f  P90 %5.1f  bias %+5.1f  within 5/10 %%: "
            "%2.0f/%2.0f\n",
            title, ape.size(), 100 * mape / n, 100 * at(0.5), 100 * at(0.9), 100 * bias / n,
            100 * near5 / n, 100 * near10 / n);
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
std::vector<double> left_out(const Fit& fit, const Fit::Solution& full,
                             const std::function<std::string(std::size_t)>& group_of) {
    std::map<std::string, std::vector<std::size_t>> groups;
    for (std::size_t r = 0; r < fit.size(); ++r) groups[group_of(r)].push_back(r);
    std::vector<double> predicted(fit.size(), std::nan(""));
    for (const auto& [name, members] : groups) {
        if (name.empty()) continue;
        std::vector<bool> used(fit.size(), true);
        for (const std::size_t r : members) used[r] = false;
        const auto solution = fit.solve(used, &full, 2, false);
        if (!solution) continue;
        for (const std::size_t r : members) predicted[r] = fit.predict(r, *solution, false);
    }
    return predicted;
}

int run(int count, char** arguments) {
    if (count < 2) {
        std::fputs("usage: ascertain_fit DATA [--write] [--skip-validation] [--rows]\n", stderr);
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
    of(fit, inside, dense_a).print("in sample, dense A");
    of(fit, known, dense_a).print("in sample, dense A, series level known");
    of(fit, inside, dense).print("in sample, dense");
    of(fit, inside, experts).print("in sample, experts");

    std::vector<double> series(fit.size(), std::nan(""));
    if (!flags.contains("--skip-validation")) {
        series = left_out(fit, *full, [&](std::size_t r) { return fit.run(r).series; });
        of(fit, series, dense_a).print("series left out, dense A");
        of(fit, series, dense).print("series left out, dense");
        of(fit, series, experts).print("series left out, experts");
        const auto frameworks =
            left_out(fit, *full, [&](std::size_t r) { return fit.run(r).framework; });
        of(fit, frameworks, dense_a).print("framework left out, dense A");
        const auto dies = left_out(fit, *full, [&](std::size_t r) { return fit.die_of(r); });
        of(fit, dies, dense_a).print("die left out, dense A");
        const auto vtrain = [](const PublishedRun& one) { return one.series == "vtrain-multi"; };
        of(fit, series, vtrain).print("vtrain-multi left out");
        of(fit, inside, vtrain).print("vtrain-multi fitted");
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
