// A subcommand is one row of a table: its name, its one-line summary, and a function that declares
// its flags and returns what runs with them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "app/format.hpp"
#include "app/home.hpp"
#include "app/terminal.hpp"

namespace CLI {
class App;
}

namespace ascertain::app {

// Returns the exit code.
using Run = std::function<int(Terminal&, const Home&)>;

struct Command {
    std::string_view name;
    std::string_view summary;   // one line of `ascertain --help`
    std::string_view examples;  // below the flags of `ascertain NAME --help`
    Run (*declare)(CLI::App& flags);
};

// Every subcommand, in the order of `ascertain --help`.
[[nodiscard]] std::span<const Command> commands();

// Parses, runs, and returns the exit code; nothing escapes.
[[nodiscard]] int run_command_line(int argc, char** argv);

// Declares --format table|json|csv on `flags`, bound to `format`.
void add_format_flag(CLI::App& flags, Format& format);

}  // namespace ascertain::app
