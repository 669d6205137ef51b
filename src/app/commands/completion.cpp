// ascertain completion bash: names of commands and flags, taken from the very declarations.
#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "app/commands/all.hpp"
#include "app/exit_codes.hpp"

namespace ascertain::app {
namespace {

std::string flags_of(const CLI::App& command) {
    std::string words;
    for (const auto* sub : command.get_subcommands({})) words += sub->get_name() + " ";
    for (const auto* option : command.get_options()) {
        for (const auto& name : option->get_lnames()) words += "--" + name + " ";
    }
    return words;
}

std::string bash_script(const CLI::App& root) {
    std::string cases;
    std::string names;
    for (const auto* command : root.get_subcommands({})) {
        names += command->get_name() + " ";
        cases += fmt::format("    {}) words=\"{}\" ;;\n", command->get_name(), flags_of(*command));
    }
    return fmt::format(
        "_ascertain() {{\n"
        "  local words=\"{}\"\n"
        "  [ \"$COMP_CWORD\" -gt 1 ] && case \"${{COMP_WORDS[1]}}\" in\n{}  esac\n"
        "  COMPREPLY=($(compgen -W \"$words\" -- \"${{COMP_WORDS[COMP_CWORD]}}\"))\n"
        "  [ -n \"${{COMPREPLY[*]}}\" ] || COMPREPLY=($(compgen -f -- "
        "\"${{COMP_WORDS[COMP_CWORD]}}\"))\n"
        "}}\n"
        "complete -F _ascertain ascertain ./ascertain",
        names, cases);
}

}  // namespace

Run declare_completion(CLI::App& flags) {
    flags.add_option("SHELL", "bash")->required()->check(CLI::IsMember({"bash"}));
    return [&flags](Terminal& terminal, const Home&) {
        terminal.print(bash_script(*flags.get_parent()));
        return kExitDone;
    };
}

}  // namespace ascertain::app
