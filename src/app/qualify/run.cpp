#include "app/qualify/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "app/diagnose.hpp"
#include "app/endure/listing.hpp"
#include "app/exit_codes.hpp"
#include "app/interrupt.hpp"
#include "app/names.hpp"
#include "app/ops/listing.hpp"
#include "app/qualify/conclude.hpp"
#include "app/qualify/conversion.hpp"
#include "app/qualify/learnt.hpp"
#include "app/qualify/predictions.hpp"
#include "app/qualify/prepare.hpp"
#include "app/qualify/recorder.hpp"
#include "app/qualify/rung.hpp"
#include "app/qualify/session.hpp"
#include "decide/evidence/store.hpp"
#include "decide/judge/ladder.hpp"
#include "decide/report/operator_list.hpp"
#include "decide/report/table.hpp"
#include "measure/qualification/runner.hpp"
#include "predict/cost/cost_json.hpp"
#include "predict/goodput/projection_json.hpp"

namespace ascertain::app {
namespace fs = std::filesystem;
namespace {

// Past these no attempt begins; design of the profiles: docs/performance.md.
Seconds time_limit(checks::Profile profile) {
    switch (profile) {
        case checks::Profile::kQuick: return {180.0};
        case checks::Profile::kStandard: return {30.0 * kSecondsPerMinute};
        case checks::Profile::kFull: return {7.0 * kSecondsPerDay};
    }
    return {180.0};
}

constexpr int kHistories = 3072;

std::string default_directory(const std::string& campaign_path, const std::string& now) {
    std::string stamp = now.substr(0, 19);
    std::erase(stamp, ':');
    std::erase(stamp, '-');
    return fmt::format("evidence/{}-{}", fs::path(campaign_path).stem().string(), stamp);
}

// Of this rung and the next, before anything of them is measured.
Result<void> foretell_rungs(const Home& home, evidence::Store& store,
                            const Preparation& preparation, const QualifyOptions& options) {
    const auto input =
        projection_input(home, preparation.situation, preparation.book, preparation.stages);
    // Without a plan for the fleet there is no projection either, and the verdict says why.
    if (!input) return {};
    const Json campaign = campaign_json(preparation.situation, options);
    for (const auto& step : judge::steps_from(options.rung, campaign)) {
        for (const auto& prediction :
             rung_predictions(preparation.situation, preparation.book, preparation.stages,
                              input->failure.rate, {step.rung, step.devices, step.hours})) {
            const auto written = store.append("prediction", evidence::to_json(prediction));
            if (!written) return written.error();
        }
    }
    return {};
}

Result<void> write_foretold(evidence::Store& store, const Preparation& preparation) {
    for (const auto& stage : preparation.stages) {
        const auto written = store.append("plan", {{"stage", name_of(stage.stage.kind)},
                                                   {"document", cost::to_json(stage.search)}});
        if (!written) return written.error();
    }
    for (const auto& prediction : fleet_predictions(preparation.situation, preparation.stages)) {
        const auto written = store.append("prediction", evidence::to_json(prediction));
        if (!written) return written.error();
    }
    return {};
}

Result<void> write_required(evidence::Store& store, const Preparation& preparation,
                            const QualifyOptions& options) {
    evidence::RequiredSet required{std::string(name_of(options.profile)),
                                   options.rung,
                                   options.seed,
                                   {},
                                   preparation.plan.left_out,
                                   options.part_name()};
    for (const auto& item : preparation.plan.items) required.checks.push_back(to_evidence(item));
    const auto written = store.append("required", evidence::to_json(required));
    return written ? Result<void>{} : Result<void>{written.error()};
}

Result<qualification::RunSummary> run_checks(Terminal& terminal, evidence::Store& store,
                                             Preparation& preparation,
                                             const QualifyOptions& options,
                                             std::vector<qualification::Attempt> earlier) {
    Recorder recorder(store, terminal, preparation.criteria, preparation.plan, options);
    qualification::RunQuestion question;
    question.devices = preparation.crew.devices;
    question.reference = preparation.crew.reference();
    question.group = preparation.crew.ranks;
    question.seed = options.seed;
    question.seed_is_exact = options.replays();
    question.profile = options.profile;
    // What was asked to take so long may, with its control and a retry.
    question.time_limit = time_limit(options.profile) + options.soak * 2.0;
    question.reproduce =
        fmt::format("ascertain {} {}", options.command, preparation.situation.campaign.path);
    if (!options.module.empty()) question.reproduce += " --module " + options.module;
    question.earlier = std::move(earlier);
    const qualification::World world{
        *preparation.crew.pool,
        *preparation.crew.clock,
        recorder,
        [&](const checks::Definition&, const std::string& id, const Observation& observation) {
            return to_measure(judge::opinion(preparation.criteria, id, observation));
        },
        evidence::utc_now,
        [] { return interrupted().load(); }};
    return qualification::run_plan(preparation.plan, question, world);
}

Result<void> write_projection(const Home& home, evidence::Store& store,
                              const Preparation& preparation, const QualifyOptions& options) {
    const auto records = store.read_all();
    if (!records) return records.error();
    const auto interim = verdict_of(*records, preparation.criteria, preparation.proofs);
    if (!interim) return interim.error();
    const Measured measured = learnt_from(*records, *interim, options.rung);
    const auto months = forecast_months(home, preparation.situation, preparation.book,
                                        preparation.stages, measured, options.seed, kHistories);
    if (!months) {
        // Nothing fits, or a number is unknown: then there is no projection, and the verdict says
        // why.
        if (months.error().code == ErrorCode::kUnknownValue) return {};
        return months.error();
    }
    const Json step = cost::to_json(preparation.stages.front().search.plans.front().cost);
    const auto written =
        store.append("projection",
                     {{"document", goodput::to_json(*months, step, step.value("memory", Json()))}});
    return written ? Result<void>{} : Result<void>{written.error()};
}

Result<evidence::Store> open_store(const std::string& directory, bool resume) {
    const evidence::StoreOptions options{.now_utc = evidence::utc_now};
    return resume ? evidence::Store::open(directory, options)
                  : evidence::Store::create(directory, options);
}

// What an interrupted run has already answered, and the capture its plan was made from.
struct Earlier {
    Json capture;
    std::vector<qualification::Attempt> attempts;
};

Result<Earlier> read_earlier(const evidence::Store& store) {
    Earlier earlier;
    const auto records = store.read_all();
    if (!records) return records.error();
    for (const auto& record : *records) {
        if (record.kind == "attempt") {
            const auto attempt = evidence::attempt_from_json(record.body, record.id());
            if (!attempt) return attempt.error();
            earlier.attempts.push_back(to_measure(*attempt));
        } else if (record.kind == "context") {
            const auto blob = store.get_blob(record.body["campaign"].value("capture_blob", ""));
            if (!blob) return blob.error();
            auto capture = parse_json(*blob, "capture");
            if (!capture) return capture.error();
            earlier.capture = *std::move(capture);
        }
    }
    return earlier;
}

void print_dry_run(const Terminal& terminal, const Preparation& preparation) {
    std::vector<std::vector<std::string>> rows;
    for (const auto& item : preparation.plan.items) {
        rows.push_back(
            {item.id, item.device, item.required ? "required" : "optional",
             item.has_control ? "control" : "-", format_duration(item.estimate),
             item.skip_reason.empty()
                 ? ""
                 : fmt::format("skipped ({}): {}", item.skip_category, item.skip_reason)});
    }
    using report::Align;
    terminal.print(report::text_table({{"check", Align::kLeft},
                                       {"device", Align::kLeft},
                                       {"weight", Align::kLeft},
                                       {"shown by", Align::kLeft},
                                       {"estimate", Align::kRight},
                                       {"", Align::kLeft}},
                                      rows, {.colour = false, .width = 0}));
    for (const auto& item : preparation.plan.left_out) {
        const bool has_row = std::ranges::any_of(preparation.plan.items, [&](const auto& planned) {
            return item.starts_with(planned.id + " on ");
        });
        if (!has_row) terminal.print("left out: " + item);
    }
    for (const auto& cut : preparation.narrowed.cuts) {
        terminal.print(
            fmt::format("cut for time: {} from {:.0f} to {:.0f}", cut.dimension, cut.from, cut.to));
    }
    terminal.print(fmt::format("{} checks, about {}", rows.size(),
                               format_duration(preparation.plan.estimate)));
}

// One run, from the plan of checks to the last record.
Result<bool> measure(Terminal& terminal, const Home& home, evidence::Store& store,
                     Preparation& preparation, const QualifyOptions& options,
                     std::vector<qualification::Attempt> earlier, const LowerRung* lower) {
    if (auto written = write_context(store, preparation, options); !written) return written.error();
    if (auto written = write_required(store, preparation, options); !written)
        return written.error();
    if (auto written = write_foretold(store, preparation); !written) return written.error();
    if (auto written = foretell_rungs(home, store, preparation, options); !written)
        return written.error();
    if (lower != nullptr) {
        auto taken = take_over(terminal, store, *lower, preparation, options);
        if (!taken) return taken.error();
        earlier = *std::move(taken);
    }
    const auto summary = run_checks(terminal, store, preparation, options, std::move(earlier));
    if (!summary) return summary.error();
    // Dates and money are no business of a part.
    if (!interrupted() && options.part.empty()) {
        terminal.status("playing the months …");
        if (auto written = write_projection(home, store, preparation, options); !written)
            return written.error();
        terminal.status("");
    }
    const evidence::SessionEnd end{summary->complete && !interrupted(), summary->reason,
                                   summary->duration.count};
    const auto ended =
        store.append(interrupted() ? "interrupted" : "finished", evidence::to_json(end));
    if (!ended) return ended.error();
    return summary->complete && !interrupted();
}

// Of cases that were given nothing can qualify: the answer is whether what was asked passed.
int replay_exit_code(const judge::Verdict& verdict) {
    bool all_passed = true;
    bool any_passed = false;
    for (const auto& check : verdict.checks) {
        if (check.weight == judge::Weight::kFail) return kExitNotQualified;
        const bool left_out = check.status == judge::Status::kSkipped && !check.required;
        all_passed = all_passed && (check.weight == judge::Weight::kPass || left_out);
        any_passed = any_passed || check.status == judge::Status::kPassed;
    }
    return all_passed && any_passed ? kExitDone : kExitInconclusive;
}

void print_endurance(Terminal& terminal, const Home& home,
                     const std::vector<evidence::Record>& records, const judge::Verdict& verdict,
                     const Preparation& preparation, const QualifyOptions& options,
                     const std::string& directory) {
    const auto text = options.command == "soak"
                          ? soak_text(home, preparation.situation.campaign, records, verdict,
                                      directory, options.format)
                          : links_text(records, verdict, directory, options.format);
    if (!text) {
        terminal.complain(text.error());
        return;
    }
    terminal.print(*text);
    terminal.say(fmt::format("\nReport: {0}/report.html   Evidence: {0}", directory));
}

void print_outcome(Terminal& terminal, const Home& home,
                   const std::vector<evidence::Record>& records, const judge::Verdict& verdict,
                   const Preparation& preparation, const QualifyOptions& options,
                   const std::string& directory) {
    if (options.asks_ranks()) {
        return print_endurance(terminal, home, records, verdict, preparation, options, directory);
    }
    const std::string where =
        fmt::format("\nReport: {}/report.html   Evidence: {}", directory, directory);
    if (options.command != "ops") {
        terminal.print(
            report::verdict_summary(verdict, {.colour = terminal.colour(), .width = 100}));
        print_causes(terminal, verdict);
        return terminal.print(where);
    }
    const Json& captured = preparation.capture_answer;
    terminal.print(operators_text(
        report::operators_document({verdict, records, "", {}}, captured.value("operators", Json())),
        options.format));
    if (options.format != Format::kTable) return terminal.say(where);
    terminal.print("");
    terminal.print(report::verdict_summary(verdict, {.colour = terminal.colour(), .width = 100}));
    for (const auto& check : verdict.checks) {
        if (check.weight == judge::Weight::kFail && !check.reproduce.empty())
            terminal.print(fmt::format("again: {}", check.reproduce));
    }
    terminal.print(where);
}

int conclude(Terminal& terminal, const Home& home, const evidence::Store& store,
             const Preparation& preparation, const QualifyOptions& options) {
    const std::string directory = store.directory().string();
    if (interrupted()) {
        terminal.say(
            fmt::format("interrupted; the evidence so far is in {}; go on with --out {} --resume",
                        directory, directory));
        return kExitInterrupted;
    }
    const auto records = store.read_all();
    if (!records) return terminal.complain(records.error());
    auto verdict = verdict_of(*records, preparation.criteria, preparation.proofs);
    if (!verdict) return terminal.complain(verdict.error());
    add_causes(home, *verdict);
    const auto written = write_reports(home, directory, *records, *verdict);
    if (!written) return terminal.complain(written.error());
    print_outcome(terminal, home, *records, *verdict, preparation, options, directory);
    const bool ours = std::ranges::any_of(verdict->checks, [](const judge::CheckVerdict& check) {
        return check.required && check.status == judge::Status::kHarnessError;
    });
    if (ours)
        terminal.say("a check failed through our own fault; please report it with the evidence");
    if (ours) return kExitInternal;
    return options.replays() ? replay_exit_code(*verdict) : exit_code(verdict->verdict);
}

}  // namespace

int qualify(Terminal& terminal, const Home& home, const QualifyOptions& asked) {
    QualifyOptions options = asked;
    if (options.resume && options.out.empty()) {
        return terminal.complain(
            {ErrorCode::kUsage, "--resume needs --out DIR, the run to go on with", ""});
    }
    Earlier earlier;
    std::optional<evidence::Store> store;
    if (options.resume) {
        auto opened = open_store(options.out, true);
        if (!opened) return terminal.complain(opened.error());
        if (!opened->repaired().empty()) terminal.say(opened->repaired());
        store.emplace(*std::move(opened));
        auto read = read_earlier(*store);
        if (!read) return terminal.complain(read.error());
        earlier = *std::move(read);
    }
    std::optional<LowerRung> lower;
    if (!options.reuse.empty()) {
        auto read = open_lower_rung(home, options);
        if (!read) return terminal.complain(read.error());
        lower.emplace(*std::move(read));
        // Of the same question the same step is asked; otherwise nothing is taken over anyway.
        if (lower->capture.contains("cases")) earlier.capture = lower->capture;
    }
    auto preparation = prepare(terminal, home, options, earlier.capture);
    if (!preparation) return terminal.complain(preparation.error());
    if (options.dry_run) {
        print_dry_run(terminal, *preparation);
        return kExitDone;
    }
    if (!store) {
        if (options.out.empty()) {
            options.out =
                default_directory(preparation->situation.campaign.path, evidence::utc_now());
        }
        auto created = open_store(options.out, false);
        if (!created) return terminal.complain(created.error());
        store.emplace(*std::move(created));
    }
    const auto done = measure(terminal, home, *store, *preparation, options,
                              std::move(earlier.attempts), lower ? &*lower : nullptr);
    if (!done) return terminal.complain(done.error());
    return conclude(terminal, home, *store, *preparation, options);
}

}  // namespace ascertain::app
