#include "app/qualify/run.hpp"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <filesystem>

#include "app/diagnose.hpp"
#include "app/exit_codes.hpp"
#include "app/interrupt.hpp"
#include "app/names.hpp"
#include "app/ops/listing.hpp"
#include "app/qualify/conclude.hpp"
#include "app/qualify/conversion.hpp"
#include "app/qualify/predictions.hpp"
#include "app/qualify/prepare.hpp"
#include "app/qualify/recorder.hpp"
#include "app/version.hpp"
#include "decide/evidence/store.hpp"
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

std::string system_line() {
    struct utsname system {};
    if (::uname(&system) != 0) return "unknown";
    return fmt::format("{} {} {}", system.sysname, system.release, system.machine);
}

std::string host_name() {
    struct utsname system {};
    return ::uname(&system) == 0 ? system.nodename : "unknown";
}

// Name → version of everything whose change makes measurements stale.
Json software_of(const Preparation& preparation) {
    Json software{{"ascertain", std::string(version())}, {"criteria", preparation.criteria.hash()}};
    for (const auto& description : preparation.crew.descriptions) {
        const Json libraries = description.value("libraries", Json::object());
        for (const auto& library : libraries.items()) software[library.key()] = library.value();
        if (description.contains("driver") && description["driver"].is_string())
            software["driver"] = description["driver"];
    }
    return software;
}

Result<std::string> write_context(evidence::Store& store, const Preparation& preparation,
                                  const QualifyOptions& options) {
    Json campaign = to_json(preparation.situation.campaign);
    for (const auto& [key, text] :
         {std::pair<const char*, std::string>{"campaign_blob", preparation.situation.campaign_text},
          {"config_blob", preparation.situation.config_text},
          {"capture_blob", preparation.capture_answer.dump()}}) {
        auto blob = store.put_blob(text);
        if (!blob) return blob.error();
        campaign[key] = *std::move(blob);
    }
    campaign["cuts"] = to_json(preparation.narrowed.cuts);
    evidence::SessionContext context;
    context.tool_version = version();
    context.commit = commit();
    context.arguments = {"ascertain", options.command};
    context.host = host_name();
    context.system = system_line();
    context.time_utc = evidence::utc_now();
    context.campaign = std::move(campaign);
    for (const auto& description : preparation.crew.descriptions)
        context.devices.push_back(description);
    context.software = software_of(preparation);
    return store.append("context", evidence::to_json(context));
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
                                   preparation.plan.left_out};
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
    question.seed = options.seed;
    question.seed_is_exact = options.replays();
    question.profile = options.profile;
    question.time_limit = time_limit(options.profile);
    question.reproduce =
        fmt::format("ascertain {} {}", options.command, preparation.situation.campaign.path);
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

// Checks that fail make the projection's probability unknown.
std::vector<goodput::Blocker> failures(const judge::Verdict& verdict) {
    std::vector<goodput::Blocker> blockers;
    for (const auto& check : verdict.checks) {
        if (check.required && check.weight == judge::Weight::kFail)
            blockers.push_back({check.id, check.reason});
    }
    return blockers;
}

Result<void> write_projection(const Home& home, evidence::Store& store,
                              const Preparation& preparation, const QualifyOptions& options) {
    const auto records = store.read_all();
    if (!records) return records.error();
    const auto interim = verdict_of(*records, preparation.criteria, preparation.proofs);
    if (!interim) return interim.error();
    Measured measured;
    measured.blockers = failures(*interim);
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
                     std::vector<qualification::Attempt> earlier) {
    if (auto written = write_context(store, preparation, options); !written) return written.error();
    if (auto written = write_required(store, preparation, options); !written)
        return written.error();
    if (auto written = write_foretold(store, preparation); !written) return written.error();
    const auto summary = run_checks(terminal, store, preparation, options, std::move(earlier));
    if (!summary) return summary.error();
    if (!interrupted()) {
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

void print_outcome(Terminal& terminal, const std::vector<evidence::Record>& records,
                   const judge::Verdict& verdict, const Preparation& preparation,
                   const QualifyOptions& options, const std::string& directory) {
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
    print_outcome(terminal, *records, *verdict, preparation, options, directory);
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
    const auto done =
        measure(terminal, home, *store, *preparation, options, std::move(earlier.attempts));
    if (!done) return terminal.complain(done.error());
    return conclude(terminal, home, *store, *preparation, options);
}

}  // namespace ascertain::app
