#include "app/command.hpp"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <map>

#include "app/exit_codes.hpp"
#include "app/interrupt.hpp"
#include "app/version.hpp"
#include "base/text.hpp"

namespace ascertain::app {
namespace {

constexpr std::string_view kAbout =
    "Find out for certain, before betting months on it, whether a model will train - and serve - "
    "on\n"
    "those chips. `ascertain qualify` does the whole job with what this machine has; the other\n"
    "commands do one part of it.";

constexpr std::string_view kExitCodes =
    "Exit codes:\n"
    "   0  QUALIFIED, or the asked thing was done\n"
    "   1  NOT QUALIFIED\n"
    "   2  INCONCLUSIVE, which includes: nothing ran, everything was skipped\n"
    "  64  bad command line\n"
    "  65  bad input file; the message names file:line:column\n"
    "  69  a device or plug-in that was named is not here\n"
    "  70  a bug in ascertain; no verdict is valid\n"
    "  74  evidence cannot be written, or does not fit its hashes\n"
    " 130  interrupted; the evidence so far is kept";

struct Declared {
    CLI::App* flags;
    Run run;
};

std::vector<std::string> command_names() {
    std::vector<std::string> names;
    for (const auto& command : commands()) names.emplace_back(command.name);
    return names;
}

std::vector<std::string> flag_names(const CLI::App& app) {
    std::vector<std::string> names;
    for (const auto* option : app.get_options()) {
        for (const auto& name : option->get_lnames()) names.push_back("--" + name);
    }
    return names;
}

// What CLI11 says of a bad line, with the near match it does not look for.
std::string explained(const CLI::ParseError& error, const CLI::App& app, int argc, char** argv) {
    std::string text = error.what();
    const CLI::App* active = &app;
    for (const auto* sub : app.get_subcommands()) active = sub;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (!word.starts_with("--")) continue;
        const auto known = flag_names(*active);
        const std::string name = word.substr(0, word.find('='));
        if (std::ranges::find(known, name) == known.end()) {
            return fmt::format("{} is not a flag of `ascertain{}{}`{}", name,
                               active == &app ? "" : " ", active == &app ? "" : active->get_name(),
                               did_you_mean(name, known));
        }
    }
    return text;
}

int usage_error(std::string_view message) {
    fmt::print(stderr, "ascertain: {}\nTry `ascertain --help`.\n", message);
    return kExitUsage;
}

int dispatch(CLI::App& app, const std::map<std::string, Declared>& declared, bool quiet) {
    const auto chosen = app.get_subcommands();
    if (chosen.empty()) {
        fmt::print("{}\n", app.help());
        return kExitUsage;
    }
    Terminal terminal(quiet);
    const auto home = find_home();
    if (!home) {
        return terminal.complain(home.error());
    }
    return declared.at(chosen.front()->get_name()).run(terminal, *home);
}

}  // namespace

void add_format_flag(CLI::App& flags, Format& format) {
    flags.add_option("--format", format, "How the result is written: table, json or csv")
        ->transform(CLI::CheckedTransformer(std::map<std::string, Format>{
            {"table", Format::kTable}, {"json", Format::kJson}, {"csv", Format::kCsv}}))
        ->type_name("FORMAT");
}

int run_command_line(int argc, char** argv) {
    watch_interrupts();
    CLI::App app{std::string(kAbout), "ascertain"};
    app.footer(std::string(kExitCodes));
    app.set_version_flag("--version", std::string(version_line()));
    bool quiet = false;
    std::map<std::string, Declared> declared;
    for (const auto& command : commands()) {
        CLI::App* flags =
            app.add_subcommand(std::string(command.name), std::string(command.summary));
        flags->footer(std::string(command.examples) + "\n\n" + std::string(kExitCodes));
        flags->add_flag("--quiet", quiet, "Print the result only, no progress");
        declared[std::string(command.name)] = {flags, command.declare(*flags)};
    }
    app.require_subcommand(0, 1);
    if (argc > 1 && argv[1][0] != '-') {
        const auto names = command_names();
        if (std::ranges::find(names, argv[1]) == names.end()) {
            return usage_error(
                fmt::format("\"{}\" is not a command{}", argv[1], did_you_mean(argv[1], names)));
        }
    }
    try {
        app.parse(argc, argv);
    } catch (const CLI::CallForHelp& help) {
        return app.exit(help);
    } catch (const CLI::CallForVersion& version) {
        return app.exit(version);
    } catch (const CLI::ParseError& error) {
        return usage_error(explained(error, app, argc, argv));
    }
    try {
        return dispatch(app, declared, quiet);
    } catch (const std::bad_alloc&) {
        fmt::print(stderr, "ascertain: out of memory\n");
        return kExitInternal;
    } catch (const std::exception& error) {
        fmt::print(stderr,
                   "ascertain: internal error: {}; please report it with the command line\n",
                   error.what());
        return kExitInternal;
    }
}

}  // namespace ascertain::app
