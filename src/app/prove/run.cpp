#include "app/prove/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <thread>

#include "app/exit_codes.hpp"
#include "app/files.hpp"
#include "app/interrupt.hpp"
#include "app/prove/bench.hpp"
#include "app/prove/keys.hpp"
#include "app/prove/limits.hpp"
#include "app/prove/log.hpp"
#include "app/prove/page.hpp"
#include "app/prove/print.hpp"
#include "app/prove/shipped.hpp"
#include "app/qualify/conclude.hpp"
#include "base/text.hpp"
#include "base/units.hpp"

namespace ascertain::app {
namespace {

using checks::Profile;

constexpr std::int64_t kHealthySeeds = 25;

const char* name_of_profile(Profile profile) {
    return profile == Profile::kQuick ? "quick" : "standard";
}

// One chip to be shown to the checks: a defective one, or a healthy one at a seed of its own.
struct Job {
    const CataloguedDefect* defect = nullptr;
    const HealthyVariant* variant = nullptr;
    std::uint64_t seed = 0;
};

class Proof {
public:
    Proof(Terminal& terminal, const Home& home, const ProveOptions& options,
          const judge::CriteriaSet& criteria, std::string scratch, ProofLog& log)
        : terminal_(terminal),
          options_(options),
          log_(log),
          bench_{home, criteria, answers_, std::move(scratch), [] { return interrupted().load(); }},
          baselines_(bench_, options.seed) {}

    // What every file says is read by the chip itself before anything runs.
    Result<void> check_files(const std::vector<CataloguedDefect>& defects,
                             const std::vector<HealthyVariant>& variants);
    Result<void> run(const std::vector<CataloguedDefect>& defects,
                     const std::vector<HealthyVariant>& variants);
    Result<void> run_limits();
    ProofResults take() { return std::move(results_); }

private:
    struct Begun {
        std::vector<Profile> left;
        std::optional<DefectResult> result;
    };
    [[nodiscard]] Begun begun(const CataloguedDefect& defect) const;
    Result<void> do_job(const Job& job);
    Result<void> do_healthy(const Job& job);
    Result<void> do_defect(const CataloguedDefect& defect);
    Result<std::optional<DefectResult>> show(const CataloguedDefect& defect,
                                             const std::string& file, Profile profile,
                                             const DefectResult* earlier);
    // What a session works out counts for the time that is left; what the log had does not.
    void keep(DefectResult result, bool measured);
    void keep(HealthyResult result, bool measured);
    [[nodiscard]] std::vector<Profile> profiles() const;
    [[nodiscard]] std::string time_left() const;
    [[nodiscard]] std::size_t threads() const;

    Terminal& terminal_;
    const ProveOptions& options_;
    ProofLog& log_;
    ReferenceAnswers answers_;
    ProofBench bench_;
    Baselines baselines_;
    std::mutex mutex_;  // of results and terminal
    ProofResults results_;
    std::size_t jobs_ = 0;
    std::size_t done_ = 0;
    std::size_t measured_ = 0;  // of these, in this session
    device::SteadyClock clock_;
    Seconds began_ = clock_.now();
};

Result<void> Proof::check_files(const std::vector<CataloguedDefect>& defects,
                                const std::vector<HealthyVariant>& variants) {
    const ProofProfile nothing{};
    std::set<std::string> seen;
    const auto arm = [&](const Arming& arming) -> Result<void> {
        const auto armed = expose(bench_, nothing, arming, {});
        return armed ? Result<void>() : Result<void>(armed.error());
    };
    for (const auto& defect : defects) {
        const std::string file = defect.place.substr(0, defect.place.rfind(':'));
        if (!seen.insert(file).second) continue;
        if (const auto armed = arm({.defects = file}); !armed) return armed;
    }
    for (const auto& variant : variants) {
        if (variant.path.empty()) continue;
        if (const auto armed = arm({.variant = variant.path}); !armed) return armed;
    }
    return {};
}

// What joins chips shows only where there are several.
ProofSetting setting_of(const CataloguedDefect& defect) {
    return defect.plane == "fabric" ? ProofSetting::kFabric : ProofSetting::kChip;
}

std::vector<Profile> Proof::profiles() const {
    switch (options_.depth) {
        case ProofDepth::kQuick: return {Profile::kQuick};
        case ProofDepth::kStandard: return {Profile::kStandard};
        case ProofDepth::kQuickThenStandard: break;
    }
    return {Profile::kQuick, Profile::kStandard};
}

Result<void> Proof::run(const std::vector<CataloguedDefect>& defects,
                        const std::vector<HealthyVariant>& variants) {
    std::vector<Job> jobs;
    for (const auto& defect : defects) jobs.push_back({.defect = &defect});
    const std::int64_t seeds =
        options_.seeds > 0 ? options_.seeds : (options_.healthy ? kHealthySeeds : 1);
    // All variants at one seed before the next seed: they share what the reference answers.
    for (std::int64_t k = 0; k < seeds; ++k) {
        for (const auto& variant : variants) {
            jobs.push_back(
                {.variant = &variant, .seed = options_.seed + static_cast<std::uint64_t>(k)});
        }
    }
    jobs_ = jobs.size();
    const auto ran = in_parallel(jobs.size(), threads(), [&](std::size_t index) -> Result<void> {
        if (interrupted()) return Error{ErrorCode::kInterrupted, "interrupted", {}};
        return do_job(jobs[index]);
    });
    const auto place_of = [&](const std::string& id) {
        return std::ranges::find(defects, id, &CataloguedDefect::id) - defects.begin();
    };
    std::ranges::sort(results_.defects, {},
                      [&](const auto& result) { return place_of(result.id); });
    std::ranges::sort(results_.healthy, [](const auto& left, const auto& right) {
        return std::tie(left.variant, left.seed) < std::tie(right.variant, right.seed);
    });
    if (ran) return {};
    if (ran.error().code != ErrorCode::kInterrupted) return ran.error();
    results_.interrupted = fmt::format(
        "Interrupted after {} of {} chips{}", done_, jobs_,
        options_.out.empty() ? "; with --out DIR the next run could go on" : "; --resume goes on");
    return {};
}

std::size_t Proof::threads() const {
    if (options_.jobs > 0) return static_cast<std::size_t>(options_.jobs);
    return std::max<std::size_t>(1, std::thread::hardware_concurrency());
}

Result<void> Proof::run_limits() {
    const auto kinds = fault_kinds();
    jobs_ = kinds.size();
    std::vector<DetectionLimit> limits(kinds.size());
    const auto baseline = baselines_.of(Profile::kQuick, ProofSetting::kChip);
    if (!baseline) return baseline.error();
    const auto ran = in_parallel(jobs_, threads(), [&](std::size_t index) -> Result<void> {
        auto limit = find_limit(bench_, **baseline, options_.seed, kinds[index]);
        if (!limit) return limit.error();
        limits[index] = *std::move(limit);
        const std::lock_guard lock(mutex_);
        ++done_;
        ++measured_;
        terminal_.say(fmt::format("[{}/{}] {}: {} ({}{})", done_, jobs_, limits[index].size,
                                  words_of(limits[index]), format_duration({limits[index].seconds}),
                                  time_left()));
        return {};
    });
    if (!ran && ran.error().code != ErrorCode::kInterrupted) return ran.error();
    std::erase_if(limits, [](const auto& limit) { return limit.chips == 0; });
    results_.limits = std::move(limits);
    if (!ran) results_.interrupted = fmt::format("Interrupted after {} of {} kinds", done_, jobs_);
    return {};
}

Result<void> Proof::do_job(const Job& job) {
    return job.defect != nullptr ? do_defect(*job.defect) : do_healthy(job);
}

void add_exposure(HealthyResult& result, const Exposure& exposure) {
    std::ranges::move(failures_of(exposure), std::back_inserter(result.alarms));
    for (const auto& check : exposure.checks) {
        if (check.status == judge::Status::kHarnessError) {
            result.broken.push_back(fmt::format("{}: {}", check.id, check.reason));
        }
    }
    result.seconds += exposure.duration.count;
}

Result<void> Proof::do_healthy(const Job& job) {
    const Profile profile =
        options_.depth == ProofDepth::kStandard ? Profile::kStandard : Profile::kQuick;
    if (const auto* known = log_.find(job.variant->name, job.seed, name_of_profile(profile))) {
        keep(*known, false);
        return {};
    }
    HealthyResult result;
    result.variant = job.variant->name;
    result.seed = job.seed;
    result.profile = name_of_profile(profile);
    for (const ProofSetting setting : {ProofSetting::kChip, ProofSetting::kFabric}) {
        const auto baseline = baselines_.of(profile, setting);
        if (!baseline) return baseline.error();
        const auto exposure = expose(bench_, (*baseline)->profile, {.variant = job.variant->path},
                                     {job.seed, false, {}});
        if (!exposure) return exposure.error();
        if (exposure->interrupted) return Error{ErrorCode::kInterrupted, "interrupted", {}};
        add_exposure(result, *exposure);
    }
    if (const auto kept = log_.keep(result); !kept) return kept;
    keep(std::move(result), true);
    return {};
}

// What an earlier session found of `defect`, and which profiles remain to be shown. One that was
// interrupted between the two, or ran at quick alone, goes on where it stopped.
Proof::Begun Proof::begun(const CataloguedDefect& defect) const {
    Begun begun{profiles(), {}};
    if (const auto* known = log_.find(defect.id)) {
        const auto reached = std::ranges::find_if(
            begun.left, [&](Profile one) { return known->profile == name_of_profile(one); });
        if (known->caught || !known->expressible) {
            begun.left.clear();
        } else if (reached != begun.left.end()) {
            begun.left.erase(begun.left.begin(), reached + 1);
        } else {
            return begun;
        }
        begun.result = *known;
    } else if (defect.document.empty() || !waits_for(defect.plane).empty()) {
        begun = {{}, not_shown(defect)};
    }
    return begun;
}

Result<void> Proof::do_defect(const CataloguedDefect& defect) {
    auto [left, result] = begun(defect);
    const std::string file = fmt::format("{}/{}.toml", bench_.scratch, short_hash(defect.id));
    if (!left.empty()) {
        if (const auto written = write_file(file, defect.document); !written) return written;
    }
    const bool measures = !left.empty();
    for (const Profile profile : left) {
        auto shown = show(defect, file, profile, result ? &*result : nullptr);
        if (!shown) return shown.error();
        if (!*shown) return Error{ErrorCode::kInterrupted, "interrupted", {}};
        result = *std::move(*shown);
        if (const auto kept = log_.keep(*result); !kept) return kept;
        if (result->caught) break;
    }
    keep(*std::move(result), measures);
    return {};
}

// Nothing when interrupted.
Result<std::optional<DefectResult>> Proof::show(const CataloguedDefect& defect,
                                                const std::string& file, Profile profile,
                                                const DefectResult* earlier) {
    const auto baseline = baselines_.of(profile, setting_of(defect));
    if (!baseline) return baseline.error();
    const auto& [checks, creditable, ignored] = **baseline;
    const auto exposure = expose(bench_, checks, {.defects = file},
                                 {options_.seed, !options_.all_checks, creditable});
    if (!exposure) return exposure.error();
    if (exposure->interrupted) return std::optional<DefectResult>();
    return std::optional(
        result_of(defect, *exposure, creditable, name_of_profile(profile), earlier));
}

std::string Proof::time_left() const {
    if (measured_ == 0 || done_ == jobs_) return "";
    const double each = (clock_.now() - began_).count / static_cast<double>(measured_);
    return fmt::format(", about {} left",
                       format_duration({each * static_cast<double>(jobs_ - done_)}));
}

void Proof::keep(DefectResult result, bool measured) {
    const std::lock_guard lock(mutex_);
    ++done_;
    measured_ += measured ? 1 : 0;
    terminal_.say(fmt::format("[{}/{}] {} {} ({}{})", done_, jobs_, result.id, outcome_of(result),
                              format_duration({result.seconds}), time_left()));
    results_.defects.push_back(std::move(result));
}

void Proof::keep(HealthyResult result, bool measured) {
    const std::lock_guard lock(mutex_);
    ++done_;
    measured_ += measured ? 1 : 0;
    terminal_.say(fmt::format("[{}/{}] {} at seed {}: {} ({}{})", done_, jobs_, result.variant,
                              result.seed, result.alarms.empty() ? "silent" : "ALARM",
                              format_duration({result.seconds}), time_left()));
    results_.healthy.push_back(std::move(result));
}

struct Subjects {
    std::vector<CataloguedDefect> defects;
    std::vector<HealthyVariant> variants;
};

Result<Subjects> subjects_of(const Home& home, const ProveOptions& options) {
    Subjects subjects;
    if (options.limits) return subjects;
    if (!options.healthy) {
        const auto all =
            read_defects(options.defects.empty() ? home.data("defects") : options.defects);
        if (!all) return all.error();
        auto chosen = select_defects(*all, options.only, options.sample, options.seed);
        if (!chosen) return chosen.error();
        subjects.defects = *std::move(chosen);
    }
    const bool narrowed = !options.only.empty() || options.sample > 0;
    if (options.healthy || options.seeds > 0 || !options.variant.empty() || !narrowed) {
        auto variants = read_healthy_variants(home, options.variants);
        if (!variants) return variants.error();
        auto chosen = select_variants(*variants, options.variant);
        if (!chosen) return chosen.error();
        subjects.variants = *std::move(chosen);
    }
    return subjects;
}

Json question_of(const ProveOptions& options, const judge::CriteriaSet& criteria) {
    return {{"seed", options.seed},
            {"standard_only", options.depth == ProofDepth::kStandard},
            {"all_checks", options.all_checks},
            {"checks_hash", checks_hash()},
            {"criteria_hash", criteria.hash()}};
}

Result<ProofResults> prove_all(Terminal& terminal, const Home& home, const ProveOptions& options) {
    const device::SteadyClock clock;
    const Seconds began = clock.now();
    const auto criteria = read_criteria(home);
    if (!criteria) return criteria.error();
    const auto subjects = subjects_of(home, options);
    if (!subjects) return subjects.error();
    auto scratch = ScratchFolder::make();
    if (!scratch) return scratch.error();
    auto log = ProofLog::open(options.out, options.resume, question_of(options, *criteria));
    if (!log) return log.error();
    Proof proof(terminal, home, options, *criteria, (*scratch)->path(), **log);
    const auto readable = proof.check_files(subjects->defects, subjects->variants);
    if (!readable) return readable.error();
    const auto ran =
        options.limits ? proof.run_limits() : proof.run(subjects->defects, subjects->variants);
    if (!ran) return ran.error();
    ProofResults results = proof.take();
    results.checks_hash = checks_hash();
    results.criteria_hash = criteria->hash();
    results.seconds = (clock.now() - began).count;
    results.whole = !options.healthy && !options.limits && options.defects.empty() &&
                    options.only.empty() && options.sample == 0;
    if (options.write_proofs && results.interrupted.empty()) {
        const auto written = options.limits ? write_limits(detection_page(home), results)
                             : options.healthy
                                 ? write_healthy(detection_page(home), results)
                                 : write_shipped(home, *criteria, subjects->defects, results);
        if (!written) return written.error();
    }
    return results;
}

}  // namespace

int prove(Terminal& terminal, const Home& home, const ProveOptions& options) {
    if (options.resume && options.out.empty()) {
        return terminal.complain(
            {ErrorCode::kUsage, "--resume needs --out DIR, the proof to go on with", ""});
    }
    if (options.write_proofs && !options.limits && !options.healthy &&
        !(options.all_checks && options.only.empty() && options.sample == 0)) {
        return terminal.complain({ErrorCode::kUsage,
                                  "--write-proofs needs --all-checks, and neither --only nor "
                                  "--sample: what ships must be whole",
                                  ""});
    }
    const auto results = prove_all(terminal, home, options);
    if (!results) return terminal.complain(results.error());
    if (!options.out.empty()) {
        const auto written =
            write_file(options.out + "/proof.json", to_json(*results).dump(2) + "\n");
        if (!written) return terminal.complain(written.error());
    }
    print_results(terminal, *results, options.format);
    if (!results->interrupted.empty()) return kExitInterrupted;
    const bool alarmed = std::ranges::any_of(
        results->healthy, [](const auto& result) { return !result.alarms.empty(); });
    return alarmed ? kExitNotQualified : kExitDone;
}

}  // namespace ascertain::app
