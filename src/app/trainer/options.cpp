#include "app/trainer/options.hpp"

#include <CLI/CLI.hpp>

namespace ascertain::app {
namespace {

constexpr const char* kGroup = "Your own trainer";

}  // namespace

bool brings_trainer_flags(const CLI::App& flags) {
    const auto given = flags.get_options([](const CLI::Option* option) {
        return option->get_group() == kGroup && option->count() > 0;
    });
    return !given.empty();
}

void add_trainer_flags(CLI::App& flags, TrainerOptions& options) {
    flags
        .add_option("--command", options.command,
                    "Try your trainer instead of ours: a shell command, run here, that reads "
                    "ASCERTAIN_DEVICE and ASCERTAIN_SEED and writes below ASCERTAIN_OUT")
        ->group(kGroup);
    flags
        .add_option("--metrics", options.metrics,
                    "JSON-lines file with step, loss, grad_norm, eval_loss; relative to "
                    "ASCERTAIN_OUT")
        ->group(kGroup);
    flags
        .add_option("--log-pattern", options.log_pattern,
                    "In place of a file: a pattern for its output, with groups (?P<step>…), "
                    "(?P<loss>…), (?P<grad_norm>…), (?P<held_out>…)")
        ->group(kGroup);
    flags
        .add_option("--loss-name", options.loss_names,
                    "Name of the held-out or training loss in --metrics, before the usual ones")
        ->group(kGroup);
    flags
        .add_option("--resume-command", options.resume_command,
                    "What goes on after kill -9; default: the same command, with "
                    "ASCERTAIN_RESUME=1")
        ->group(kGroup);
    flags
        .add_option("--reference-command", options.reference_command,
                    "The same training on hardware you trust; with --reference-device as its "
                    "ASCERTAIN_DEVICE")
        ->group(kGroup);
    flags.add_option("--reference-device", options.reference_device, "Default: cpu")->group(kGroup);
    flags
        .add_option("--reference-metrics", options.reference_metrics,
                    "Or curves recorded there: one file per run; repeatable")
        ->group(kGroup);
    flags
        .add_option("--replicas", options.replicas,
                    "Runs on the device and on the reference, each with a seed of its own; "
                    "equivalence needs 4")
        ->check(CLI::Range(std::size_t{1}, std::size_t{1000}))
        ->group(kGroup);
    flags
        .add_option("--margin", options.margin_percent,
                    "Difference of the final loss that does not matter, in percent; default 0.5")
        ->check(CLI::Range(1e-6, 100.0))
        ->group(kGroup);
    flags.add_option("--for", options.time_limit, "Longest that one run may take; default 1h")
        ->group(kGroup);
    flags
        .add_option("--silence", options.silence,
                    "Longest without a new metric before it counts as hung; default 10m")
        ->group(kGroup);
}

}  // namespace ascertain::app
