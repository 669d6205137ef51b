// ascertain calibrate: from evidence to a chip file marked measured.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "app/calibration.hpp"
#include "app/commands/all.hpp"
#include "app/exit_codes.hpp"
#include "app/files.hpp"
#include "decide/evidence/verify.hpp"
#include "predict/catalog/load.hpp"
#include "predict/goodput/published.hpp"

namespace ascertain::app {
namespace {

constexpr std::size_t kFileBytesMax = 4u << 20;

struct Options {
    std::string directory;
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

Result<goodput::GammaRate> failure_prior(const Home& home) {
    const std::string path = home.data("reliability/defaults.toml");
    const auto text = read_file(path, kFileBytesMax);
    if (!text) return text.error();
    const auto defaults = goodput::parse_defaults(*text, path, goodput::Platform::kUnproven);
    if (!defaults) return defaults.error();
    return defaults->failure.rate;
}

int run(Terminal& terminal, const Home& home, const Options& options) {
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
    flags.add_option("DIR", options->directory, "The evidence directory of a run")->required();
    flags
        .add_option(
            "--chip", options->chip,
            "Chip whose file is the base: catalog id, or a chip file of yours; what was not "
            "measured stays as there")
        ->required();
    flags.add_option("--device", options->device,
                     "Which device of the run, when several were measured");
    flags.add_option("--out", options->out, "Write the chip file here; default: standard output");
    return
        [options](Terminal& terminal, const Home& home) { return run(terminal, home, *options); };
}

}  // namespace ascertain::app
