// ascertain catalog list|show|validate.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <memory>

#include "app/commands/all.hpp"
#include "app/exit_codes.hpp"
#include "app/files.hpp"
#include "app/table.hpp"
#include "predict/catalog/load.hpp"

namespace ascertain::app {
namespace {

struct Options {
    Format format = Format::kTable;
    std::string id;
    std::vector<std::string> own_files;
};

template <typename Q>
Cell figure_cell(const catalog::Figure<Q>& figure, std::string (*written)(Q)) {
    if (!figure.known()) return cell("?", nullptr);
    return cell(written(*figure.value), figure.value->count);
}

std::string write_flops(FlopsPerSecond rate) {
    return fmt::format("{:.4g} TFLOP/s", rate.count / 1e12);
}

Table chips_table(const catalog::Catalog& known) {
    Table table{{{"id", "chip", false},
                 {"vendor", "vendor", false},
                 {"bf16_flops_per_s", "bf16 dense", true},
                 {"memory_bytes", "memory", true},
                 {"memory_bytes_per_s", "memory rate", true},
                 {"scale_up_bytes_per_s", "scale-up one way", true},
                 {"kind", "kind of the peak", false}},
                {}};
    for (const auto& chip : known.chips()) {
        const auto& peak = chip.peak(catalog::Format::kBf16);
        table.rows.push_back({cell(chip.id), cell(chip.vendor), figure_cell(peak, &write_flops),
                              figure_cell(chip.memory, &format_size),
                              figure_cell(chip.memory_bandwidth, &format_rate),
                              figure_cell(chip.scale_up_per_direction, &format_rate),
                              cell(peak.known() ? std::string(name_of(peak.kind)) : peak.reason)});
    }
    return table;
}

int list(Terminal& terminal, const catalog::Catalog& known, const Options& options) {
    terminal.print(to_text(chips_table(known), options.format));
    if (options.format == Format::kTable) {
        terminal.say(fmt::format(
            "{} chips, {} networks; `ascertain catalog show ID` prints every number with "
            "its source",
            known.chips().size(), known.networks().size()));
    }
    return kExitDone;
}

// The file itself is the best page about a chip: every number with unit, kind and source.
int show(Terminal& terminal, const Home& home, const catalog::Catalog& known,
         const Options& options) {
    const auto chip = known.find_chip(options.id);
    const auto network = known.find_network(options.id);
    if (!chip && !network) {
        terminal.complain(chip.error());
        return exit_code(ErrorCode::kBadInput);
    }
    const std::string path = chip ? home.data("chips/" + chip->id + ".toml")
                                  : home.data("networks/" + network->id + ".toml");
    const auto text = read_file(path, 1u << 20);
    if (!text) {
        return terminal.complain(text.error());
    }
    terminal.print(*text);
    return kExitDone;
}

int validate(Terminal& terminal, const catalog::Catalog& known) {
    const auto faults = known.validate();
    for (const auto& fault : faults) terminal.complain(fault);
    terminal.print(fmt::format("{} chips, {} networks, {} faults", known.chips().size(),
                               known.networks().size(), faults.size()));
    return faults.empty() ? kExitDone : kExitBadInput;
}

int run(Terminal& terminal, const Home& home, const CLI::App& flags, const Options& options) {
    std::vector<std::filesystem::path> own(options.own_files.begin(), options.own_files.end());
    const auto known = catalog::load_catalog(home.root + "/data", own);
    if (!known) {
        return terminal.complain(known.error());
    }
    const std::string what = flags.get_subcommands().front()->get_name();
    if (what == "show") return show(terminal, home, *known, options);
    if (what == "validate") return validate(terminal, *known);
    return list(terminal, *known, options);
}

}  // namespace

Run declare_catalog(CLI::App& flags) {
    auto options = std::make_shared<Options>();
    auto* listing = flags.add_subcommand("list", "Every chip, one line each");
    add_format_flag(*listing, options->format);
    auto* showing =
        flags.add_subcommand("show", "Every number of one chip or network, with its source");
    showing->add_option("ID", options->id, "Chip or network, or an alias")->required();
    flags.add_subcommand("validate",
                         "Check the catalog, and files of your own, for contradictions");
    flags.add_option("--file", options->own_files, "A chip file of your own; it overrides by id");
    flags.require_subcommand(1);
    return [options, &flags](Terminal& terminal, const Home& home) {
        return run(terminal, home, flags, *options);
    };
}

}  // namespace ascertain::app
