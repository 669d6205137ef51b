// Fits the constants of the cost model on published runs, and says how far to trust them: every
// figure it prints beside "left out" is of rows that the fit had not seen.
//
//   ascertain_fit DATA [--write] [--exact] [--rows] [--refused]
//
// DATA is the product's data folder: chips/, networks/, published/runs.json, cost/constants.toml,
// whose die classes it keeps and whose numbers it replaces with --write. The page about it is
// written by `ascertain score --cross-validate --page`.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "base/json.hpp"
#include "predict/catalog/load.hpp"
#include "predict/cost/validation.hpp"

namespace {

using namespace ascertain;
using cost::PublishedRun;

std::string read_file(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

int fail(const Error& error, int code) {
    std::fprintf(stderr, "%s\n", error.text().c_str());
    return code;
}

void print_evaluations(const cost::Validation& validation) {
    for (const cost::Evaluation& one : validation.evaluations) {
        const cost::ErrorFigures& f = one.figures;
        std::printf(
            "%-34s %4zu  mean %5.1f  median %5.1f  P90 %5.1f  bias %+5.1f  within 5/10 %%: "
            "%2.0f/%2.0f  covered %2.0f  gate %s\n",
            one.title.c_str(), f.count, f.mean, f.median, f.p90, f.bias, f.near_5, f.near_10,
            f.covered, one.gate.c_str());
    }
    for (const cost::FewRows& one : validation.few_rows)
        std::printf(
            "new %-10s %zu rows of it: %zu groups, mean %5.1f  median %5.1f  bias %5.1f  gate %s\n",
            one.of.c_str(), one.rows, one.groups, one.mean, one.median, one.bias, one.gate.c_str());
    const cost::IntervalWidths& w = validation.widths;
    std::printf("80 %% half-widths: known %.3f framework %.3f die %.3f experts %.3f\n", w.known,
                w.framework_unknown, w.die_unknown, w.experts);
}

// One line a row: errors in sample, series, framework and die left out; where its time goes.
void print_rows(const std::vector<PublishedRun>& runs, const cost::Validation& validation) {
    for (std::size_t i = 0; i < runs.size(); ++i) {
        if (std::isnan(validation.inside[i])) continue;
        const PublishedRun& one = runs[i];
        const double measured = std::log(one.measured_step_s);
        const auto error = [&](const std::vector<double>& predicted) {
            return 100 * std::expm1(predicted[i] - measured);
        };
        std::printf("row %-46s %-9s %9.3f in %+6.1f series %+6.1f stack %+6.1f die %+6.1f |",
                    one.id.c_str(), one.framework.c_str(), one.measured_step_s,
                    error(validation.inside), error(validation.series), error(validation.framework),
                    error(validation.die));
        const auto machine = cost::resolve_machine(one.fleet, one.job, validation.book);
        const auto work = cost::shard_work(one.architecture, one.plan, one.job);
        if (machine && work) {
            cost::Workspace space;
            const auto step =
                cost::step_seconds(one.architecture, one.job, one.plan, *machine, *work,
                                   cost::block_seconds(*work, one.plan, one.job, *machine),
                                   cost::Precision::kExact, space);
            const double memory =
                parallel::peak_memory(work->facts, one.plan, one.job.batch(), space.stages,
                                      cost::memory_constants(one.job))
                    .total()
                    .count;
            std::printf(" memory %.0f |", 100 * memory / machine->memory_bytes);
            for (std::size_t p = 0; step && p < cost::kPartCount; ++p)
                if (step->parts[p] > 0.005 * step->step_s)
                    std::printf(" %s %.0f",
                                std::string(cost::name_of(static_cast<cost::Part>(p))).c_str(),
                                100 * step->parts[p] / step->step_s);
        }
        std::printf(" | %s %s\n", parallel::describe(one.plan).c_str(), one.chip.c_str());
    }
}

int run(int count, char** arguments) {
    if (count < 2) {
        std::fputs("usage: ascertain_fit DATA [--write] [--exact] [--rows] [--refused]\n", stderr);
        return 64;
    }
    const std::string data = arguments[1];
    const std::set<std::string> flags(arguments + 2, arguments + count);
    const auto catalog = catalog::load_catalog(data, {});
    if (!catalog) return fail(catalog.error(), 65);
    const std::string book_path = data + "/cost/constants.toml";
    const auto groups = cost::CostBook::parse(read_file(book_path), book_path);
    if (!groups) return fail(groups.error(), 65);
    const std::string runs_path = data + "/published/runs.json";
    const auto document = parse_json(read_file(runs_path), runs_path);
    if (!document) return fail(document.error(), 65);
    const auto runs = cost::read_runs(*document, *catalog, runs_path);
    if (!runs) return fail(runs.error(), 65);
    for (const PublishedRun& one : *runs)
        if (flags.contains("--refused") && !one.refused_because.empty())
            std::printf("refused %-50s %s\n", one.id.c_str(), one.refused_because.c_str());
    const cost::FitOptions options;
    const auto validation =
        cost::cross_validate(*runs, *groups, options, flags.contains("--exact"));
    if (!validation) return fail(validation.error(), 70);
    print_evaluations(*validation);
    if (flags.contains("--rows")) print_rows(*runs, *validation);
    if (flags.contains("--write")) {
        std::ofstream(book_path) << validation->book.to_toml();
        std::printf("wrote %s\n", book_path.c_str());
    }
    return 0;
}

}  // namespace

int main(int count, char** arguments) {
    return run(count, arguments);
}
