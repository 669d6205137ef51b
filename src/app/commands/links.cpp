// ascertain links: what is sent between ranks, alone.
#include <CLI/CLI.hpp>
#include <memory>

#include "app/commands/all.hpp"
#include "app/qualify/run.hpp"

namespace ascertain::app {

Run declare_links(CLI::App& flags) {
    auto options = std::make_shared<QualifyOptions>();
    options->command = "links";
    options->part = "links";
    options->profile = checks::Profile::kStandard;  // the least that can qualify
    add_qualify_flags(flags, *options);
    add_format_flag(flags, options->format);
    return [options](Terminal& terminal, const Home& home) {
        const bool several = options->ranks > 1 || options->devices.size() > 1;
        if (!several) {
            return terminal.complain(
                {ErrorCode::kUsage,
                 "links needs two ranks at least: name several devices with --device, or several "
                 "processes on one with --ranks",
                 ""});
        }
        return qualify(terminal, home, *options);
    };
}

}  // namespace ascertain::app
