// ascertain qualify, and its part trial, which asks the learn question alone.
#include <CLI/CLI.hpp>
#include <memory>

#include "app/commands/all.hpp"
#include "app/exit_codes.hpp"
#include "app/qualify/run.hpp"

namespace ascertain::app {
namespace {

// `group` is the question that is asked when the user selects nothing; empty: all.
Run declare(CLI::App& flags, const char* group) {
    auto options = std::make_shared<QualifyOptions>();
    options->command = flags.get_name();
    add_qualify_flags(flags, *options);
    return [options, group](Terminal& terminal, const Home& home) {
        if (options->only.empty() && *group != '\0') options->only = {group};
        if (options->resume && options->out.empty()) {
            terminal.complain(
                {ErrorCode::kUsage, "--resume needs --out DIR, the run to go on with", ""});
            return kExitUsage;
        }
        return qualify(terminal, home, *options);
    };
}

}  // namespace

Run declare_qualify(CLI::App& flags) {
    return declare(flags, "");
}
Run declare_trial(CLI::App& flags) {
    return declare(flags, "@learn");
}

}  // namespace ascertain::app
