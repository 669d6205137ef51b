// ascertain qualify: every question that this machine can answer.
#include <CLI/CLI.hpp>
#include <memory>

#include "app/commands/all.hpp"
#include "app/qualify/run.hpp"

namespace ascertain::app {

Run declare_qualify(CLI::App& flags) {
    auto options = std::make_shared<QualifyOptions>();
    options->command = flags.get_name();
    add_qualify_flags(flags, *options);
    return [options](Terminal& terminal, const Home& home) {
        return qualify(terminal, home, *options);
    };
}

}  // namespace ascertain::app
