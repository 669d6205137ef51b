// ascertain explain CHECK|STATUS|DEFECT.
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <memory>

#include "app/commands/all.hpp"
#include "app/exit_codes.hpp"
#include "app/files.hpp"
#include "app/names.hpp"
#include "app/prove/catalogue.hpp"
#include "app/prove/shipped.hpp"
#include "app/qualify/conclude.hpp"
#include "base/text.hpp"
#include "measure/checks/trainer.hpp"
#include "measure/qualification/filter.hpp"

namespace ascertain::app {
namespace {

struct StatusText {
    std::string_view name;
    std::string_view meaning;
};

constexpr std::array kStatuses{
    StatusText{"UNTESTED",
               "Never reached: the value every check starts with. Required: INCONCLUSIVE."},
    StatusText{"PASSED", "Ran, met its bound, and its control shows that it could have failed."},
    StatusText{"FAILED",
               "Ran and missed its bound, again on another seed. Required: NOT QUALIFIED."},
    StatusText{"FLAKY",
               "Met and missed its bound on the same question. Numerics: NOT QUALIFIED; timing: "
               "INCONCLUSIVE."},
    StatusText{
        "MISTRUSTED",
        "Met its bound, but nothing shows that it could have failed, or the samples are too few. "
        "Required: INCONCLUSIVE."},
    StatusText{"UNSUPPORTED",
               "The device says it does not offer this. In the training path: NOT QUALIFIED."},
    StatusText{
        "SKIPPED",
        "Did not run, for the reason given. A skip explains, it never excuses: INCONCLUSIVE."},
    StatusText{"TIMED_OUT",
               "No answer by the deadline. Twice, while the control completes: NOT QUALIFIED."},
    StatusText{"DEVICE_LOST", "The device left and did not come back. Twice: NOT QUALIFIED."},
    StatusText{"CRASHED", "The worker died. Twice, while the control completes: NOT QUALIFIED."},
    StatusText{"HARNESS_ERROR", "Our fault. INCONCLUSIVE, and exit code 70."},
    StatusText{
        "WAIVED",
        "A named person accepted it until a date. Counts as passed, listed first in the report."},
};

std::vector<std::string> known_names(const std::vector<CataloguedDefect>& defects) {
    std::vector<std::string> names;
    for (const auto& defect : defects) names.push_back(defect.id);
    for (const auto& check : checks::all()) names.emplace_back(check.id);
    for (const auto& check : checks::of_trainer()) names.emplace_back(check.id);
    for (const auto& status : kStatuses) names.emplace_back(status.name);
    return names;
}

// The criterion files that speak of a check, as they are: bound, source, derivation.
void print_criteria(Terminal& terminal, const Home& home, std::string_view id) {
    const auto files = files_in(home.data("criteria"), ".toml");
    if (!files) return;
    for (const auto& path : *files) {
        const auto text = read_file(path, 1u << 20);
        if (!text || text->find("\"" + std::string(id)) == std::string::npos) continue;
        terminal.print(fmt::format("\nCriteria ({}):\n{}", path, *text));
    }
}

// The shipped proofs of the checks that caught it.
void print_catchers(const Terminal& terminal, const judge::Proofs& proofs, const std::string& id) {
    bool caught = false;
    for (const auto& proof : proofs) {
        if (std::ranges::find(proof.caught, id) == proof.caught.end()) continue;
        terminal.print(fmt::format("  caught by: {} (proof:{})", proof.check, proof.hash()));
        caught = true;
    }
    if (!caught)
        terminal.print(
            "  caught by: no check, as far as the shipped proofs go (docs/detection.md)");
}

void print_defect(const Terminal& terminal, const judge::Proofs& proofs,
                  const CataloguedDefect& defect) {
    terminal.print(fmt::format("{}\n  {}\n  class: {}   plane: {}   defined at: {}\n  seen: {}",
                               defect.id, defect.summary, defect.family, defect.plane, defect.place,
                               defect.source));
    terminal.print(
        fmt::format("  remedy: {}", defect.remedy.empty() ? "none known" : defect.remedy));
    if (!defect.not_expressible.empty()) {
        terminal.print(fmt::format("  not expressible: {}", defect.not_expressible));
        return;
    }
    if (!defect.operators.empty()) terminal.print(fmt::format("  sits in: {}", defect.operators));
    if (const auto waits = waits_for(defect.plane); !waits.empty()) {
        terminal.print("  " + waits);
    }
    print_catchers(terminal, proofs, defect.id);
}

// What proves that the check can fail, beyond its control.
void print_proof(const Terminal& terminal, const judge::Proofs& proofs, std::string_view check) {
    const auto* proof = judge::proof_of(proofs, check);
    if (proof == nullptr) {
        terminal.print("  proof: none that still holds; `ascertain prove` makes them");
        return;
    }
    terminal.print(fmt::format("  proof:{}: it caught {} planted defects: {}", proof->hash(),
                               proof->caught.size(), fmt::join(proof->caught, ", ")));
}

int run(Terminal& terminal, const Home& home, const std::string& subject) {
    const auto status = std::ranges::find(kStatuses, subject, &StatusText::name);
    if (status != kStatuses.end()) {
        terminal.print(fmt::format("{}: {}", status->name, status->meaning));
        return kExitDone;
    }
    const auto criteria = read_criteria(home);
    if (!criteria) return terminal.complain(criteria.error());
    const auto proofs = shipped_proofs(home, *criteria);
    const auto* check = checks::find(subject);
    if (check == nullptr) {
        const auto defects = read_defects(home.data("defects"));
        const auto known = defects ? *defects : std::vector<CataloguedDefect>{};
        const auto defect = std::ranges::find(known, subject, &CataloguedDefect::id);
        if (defect != known.end()) {
            print_defect(terminal, proofs, *defect);
            return kExitDone;
        }
        terminal.complain({ErrorCode::kUsage,
                           fmt::format("\"{}\" is neither a check nor a status nor a catalogued "
                                       "defect{}; `ascertain list` "
                                       "prints the checks",
                                       subject, did_you_mean(subject, known_names(known))),
                           ""});
        return kExitUsage;
    }
    terminal.print(fmt::format(
        "{}\n  {}\n  question: {}   family: {}   from profile: {}   required: {}   control: {}",
        check->id, check->asks, qualification::name_of(check->question), check->family,
        name_of(check->profile_min), check->required ? "yes" : "no",
        check->tamper.empty() ? "none" : check->tamper));
    print_proof(terminal, proofs, check->id);
    print_criteria(terminal, home, check->id);
    return kExitDone;
}

}  // namespace

Run declare_explain(CLI::App& flags) {
    auto subject = std::make_shared<std::string>();
    flags
        .add_option("CHECK|STATUS|DEFECT", *subject, "Such as ops.numerics, MISTRUSTED, or ASC-008")
        ->required();
    return
        [subject](Terminal& terminal, const Home& home) { return run(terminal, home, *subject); };
}

}  // namespace ascertain::app
