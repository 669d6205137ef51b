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
    options->part = "@compute";
    add_qualify_flags(flags, *options);
    add_format_flag(flags, options->format);
    flags.add_option("--cases", options->cases,
                     "Replay the operator cases of this file (of libascertain_recorder.so, say) "
                     "instead of the model's");
    flags.add_option("--case", options->one_case,
                     "Replay one operator case: a file, or the id of one of the model's or of "
                     "--cases; --seed is then the seed of its inputs");
    flags.add_option("--module", options->module,
                     "Judge this module of yours, eager and compiled, and every operator it calls, "
                     "instead of the model's: FILE.py:FUNCTION, which returns (module, batch) or "
                     "(module, batch, loss); needs the Python that has torch (ASCERTAIN_PYTHON)");
    flags.add_flag("--autocast", options->autocast,
                   "Run the step as fp32 modules under torch's autocast, not with our own casts");
    return [options](Terminal& terminal, const Home& home) {
        if (!options->module.empty() && !options->cases.empty()) {
            terminal.complain(
                {ErrorCode::kUsage, "--module has cases of its own: leave out --cases", ""});
            return kExitUsage;
        }
        return qualify(terminal, home, *options);
    };
}

}  // namespace ascertain::app
