// ascertain trial: the learn question alone, asked of a model of ours or of the user's own trainer.
#include <CLI/CLI.hpp>
#include <memory>

#include "app/commands/all.hpp"
#include "app/qualify/run.hpp"
#include "app/trainer/run.hpp"
#include "app/trial_save.hpp"

namespace ascertain::app {
Run declare_trial(CLI::App& flags) {
    auto options = std::make_shared<QualifyOptions>();
    auto trainer = std::make_shared<TrainerOptions>();
    options->command = flags.get_name();
    options->part = "trial";
    add_qualify_flags(flags, *options);
    add_trainer_flags(flags, *trainer);
    auto save = std::make_shared<std::string>();
    flags
        .add_option("--save", *save,
                    "Judge nothing: train the trial's model on the device, through the campaign's "
                    "stages, and write it into this folder as transformers reads it")
        ->type_name("DIR")
        ->excludes(flags.get_option("--command"));
    return [options, trainer, save, &flags](Terminal& terminal, const Home& home) {
        if (flags.get_option("--command")->count() > 0) {
            trainer->devices = options->devices;
            trainer->out = options->out;
            trainer->seed = options->seed;
            trainer->skip = options->skip;
            return try_trainer(terminal, home, *trainer);
        }
        if (brings_trainer_flags(flags)) {
            return terminal.complain(
                {ErrorCode::kUsage, "these flags speak of a trainer, and none is named: --command",
                 ""});
        }
        if (!save->empty()) return save_trial(terminal, home, *options, *save);
        return qualify(terminal, home, *options);
    };
}

}  // namespace ascertain::app
