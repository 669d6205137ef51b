// ascertain score: predicts published runs and says how wrong it was.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <filesystem>
#include <map>
#include <memory>

#include "app/commands/all.hpp"
#include "app/exit_codes.hpp"
#include "app/files.hpp"
#include "app/forecast.hpp"
#include "app/served.hpp"
#include "app/table.hpp"
#include "predict/catalog/load.hpp"
#include "predict/cost/score.hpp"
#include "predict/cost/validation.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kRunsBytesMax = 64u << 20;  // thousands of rows

struct Options {
    std::string constants;
    std::string file;
    std::string page;
    std::string level;
    std::vector<std::string> own_chips;
    Format format = Format::kTable;
    bool cross_validate = false;
    bool rows = false;
};

struct Input {
    std::vector<cost::PublishedRun> runs;
    std::vector<cost::PeerScore> peers;
    cost::CostBook book;
};

Result<Json> read_json(const std::string& path) {
    const auto text = read_file(path, kRunsBytesMax);
    if (!text) return text.error();
    return parse_json(*text, path);
}

Result<catalog::Catalog> read_catalog(const Home& home, const Options& options) {
    const std::vector<std::filesystem::path> own(options.own_chips.begin(),
                                                 options.own_chips.end());
    return catalog::load_catalog(home.root + "/data", own);
}

Result<Input> read_input(const Home& home, const Options& options, const Json& document,
                         const std::string& path) {
    const auto known = read_catalog(home, options);
    if (!known) return known.error();
    auto runs = cost::read_runs(document, *known, path);
    if (!runs) return runs.error();
    const std::string peers_path = home.data("published/peers.json");
    const auto peers_document = read_json(peers_path);
    if (!peers_document) return peers_document.error();
    auto peers = cost::read_peers(*peers_document, peers_path);
    if (!peers) return peers.error();
    auto book = read_cost_book(home, options.constants);
    if (!book) return book.error();
    return Input{*std::move(runs), *std::move(peers), *std::move(book)};
}

Cell percent(double ratio, bool known = true) {
    return known ? cell(fmt::format("{:.1f} %", 100 * ratio), ratio) : cell("-", nullptr);
}

Cell seconds(const std::optional<double>& value) {
    return value ? cell(fmt::format("{:.4g} s", *value), *value) : cell("-", nullptr);
}

Table rows_table(const cost::Score& score) {
    Table table{{{"id", "run", false},
                 {"series", "series", false},
                 {"chip", "chip", false},
                 {"used_for_fitting", "fitted", false},
                 {"measured_step_s", "measured", true},
                 {"predicted_step_s", "predicted", true},
                 {"low_s", "80 % from", true},
                 {"high_s", "to", true},
                 {"error_ratio", "error", true},
                 {"refused_because", "refused because", false}},
                {}};
    for (const auto& row : score.rows) {
        table.rows.push_back(
            {cell(row.id), cell(row.series), cell(row.chip),
             cell(row.used_for_fitting ? "fitted" : "", row.used_for_fitting),
             seconds(row.measured_step_s), seconds(row.predicted_step_s), seconds(row.low_s),
             seconds(row.high_s),
             percent(row.error_ratio.value_or(0.0), row.error_ratio.has_value()),
             row.refused_because.empty() ? cell("", nullptr) : cell(row.refused_because)});
    }
    return table;
}

Table summary_table(const cost::Score& score) {
    Table table{{{"group", "rows of", false},
                 {"count", "rows", true},
                 {"mape", "mean", true},
                 {"median_ape", "median", true},
                 {"p90_ape", "P90", true},
                 {"bias", "bias", true},
                 {"interval_coverage", "in 80 % interval", true}},
                {}};
    const auto add = [&](const std::string& name, const cost::ScoreSummary& s) {
        table.rows.push_back({cell(name), cell(fmt::format("{}", s.count), s.count),
                              percent(s.mape), percent(s.median_ape), percent(s.p90_ape),
                              percent(s.bias), percent(s.interval_coverage)});
    };
    add("all", score.all);
    for (const auto& [chip, summary] : score.by_chip) add(chip, summary);
    for (const auto& [series, summary] : score.by_series) add(series, summary);
    return table;
}

Table peers_table(const cost::Score& score) {
    Table table{{{"series", "series", false},
                 {"name", "predictor", false},
                 {"count", "rows", true},
                 {"mape", "mean error", true},
                 {"setting", "setting", false}},
                {}};
    std::string last;
    for (const auto& peer : score.peers) {
        const auto ours = score.by_series.find(peer.series);
        if (ours == score.by_series.end()) continue;
        if (peer.series != last)
            table.rows.push_back({cell(peer.series), cell("ascertain"),
                                  cell(fmt::format("{}", ours->second.count), ours->second.count),
                                  percent(ours->second.mape), cell(score.judged_by)});
        last = peer.series;
        table.rows.push_back({cell(peer.series), cell(peer.name),
                              cell(fmt::format("{}", peer.count), peer.count), percent(peer.mape),
                              cell(peer.setting)});
    }
    return table;
}

Table slopes_table(const cost::Score& score) {
    Table table{{{"series", "growth of the step with the fleet", false},
                 {"devices", "devices", true},
                 {"measured", "measured", true},
                 {"predicted", "predicted", true}},
                {}};
    for (const auto& slope : score.slopes)
        table.rows.push_back({cell(slope.series),
                              cell(fmt::format("{} to {}", slope.devices_from, slope.devices_to)),
                              percent(slope.measured_growth - 1.0),
                              percent(slope.predicted_growth - 1.0)});
    return table;
}

void print(const Terminal& terminal, const cost::Score& score, const Options& options) {
    if (options.rows) terminal.print(to_text(rows_table(score), Format::kTable));
    std::map<std::string, std::int64_t> refused;
    std::int64_t fitted = 0;
    std::int64_t predicted = 0;
    for (const auto& row : score.rows) {
        if (!row.refused_because.empty()) ++refused[row.refused_because];
        if (row.predicted_step_s) ++predicted;
        if (row.predicted_step_s && row.used_for_fitting) ++fitted;
    }
    terminal.print(
        fmt::format("{} rows: {} predicted, {} of them used for fitting; {} refused. {}.",
                    score.rows.size(), predicted, fitted,
                    static_cast<std::int64_t>(score.rows.size()) - predicted, score.judged_by));
    for (const auto& [reason, count] : refused)
        terminal.print(fmt::format("  refused {:4}: {}", count, reason));
    if (predicted == 0) return;
    terminal.print("\n" + to_text(summary_table(score), Format::kTable));
    if (!score.slopes.empty()) terminal.print(to_text(slopes_table(score), Format::kTable));
    if (const Table peers = peers_table(score); !peers.rows.empty())
        terminal.print(to_text(peers, Format::kTable));
}

// Figures of serving have a page and levels of their own; runs need a cross-validation for theirs.
int run_served(Terminal& terminal, const Home& home, const Options& options, const Json& document,
               const std::string& path) {
    if (options.cross_validate) {
        return terminal.complain({ErrorCode::kUsage,
                                  "--cross-validate: rows of serving are always predicted without "
                                  "their series",
                                  path});
    }
    const auto known = read_catalog(home, options);
    if (!known) return terminal.complain(known.error());
    const auto book = read_cost_book(home, options.constants);
    if (!book) return terminal.complain(book.error());
    return score_served(terminal, home, *known, *book, document,
                        {path, options.page, options.level, options.format, options.rows});
}

// The page and, beside it, its picture.
Result<void> write_page(const std::string& page, const Input& input,
                        const cost::Validation& validation) {
    const auto picture = std::filesystem::path(page).replace_extension(".svg");
    if (const auto written = write_file(
            picture.string(), cost::validation_picture(input.runs, validation, input.peers));
        !written)
        return written.error();
    return write_file(page, cost::validation_page(input.runs, validation, input.peers,
                                                  picture.filename().string()));
}

int run(Terminal& terminal, const Home& home, const Options& options) {
    const std::string path = options.file.empty() ? home.data("published/runs.json") : options.file;
    const auto document = read_json(path);
    if (!document) return terminal.complain(document.error());
    if (is_served(*document)) return run_served(terminal, home, options, *document, path);
    if (!options.level.empty() || (!options.page.empty() && !options.cross_validate)) {
        return terminal.complain({ErrorCode::kUsage,
                                  options.level.empty()
                                      ? "--page: training runs need --cross-validate beside it"
                                      : "--level: only figures of serving have levels",
                                  path});
    }
    const auto input = read_input(home, options, *document, path);
    if (!input) return terminal.complain(input.error());
    cost::Score score;
    if (options.cross_validate) {
        terminal.status("fitting without one series after the other …");
        const auto validation = cost::cross_validate(input->runs, input->book, {}, false);
        terminal.status("");
        if (!validation) return terminal.complain(validation.error());
        score = cost::score_predictions(input->runs, validation->series, validation->width);
        if (!options.page.empty()) {
            const auto written = write_page(options.page, *input, *validation);
            if (!written) return terminal.complain(written.error());
        }
    } else {
        score = cost::score_runs(input->runs, input->book);
    }
    score.peers = input->peers;
    if (options.format == Format::kJson)
        terminal.print(cost::to_json(score).dump(2));
    else if (options.format == Format::kCsv)
        terminal.print(to_text(rows_table(score), Format::kCsv));
    else
        print(terminal, score, options);
    return score.all.count > 0 ? kExitDone : kExitInconclusive;
}

}  // namespace

Run declare_score(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    flags.add_option("--constants", options->constants,
                     "Fitted constants of your own, from `calibrate --from-runs`");
    flags.add_option("FILE", options->file,
                     "Published runs with `setup` objects, or figures of serving such as "
                     "data/published/serving.json (data/published/README.md); default: the shipped "
                     "runs");
    flags.add_option("--chip-file", options->own_chips,
                     "A chip file of your own; repeatable, it overrides by id");
    flags.add_flag("--rows", options->rows, "Print every row, not only the summaries");
    flags.add_flag("--cross-validate", options->cross_validate,
                   "Fit on the file's own rows, each predicted without its series");
    flags.add_option("--page", options->page,
                     "Write the validation page (Markdown) here, and beside it its picture (SVG)");
    flags.add_option("--level", options->level,
                     "Serving: write the fitted level (data/cost/serving.toml) here");
    add_format_flag(flags, options->format);
    return
        [options](Terminal& terminal, const Home& home) { return run(terminal, home, *options); };
}

}  // namespace ascertain::app
