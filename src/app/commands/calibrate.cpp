// ascertain calibrate: from evidence to a chip file marked measured, or from a few measured runs to
// constants that know their die and framework.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "app/calibration.hpp"
#include "app/commands/all.hpp"
#include "app/endure/claim.hpp"
#include "app/exit_codes.hpp"
#include "app/files.hpp"
#include "app/forecast.hpp"
#include "app/table.hpp"
#include "decide/evidence/verify.hpp"
#include "predict/catalog/load.hpp"
#include "predict/cost/run_calibration.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kFileBytesMax = 4u << 20;
constexpr std::size_t kRunsBytesMax = 64u << 20;

struct Options {
    std::string directory;
    std::string runs;
    std::vector<std::string> own_chips;
    std::string device;
    std::string chip;
    std::string out;
};

// Its file: the user's own, or the one of the catalog whose id or alias it is.
Result<std::string> base_path(const Home& home, const std::string& chip) {
    if (chip.ends_with(".toml")) return chip;
    const auto known = catalog::load_catalog(home.root + "/data", {});
    if (!known) return known.error();
    const auto found = known->find_chip(chip);
    if (!found) return Error{found.error().code, found.error().message, "--chip"};
    return home.data("chips/" + found->id + ".toml");
}

Result<DeviceMeasurements> chosen(const Options& options) {
    if (const auto verified = evidence::verify(options.directory); !verified)
        return verified.error();
    const auto records = evidence::read_all(options.directory);
    if (!records) return records.error();
    auto devices = measurements_in(*records);
    if (!devices) return devices.error();
    std::string names;
    for (auto& device : *devices) {
        if (device.device == options.device || (options.device.empty() && devices->size() == 1))
            return std::move(device);
        names += fmt::format("{}{}", names.empty() ? "" : ", ", device.device);
    }
    if (names.empty()) {
        return Error{ErrorCode::kBadInput,
                     "no completed speed.calibration and no soak in this evidence",
                     options.directory};
    }
    return Error{ErrorCode::kUsage, "name one of the measured devices: " + names, "--device"};
}

Result<std::vector<cost::PublishedRun>> runs_in(const std::string& path,
                                                const catalog::Catalog& known) {
    const auto text = read_file(path, kRunsBytesMax);
    if (!text) return text.error();
    const auto document = parse_json(*text, path);
    if (!document) return document.error();
    return cost::read_runs(*document, known, path);
}

Table learnt_table(const std::vector<cost::CalibrationRow>& rows) {
    Table table{{{"id", "run", false},
                 {"chip", "chip", false},
                 {"framework", "framework", false},
                 {"measured_step_s", "measured, s", true},
                 {"before_ratio", "error before", true},
                 {"after_ratio", "after", true},
                 {"refused_because", "not used because", false}},
                {}};
    for (const auto& row : rows) {
        const auto error = [&](double predicted) {
            if (!(predicted > 0.0) || !(row.measured_step_s > 0.0)) return cell("-", nullptr);
            const double ratio = predicted / row.measured_step_s - 1.0;
            return cell(fmt::format("{:+.1f} %", 100 * ratio), ratio);
        };
        table.rows.push_back({cell(row.id), cell(row.chip), cell(row.framework),
                              cell(fmt::format("{:.4g}", row.measured_step_s), row.measured_step_s),
                              error(row.before_s), error(row.after_s), cell(row.refused_because)});
    }
    return table;
}

int learn(Terminal& terminal, const Home& home, const Options& options) {
    const std::vector<std::filesystem::path> own(options.own_chips.begin(),
                                                 options.own_chips.end());
    const auto known = catalog::load_catalog(home.root + "/data", own);
    if (!known) return terminal.complain(known.error());
    const auto shipped = runs_in(home.data("published/runs.json"), *known);
    if (!shipped) return terminal.complain(shipped.error());
    const auto added = runs_in(options.runs, *known);
    if (!added) return terminal.complain(added.error());
    const auto book = read_cost_book(home, {});
    if (!book) return terminal.complain(book.error());
    terminal.status("fitting …");
    const auto learnt = cost::calibrate_from_runs(*shipped, *added, *book, {});
    terminal.status("");
    if (!learnt) return terminal.complain(learnt.error());
    for (const auto& warning : learnt->warnings) terminal.say(warning);
    if (options.out.empty()) {
        terminal.print(learnt->book.to_toml());
        return kExitDone;
    }
    if (const auto written = write_file(options.out, learnt->book.to_toml()); !written)
        return terminal.complain(written.error());
    terminal.print(to_text(learnt_table(learnt->rows), Format::kTable));
    terminal.say(
        fmt::format("{}: give it to plan, simulate, compare or score as --constants", options.out));
    return kExitDone;
}

int run(Terminal& terminal, const Home& home, const Options& options) {
    if (!options.runs.empty()) {
        if (options.directory.empty() && options.chip.empty())
            return learn(terminal, home, options);
        return terminal.complain(Error{ErrorCode::kUsage,
                                       "takes the place of an evidence directory and --chip",
                                       "--from-runs"});
    }
    if (options.directory.empty() || options.chip.empty())
        return terminal.complain(
            Error{ErrorCode::kUsage,
                  "name an evidence directory and --chip, or a file of measured runs with "
                  "--from-runs",
                  "calibrate"});
    const auto measured = chosen(options);
    if (!measured) return terminal.complain(measured.error());
    const auto path = base_path(home, options.chip);
    if (!path) return terminal.complain(path.error());
    const auto base = read_file(*path, kFileBytesMax);
    if (!base) return terminal.complain(base.error());
    const auto prior = failure_prior(home);
    if (!prior) return terminal.complain(prior.error());
    const auto chip = calibrated_chip(*base, *path, *measured, *prior, options.directory);
    if (!chip) return terminal.complain(chip.error());
    for (const auto& finding : measured->outside)
        terminal.say("outside its interval, a finding of its own: " + finding);
    if (options.out.empty()) {
        terminal.print(*chip);
        return kExitDone;
    }
    if (const auto written = write_file(options.out, *chip); !written)
        return terminal.complain(written.error());
    terminal.say(
        fmt::format("{}: name it as chip in a campaign or in compare --chips", options.out));
    return kExitDone;
}

}  // namespace

Run declare_calibrate(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    flags.add_option("DIR", options->directory, "The evidence directory of a run");
    flags.add_option(
        "--from-runs", options->runs,
        "Instead of evidence: measured runs of a new die or framework, three and more, "
        "as data/published/README.md describes them; writes constants that know them");
    flags.add_option("--chip-file", options->own_chips,
                     "With --from-runs: a chip file of your own; repeatable, it overrides by id");
    flags.add_option(
        "--chip", options->chip,
        "Chip whose file is the base: catalog id, or a chip file of yours; what was not "
        "measured stays as there");
    flags.add_option("--device", options->device,
                     "Which device of the run, when several were measured");
    flags.add_option("--out", options->out,
                     "Write the chip file, or the constants, here; default: standard output");
    return
        [options](Terminal& terminal, const Home& home) { return run(terminal, home, *options); };
}

}  // namespace ascertain::app
