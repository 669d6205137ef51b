// ascertain calibrate: from evidence to a chip or network file marked measured, or from a few
// measured runs to constants that know their die and framework.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "app/calibration.hpp"
#include "app/commands/all.hpp"
#include "app/endure/claim.hpp"
#include "app/exit_codes.hpp"
#include "app/files.hpp"
#include "app/forecast.hpp"
#include "app/situation.hpp"
#include "app/table.hpp"
#include "decide/evidence/verify.hpp"
#include "predict/catalog/load.hpp"
#include "predict/cost/machine.hpp"
#include "predict/cost/run_calibration.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kFileBytesMax = 4u << 20;
constexpr std::size_t kRunsBytesMax = 64u << 20;

struct Options {
    std::vector<std::string> directories;
    std::string runs;
    std::vector<std::string> own_chips;
    std::string device;
    std::string chip;
    std::string network;
    std::string out;
};

// The base file of a chip or network: the user's own, or the one of the catalog whose id or alias
// it is.
struct Base {
    std::string id;
    std::string path;
    std::string text;
};

Result<Base> base_of(const std::string& word, const std::string& path, Result<std::string> id) {
    if (!id) return id.error();
    auto text = read_file(path, kFileBytesMax);
    if (!text) return text.error();
    return Base{*std::move(id), is_own_file(word) ? word : path, *std::move(text)};
}

Result<Base> chip_base(const Home& home, const catalog::Catalog& known, const std::string& word) {
    if (is_own_file(word)) return base_of(word, word, id_of_chip_file(word));
    const auto found = known.find_chip(word);
    if (!found) return Error{found.error().code, found.error().message, "--chip"};
    return base_of(word, home.data("chips/" + found->id + ".toml"), found->id);
}

Result<Base> network_base(const Home& home, const catalog::Catalog& known,
                          const std::string& word) {
    if (is_own_file(word)) return base_of(word, word, id_of_network_file(word));
    const auto found = known.find_network(word);
    if (!found) return Error{found.error().code, found.error().message, "--network"};
    return base_of(word, home.data("networks/" + found->id + ".toml"), found->id);
}

Result<DeviceMeasurements> chosen(const Options& options) {
    std::vector<DeviceMeasurements> devices;
    for (const auto& directory : options.directories) {
        if (const auto verified = evidence::verify(directory); !verified) return verified.error();
        const auto records = evidence::read_all(directory);
        if (!records) return records.error();
        auto more = measurements_in(*records, directory, std::move(devices));
        if (!more) return more.error();
        devices = *std::move(more);
    }
    std::string names;
    for (auto& device : devices) {
        if (device.device == options.device || (options.device.empty() && devices.size() == 1))
            return std::move(device);
        names += fmt::format("{}{}", names.empty() ? "" : ", ", device.device);
    }
    if (names.empty()) {
        return Error{ErrorCode::kBadInput,
                     "nothing in this evidence belongs into a chip or network file: no completed "
                     "speed.calibration, links.speed or trial.resume, and no soak",
                     options.directories.front()};
    }
    return Error{ErrorCode::kUsage, "name one of the measured devices: " + names, "--device"};
}

// The share of a chip's direct links that the ranks that were asked have among themselves.
double share_of_links(const catalog::Catalog& known, const std::string& chip,
                      const DeviceMeasurements& measured) {
    const LinkMeasurement* link = measured.link(false);
    const auto found = known.find_chip(chip);
    if (link == nullptr || !found) return 1.0;
    const auto up = known.find_network(found->scale_up_network);
    return up ? catalog::usable_link_share(*up, static_cast<double>(link->ranks)) : 1.0;
}

// How much of a stated rate the simulator lets this chip reach: by its die where that is fitted.
ReachedShares shares_for(const catalog::Catalog& known, const cost::CostBook& book,
                         const std::string& chip, const std::string& network,
                         const DeviceMeasurements& measured) {
    constexpr std::int64_t kDevices = 8192;  // more than any scale-up domain: ports are asked too
    using enum cost::Constant;
    const double links = share_of_links(known, chip, measured);
    const auto shares = [links](const cost::Constants& constants) {
        return ReachedShares{constants[kMemoryShare], constants[kLinkShare] * links,
                             constants[kNicShare]};
    };
    const std::string fabric = network.empty() ? known.networks().front().id : network;
    const auto fleet = catalog::resolve_fleet(known, chip, kDevices, 8, fabric, 0);
    if (fleet) {
        const auto machine = cost::resolve_machine(*fleet, cost::TrainingJob{}, book);
        if (machine) return shares(machine->constants);
    }
    return shares(book.resolve({chip}, "", 0, "").constants);
}

// What a file was made from, for people.
std::vector<std::string> summary_of(const DeviceMeasurements& measured, bool of_network) {
    std::vector<std::string> lines;
    const auto rate = [&](std::string_view what, const std::optional<MeasuredRange>& range,
                          double scale, std::string_view unit) {
        if (!range) return;
        lines.push_back(range->high > range->low
                            ? fmt::format("{}: {:.4g} {} ({:.4g} to {:.4g})", what,
                                          range->mid / scale, unit, range->low / scale,
                                          range->high / scale)
                            : fmt::format("{}: {:.4g} {}", what, range->mid / scale, unit));
    };
    for (const auto& link : measured.links) {
        const std::string where = link.across_nodes ? "across nodes" : "within a node";
        rate(fmt::format("bus bandwidth of {} ranks {} over {}", link.ranks, where, link.backend),
             link.bus_bytes_per_s, 1e9, "GB/s");
        rate("latency " + where, link.latency_s, 1e-6, "us");
    }
    if (of_network) return lines;
    rate("bf16 matrix products", measured.matmul_flops_per_s, 1e12, "TFLOP/s");
    rate("memory streamed", measured.streamed_bytes_per_s, 1e9, "GB/s");
    rate("checkpoint written by one device", measured.checkpoint_write_bytes_per_s, 1e9, "GB/s");
    rate("checkpoint read by one device", measured.checkpoint_read_bytes_per_s, 1e9, "GB/s");
    if (measured.soak.device_hours > 0.0)
        lines.push_back(fmt::format("soaked for {:.4g} device-hours, {:.0f} failures",
                                    measured.soak.device_hours, measured.soak.failures));
    return lines;
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

Result<std::string> file_for(const Home& home, const Options& options,
                             const DeviceMeasurements& measured) {
    auto known = catalog::load_catalog(home.root + "/data", {});
    if (!known) return known.error();
    const auto chip = chip_base(home, *known, options.chip);
    if (!chip) return chip.error();
    const auto book = read_cost_book(home, {});
    if (!book) return book.error();
    if (options.network.empty()) {
        const auto prior = failure_prior(home);
        if (!prior) return prior.error();
        return calibrated_chip(chip->text, chip->path, measured, *prior,
                               shares_for(*known, *book, chip->id, "", measured));
    }
    const auto network = network_base(home, *known, options.network);
    if (!network) return network.error();
    return calibrated_network(network->text, network->path, measured,
                              shares_for(*known, *book, chip->id, network->id, measured));
}

int from_evidence(Terminal& terminal, const Home& home, const Options& options) {
    const auto measured = chosen(options);
    if (!measured) return terminal.complain(measured.error());
    const auto file = file_for(home, options, *measured);
    if (!file) return terminal.complain(file.error());
    for (const auto& line : summary_of(*measured, !options.network.empty()))
        terminal.say("measured on " + measured->device + ": " + line);
    for (const auto& finding : measured->outside)
        terminal.say("outside its interval, a finding of its own: " + finding);
    if (options.out.empty()) {
        terminal.print(*file);
        return kExitDone;
    }
    if (const auto written = write_file(options.out, *file); !written)
        return terminal.complain(written.error());
    terminal.say(fmt::format("{}: name it as {} in a campaign, or in compare --chips", options.out,
                             options.network.empty() ? "chip" : "network"));
    return kExitDone;
}

int run(Terminal& terminal, const Home& home, const Options& options) {
    const bool evidence =
        !options.directories.empty() || !options.chip.empty() || !options.network.empty();
    if (!options.runs.empty() && evidence) {
        return terminal.complain(Error{ErrorCode::kUsage,
                                       "takes no evidence directory, --chip or --network beside it",
                                       "--from-runs"});
    }
    if (!options.runs.empty()) return learn(terminal, home, options);
    if (options.directories.empty() || options.chip.empty())
        return terminal.complain(
            Error{ErrorCode::kUsage,
                  "name evidence directories and --chip, or a file of measured runs with "
                  "--from-runs",
                  "calibrate"});
    return from_evidence(terminal, home, options);
}

}  // namespace

Run declare_calibrate(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    flags.add_option("DIR", options->directories,
                     "Evidence directories: of qualify, ops, links, soak or trial");
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
    flags.add_option("--network", options->network,
                     "Write a network file in place of the chip's: catalog id, or a file of yours, "
                     "as the base; a scale-up network needs ranks of one node, a scale-out one "
                     "ranks of several");
    flags.add_option("--device", options->device,
                     "Which device of the run, when several were measured");
    flags.add_option("--out", options->out, "Write the file here; default: standard output");
    return
        [options](Terminal& terminal, const Home& home) { return run(terminal, home, *options); };
}

}  // namespace ascertain::app
