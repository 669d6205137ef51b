#include "app/qualify/options.hpp"

#include <CLI/CLI.hpp>
#include <map>

namespace ascertain::app {

void add_qualify_flags(CLI::App& flags, QualifyOptions& options) {
    const std::map<std::string, checks::Profile> profiles{{"quick", checks::Profile::kQuick},
                                                          {"standard", checks::Profile::kStandard},
                                                          {"full", checks::Profile::kFull}};
    flags.add_option("CAMPAIGN", options.inputs.campaign,
                     "Campaign file; default: data/campaigns/first-look.toml");
    flags.add_option("--model", options.inputs.model,
                     "config.json, or its folder, in place of the campaign's");
    flags.add_option("--device", options.devices,
                     "Device to measure: cpu, cuda:0, npu:3 …; repeatable; default: auto");
    flags
        .add_option("--ranks", options.ranks,
                    "Processes that are asked together, dealt out over the devices; default: one "
                    "per device")
        ->check(CLI::Range(std::int64_t{1}, std::int64_t{1024}));
    flags
        .add_option("--profile", options.profile,
                    "quick (3 min), standard (30 min) or full; quick cannot qualify")
        ->transform(CLI::CheckedTransformer(profiles))
        ->type_name("quick|standard|full");
    flags.add_flag("--resume", options.resume, "Go on with the run in --out");
    flags
        .add_option("--rung", options.rung,
                    "How much hardware the verdict speaks of: device, node, domain (scale-up), "
                    "eighth (of the fleet) or fleet (docs/ladder.md)")
        ->check(CLI::IsMember({"device", "node", "domain", "eighth", "fleet"}))
        ->type_name("RUNG");
    flags
        .add_option("--reuse", options.reuse,
                    "Take over the answers of an earlier run, such as a lower rung's, where "
                    "question, software and device are the same")
        ->excludes("--resume");
    flags.add_option("--out", options.out,
                     "Directory for the evidence; default: evidence/<campaign>-<time>");
    flags
        .add_option("--seed", options.seed,
                    "Seed of everything random; the same seed asks the same questions")
        ->check(CLI::Range(std::uint64_t{0}, (std::uint64_t{1} << 53) - 1));
    flags.add_option("--only", options.only,
                     "Ask only these: an id, a beginning, a*wildcard, @question or @family");
    flags.add_option("--skip", options.skip,
                     "Do not ask these; what is required and skipped stays unproven");
    add_agent_flags(flags, options.agents);
    flags.add_option("--tp", options.wish.tp, "Plan with this tensor parallel size");
    flags.add_option("--pp", options.wish.pp, "Plan with this pipeline size");
    flags.add_option("--ep", options.wish.ep, "Plan with this expert parallel size");
    flags.add_option("--defects", options.defects,
                     "Rehearse: arm this defect file in the simulated devices (docs/defects.md)");
    flags.add_flag("--dry-run", options.dry_run,
                   "Print what would be asked, in which order, how long; write nothing");
}

}  // namespace ascertain::app
