#include "app/trainer/run.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <limits>

#include "app/device_hosts.hpp"
#include "app/exit_codes.hpp"
#include "app/interrupt.hpp"
#include "app/qualify/conclude.hpp"
#include "app/qualify/conversion.hpp"
#include "app/qualify/recorder.hpp"
#include "app/version.hpp"
#include "base/equivalence.hpp"
#include "base/text.hpp"
#include "base/units.hpp"
#include "decide/evidence/store.hpp"
#include "decide/report/table.hpp"
#include "measure/checks/trainer.hpp"
#include "measure/device/clock.hpp"
#include "measure/qualification/runner.hpp"
#include "measure/trainer/workers.hpp"

namespace ascertain::app {
namespace fs = std::filesystem;
namespace {

constexpr std::string_view kEquivalence = "trainer.equivalence";
constexpr double kPercent = 0.01;

// Everything that the command line said, read and checked.
struct Trial {
    trainer::TrainerSetup setup;
    std::string device;
    qualification::Plan plan;
};

Error usage(std::string message, std::string where = {}) {
    return {ErrorCode::kUsage, std::move(message), std::move(where)};
}

Result<trainer::MetricSource> source_of(const TrainerOptions& options) {
    if (options.metrics.empty() == options.log_pattern.empty()) {
        return usage(
            "--command needs to know where its numbers are: either --metrics FILE (JSON lines) or "
            "--log-pattern 'loss: (?P<loss>[-+.0-9e]+)'");
    }
    trainer::MetricSource source;
    source.file = options.metrics;
    auto& held_out = source.names.held_out;
    held_out.insert(held_out.begin(), options.loss_names.begin(), options.loss_names.end());
    if (!options.log_pattern.empty()) {
        auto pattern = trainer::LogPattern::parse(options.log_pattern);
        if (!pattern) return pattern.error();
        source.pattern = *std::move(pattern);
    }
    return source;
}

Result<trainer::WatchLimits> limits_of(const TrainerOptions& options) {
    trainer::WatchLimits limits;
    const auto total = parse_duration(options.time_limit);
    if (!total) return usage(total.error().message, "--for");
    const auto silence = parse_duration(options.silence);
    if (!silence) return usage(silence.error().message, "--silence");
    limits.total = *total;
    limits.silence = *silence;
    return limits;
}

Result<trainer::TrainerSetup> setup_of(const TrainerOptions& options, const std::string& device) {
    if (!options.reference_command.empty() && !options.reference_metrics.empty()) {
        return usage(
            "a reference is either run (--reference-command) or recorded "
            "(--reference-metrics), not both");
    }
    trainer::TrainerSetup setup;
    auto source = source_of(options);
    if (!source) return source.error();
    setup.source = *std::move(source);
    const auto limits = limits_of(options);
    if (!limits) return limits.error();
    setup.limits = *limits;
    setup.device = {device, options.command, options.resume_command, {}};
    setup.reference = {options.reference_device, options.reference_command, "", {}};
    for (const std::string& path : options.reference_metrics) {
        auto recorded = trainer::read_recorded(path, setup.source);
        if (!recorded && recorded.error().code == ErrorCode::kEnvironment) {
            return Error{ErrorCode::kBadInput, recorded.error().message, path};
        }
        if (!recorded) return recorded.error();
        setup.reference.recorded.push_back(*std::move(recorded));
    }
    return setup;
}

qualification::Item item_of(const checks::Definition& definition, const Trial& trial,
                            const TrainerOptions& options) {
    const bool recorded = !options.reference_metrics.empty();
    checks::Subject subject;
    subject.params = {{"tests", options.replicas},
                      {"replicas", recorded ? options.reference_metrics.size() : options.replicas},
                      {"paired", !recorded},
                      {"margin", options.margin_percent * kPercent}};
    qualification::Item item;
    item.definition = &definition;
    item.id = definition.id;
    item.device = trial.device;
    item.subject = std::make_shared<const checks::Subject>(std::move(subject));
    item.required = true;
    item.has_control = true;
    item.estimate = definition.cost;
    item.budget = trial.setup.limits.total;
    const bool unwanted = std::ranges::any_of(options.skip, [&](const std::string& pattern) {
        return matches_wildcard(definition.id, pattern);
    });
    if (unwanted) {
        item.skip_category = "filtered";
        item.skip_reason = "left out with --skip";
    } else if (definition.id == kEquivalence && !recorded && options.reference_command.empty()) {
        item.skip_category = "no_case";
        item.skip_reason =
            "there is nothing to compare with: name --reference-command, or "
            "--reference-metrics of runs that were recorded on hardware you trust";
    }
    return item;
}

Result<Trial> read_trial(const TrainerOptions& options) {
    Trial trial;
    const auto devices = chosen_devices(options.devices.empty() ? std::vector<std::string>{"auto"}
                                                                : options.devices);
    if (!devices) return devices.error();
    trial.device = devices->front();
    auto setup = setup_of(options, trial.device);
    if (!setup) return setup.error();
    trial.setup = *std::move(setup);
    for (const auto& definition : checks::of_trainer()) {
        trial.plan.items.push_back(item_of(definition, trial, options));
        const auto& item = trial.plan.items.back();
        if (item.skip_category.empty()) continue;
        trial.plan.left_out.push_back(
            fmt::format("{} on {}: {}", item.id, item.device, item.skip_reason));
    }
    return trial;
}

Result<void> write_beginning(evidence::Store& store, const Trial& trial,
                             const judge::CriteriaSet& criteria, const TrainerOptions& options) {
    evidence::SessionContext context;
    context.tool_version = version();
    context.commit = commit();
    context.arguments = {"ascertain", "trial", "--command", options.command};
    context.host = "unknown";
    context.system = "unknown";
    context.time_utc = evidence::utc_now();
    context.campaign = {{"name", "your own trainer"}, {"command", options.command}};
    context.devices = Json::array({{{"device", trial.device}}});
    context.software = {{"ascertain", std::string(version())}, {"criteria", criteria.hash()}};
    if (auto written = store.append("context", evidence::to_json(context)); !written) {
        return written.error();
    }
    evidence::RequiredSet required;
    required.profile = "quick";
    required.rung = "device";
    required.seed = options.seed;
    required.left_out = trial.plan.left_out;
    for (const auto& item : trial.plan.items) required.checks.push_back(to_evidence(item));
    auto written = store.append("required", evidence::to_json(required));
    return written ? Result<void>{} : Result<void>{written.error()};
}

Result<qualification::RunSummary> run_checks(Terminal& terminal, evidence::Store& store,
                                             const Trial& trial, const judge::CriteriaSet& criteria,
                                             const TrainerOptions& options) {
    QualifyOptions shown;
    shown.command = "trial";
    const device::SteadyClock clock;
    trainer::TrainerSetup setup = trial.setup;
    setup.folder = fs::absolute(store.directory() / "runs").string();
    trainer::TrainerWorkers workers(std::move(setup), clock);
    Recorder recorder(store, terminal, criteria, trial.plan, shown);
    qualification::RunQuestion question;
    question.devices = {trial.device};
    question.reference = 1;
    question.seed = options.seed;
    question.seed_is_exact = true;
    question.time_limit = {std::numeric_limits<double>::infinity()};
    question.reproduce = fmt::format("ascertain trial --command '{}'", options.command);
    const qualification::World world{
        workers,
        clock,
        recorder,
        [&](const checks::Definition&, const std::string& id, const Observation& observation) {
            return to_measure(judge::opinion(criteria, id, observation));
        },
        evidence::utc_now,
        [] { return interrupted().load(); }};
    return qualification::run_plan(trial.plan, question, world);
}

std::string numbers_of(const judge::CheckVerdict& check) {
    std::string text;
    for (const char* name : {"steps", "killed_at", "resumed_from", "loss_difference_after_resume",
                             "loss_difference", "run_spread", "replicas", "power",
                             "false_alarm_rate", "early_grad_norm_log_ratio_mean"}) {
        const Metric* metric = find_metric(check.observation, name);
        if (metric == nullptr || !metric->value) continue;
        text += fmt::format("{}{} {:.4g}", text.empty() ? "" : ", ", name, *metric->value);
    }
    return text;
}

void print_checks(Terminal& terminal, const judge::Verdict& verdict) {
    for (const auto& check : verdict.checks) {
        const Style style = check.weight == judge::Weight::kPass   ? Style::kGreen
                            : check.weight == judge::Weight::kFail ? Style::kRed
                                                                   : Style::kYellow;
        terminal.print(
            fmt::format("{:<13} {:<20} on {}{}{}",
                        terminal.styled(std::string(judge::name_of(check.status)), style), check.id,
                        check.device, check.reason.empty() ? "" : ": ", check.reason));
        if (const std::string numbers = numbers_of(check); !numbers.empty()) {
            terminal.print("              " + numbers);
        }
    }
}

int exit_code_of(const judge::Verdict& verdict) {
    bool all_passed = true;
    for (const auto& check : verdict.checks) {
        if (check.weight == judge::Weight::kFail) return kExitNotQualified;
        all_passed = all_passed && check.status == judge::Status::kPassed;
    }
    return all_passed && !verdict.checks.empty() ? kExitDone : kExitInconclusive;
}

std::string default_directory() {
    std::string stamp = evidence::utc_now().substr(0, 19);
    std::erase(stamp, ':');
    std::erase(stamp, '-');
    return "evidence/trainer-" + stamp;
}

}  // namespace

int try_trainer(Terminal& terminal, const Home& home, const TrainerOptions& options) {
    const auto trial = read_trial(options);
    if (!trial) return terminal.complain(trial.error());
    const auto criteria = read_criteria(home);
    if (!criteria) return terminal.complain(criteria.error());
    auto store = evidence::Store::create(options.out.empty() ? default_directory() : options.out,
                                         evidence::StoreOptions{.now_utc = evidence::utc_now});
    if (!store) return terminal.complain(store.error());
    if (auto written = write_beginning(*store, *trial, *criteria, options); !written) {
        return terminal.complain(written.error());
    }
    const bool compares = trial->plan.items.back().skip_category.empty();
    const auto references =
        options.reference_metrics.empty() ? options.replicas : options.reference_metrics.size();
    if (compares && references < kReplicasMin) {
        terminal.say(
            fmt::format("{} runs of the reference cannot show equivalence, {} can: "
                        "--replicas {}",
                        references, kReplicasMin, kReplicasMin));
    }
    const auto summary = run_checks(terminal, *store, *trial, *criteria, options);
    if (!summary) return terminal.complain(summary.error());
    const bool stopped = interrupted();
    const evidence::SessionEnd end{summary->complete && !stopped, summary->reason,
                                   summary->duration.count};
    if (auto ended = store->append(stopped ? "interrupted" : "finished", evidence::to_json(end));
        !ended) {
        return terminal.complain(ended.error());
    }
    const std::string directory = store->directory().string();
    if (stopped) {
        terminal.say(fmt::format("interrupted; the evidence so far is in {}", directory));
        return kExitInterrupted;
    }
    const auto records = store->read_all();
    if (!records) return terminal.complain(records.error());
    const auto verdict = verdict_of(*records, *criteria, {});
    if (!verdict) return terminal.complain(verdict.error());
    const auto written = write_reports(home, directory, *records, *verdict);
    if (!written) return terminal.complain(written.error());
    print_checks(terminal, *verdict);
    terminal.print(fmt::format("\nReport: {}/report.html   Evidence: {}", directory, directory));
    return exit_code_of(*verdict);
}

}  // namespace ascertain::app
