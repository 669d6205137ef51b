#include "app/prove/options.hpp"

#include <CLI/CLI.hpp>
#include <map>

#include "app/command.hpp"

namespace ascertain::app {

void add_prove_flags(CLI::App& flags, ProveOptions& options) {
    const std::map<std::string, ProofDepth> depths{{"both", ProofDepth::kQuickThenStandard},
                                                   {"quick", ProofDepth::kQuick},
                                                   {"standard", ProofDepth::kStandard}};
    flags.add_option("--defects", options.defects,
                     "Defect file, or the folder they stand in; default: data/defects");
    flags.add_flag("--healthy", options.healthy, "Healthy variants only: nothing may alarm");
    flags
        .add_flag("--limits", options.limits,
                  "Detection limits only: how small a fault of each kind the operator checks of "
                  "the quick profile still see")
        ->excludes("--healthy");
    flags.add_option("--variants", options.variants,
                     "Folder of healthy variants; default: data/variants");
    flags.add_option("--variant", options.variant,
                     "Only these healthy variants: a file's name without .toml, or \"healthy\", "
                     "the plain chip; * for any characters");
    flags
        .add_option("--seeds", options.seeds,
                    "Runs of every healthy variant, each with a seed of its own; default: 1, with "
                    "--healthy 25")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000000}));
    flags.add_option("--only", options.only,
                     "Only these defects: an id, with * for any characters, @class or @plane");
    flags
        .add_option("--sample", options.sample,
                    "So many of the selected defects, drawn by --seed; for continuous integration")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000000}));
    flags.add_option("--seed", options.seed, "Seed of everything random")
        ->check(CLI::Range(std::uint64_t{0}, (std::uint64_t{1} << 53) - 1));
    flags
        .add_option("--profile", options.depth,
                    "quick, standard, or both: standard for what quick missed; default: both")
        ->transform(CLI::CheckedTransformer(depths))
        ->type_name("quick|standard|both");
    flags
        .add_option("--jobs", options.jobs,
                    "Chips measured at once, one processor each; default: all processors")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1024}));
    flags.add_flag("--all-checks", options.all_checks,
                   "Do not stop at the first catch: every check that fails is recorded");
    flags.add_flag("--write-proofs", options.write_proofs,
                   "Renew data/proofs and docs/detection.md; with --all-checks, over everything; "
                   "with --limits or --healthy those there");
    add_format_flag(flags, options.format);
    flags.add_option("--out", options.out, "Directory that keeps every result as it comes");
    flags.add_flag("--resume", options.resume, "Go on with what --out has");
}

}  // namespace ascertain::app
