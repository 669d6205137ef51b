// ascertain ops: the compute question alone; operator by operator, worst first.
#include <CLI/CLI.hpp>
#include <memory>

#include "app/commands/all.hpp"
#include "app/exit_codes.hpp"
#include "app/qualify/run.hpp"

namespace ascertain::app {
Run declare_ops(CLI::App& flags) {
    auto options = std::make_shared<QualifyOptions>();
    options->command = flags.get_name();
    add_qualify_flags(flags, *options);
    add_format_flag(flags, options->format);
    flags.add_option("--cases", options->cases,
                     "Replay the operator cases of this file (of libascertain_recorder.so, say) "
                     "instead of the model's");
    flags.add_option("--case", options->one_case,
                     "Replay one operator case: a file, or the id of one of the model's or of "
                     "--cases; --seed is then the seed of its inputs");
    flags.add_flag("--autocast", options->autocast,
                   "Run the step as fp32 modules under torch's autocast, not with our own casts");
    return [options](Terminal& terminal, const Home& home) {
        // Of given cases everything is asked that can be asked of an operator.
        if (options->only.empty() && !options->replays()) options->only = {"@compute"};
        if (options->resume && options->out.empty()) {
            terminal.complain(
                {ErrorCode::kUsage, "--resume needs --out DIR, the run to go on with", ""});
            return kExitUsage;
        }
        return qualify(terminal, home, *options);
    };
}

}  // namespace ascertain::app
