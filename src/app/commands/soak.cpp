// ascertain soak: the model's step on every device, for as long as it is asked to.
#include <CLI/CLI.hpp>
#include <memory>
#include <string>

#include "app/commands/all.hpp"
#include "app/qualify/run.hpp"
#include "base/units.hpp"

namespace ascertain::app {

Run declare_soak(CLI::App& flags) {
    auto options = std::make_shared<QualifyOptions>();
    auto length = std::make_shared<std::string>("10m");
    options->command = "soak";
    options->part = "soak";
    options->profile = checks::Profile::kStandard;  // the least that can qualify
    add_qualify_flags(flags, *options);
    add_format_flag(flags, options->format);
    flags.add_option("--for", *length, "How long: 10m, 24h; evidence is written every ten minutes")
        ->type_name("DURATION")
        ->capture_default_str();
    return [options, length](Terminal& terminal, const Home& home) {
        const auto asked = parse_duration(*length);
        if (!asked) {
            return terminal.complain(
                {ErrorCode::kUsage, "--for: " + asked.error().message, *length});
        }
        if (!(asked->count >= 1.0 && asked->count <= 90.0 * kSecondsPerDay)) {
            return terminal.complain({ErrorCode::kUsage, "--for takes from 1 s to 90 d", *length});
        }
        options->soak = *asked;
        return qualify(terminal, home, *options);
    };
}

}  // namespace ascertain::app
