// Asks a real worker everything a qualification asks, without campaign, evidence or verdict, judges
// it with the shipped criteria and prints what each attempt took. Exits 1 when our own code failed,
// a worker died, a control was not caught or its clean twin failed.
//
//   ascertain_drive_worker --worker PATH --config config.json [--tokens 64] [--tp 8] [--ep 64]
//       [--device cpu] [--only PATTERN] [--profile quick|standard] [--threads 2] [--seed 1]
//       [--detail ID]
//       [--save capture.json | --load capture.json]
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "decide/judge/criteria.hpp"
#include "decide/judge/opinion.hpp"
#include "measure/device/pool.hpp"
#include "measure/qualification/runner.hpp"
#include "model/config.hpp"
#include "model/shard.hpp"
#include "model/trial.hpp"

namespace {

using namespace ascertain;

struct Options {
    std::map<std::string, std::string> values;

    [[nodiscard]] std::string text(const std::string& key, const std::string& otherwise) const {
        const auto found = values.find(key);
        return found == values.end() ? otherwise : found->second;
    }
    [[nodiscard]] std::int64_t number(const std::string& key, std::int64_t otherwise) const {
        return values.contains(key) ? std::atoll(values.at(key).c_str()) : otherwise;
    }
};

[[noreturn]] void stop(const std::string& why) {
    fmt::print(stderr, "drive_worker: {}\n", why);
    std::exit(1);
}

template <typename T>
T must(Result<T> result) {
    if (!result) stop(result.error().text());
    return *std::move(result);
}

std::string file_text(const std::string& path) {
    std::ifstream file(path);
    if (!file) stop("cannot read " + path);
    return {std::istreambuf_iterator<char>(file), {}};
}

// One layer of each kind of what one rank builds.
model::Architecture narrowed(const model::Architecture& whole, const Options& options) {
    if (options.values.contains("--small")) return must(model::trial_scale(whole, {}));
    const model::Shard shard{.tp = options.number("--tp", 8), .ep = options.number("--ep", 64)};
    auto rank =
        must(model::shard_architecture(model::pad_vocabulary(whole, 128 * shard.tp), shard));
    std::vector<model::LayerRun> kept;
    for (const auto kind : {model::LayerKind::kDense, model::LayerKind::kMoe}) {
        if (model::layer_count(rank, kind) > 0) kept.push_back({kind, 1});
    }
    rank.layers = std::move(kept);
    return rank;
}

class Printer final : public qualification::Observer {
public:
    void attempt_began(const qualification::Item& /*item*/, qualification::Role /*role*/,
                       int /*number*/) override {}
    void progressed(const qualification::Item& /*item*/, qualification::Role /*role*/,
                    const device::Progress& /*progress*/) override {}
    Result<void> attempt_ended(const qualification::Item& item,
                               const qualification::Attempt& attempt) override {
        if (attempt.category == "filtered") return {};
        const auto opinion = judge::opinion(criteria, item.id, attempt.observation);
        const bool completed = attempt.outcome == qualification::Outcome::kCompleted;
        const char* holds = !completed                               ? ""
                            : opinion.holds == judge::Holds::kMet    ? "met"
                            : opinion.holds == judge::Holds::kNotMet ? "NOT MET"
                                                                     : "weak";
        fmt::print("{:<52} {:<13} {} {:<12} {:>8.2f} s  {:<7} {} {}\n", item.id,
                   name_of(attempt.role), attempt.number, name_of(attempt.outcome),
                   attempt.duration.count, holds, completed ? opinion.reason : attempt.category,
                   shortened_line(attempt.message));
        if (item.id == detail) {
            fmt::print("{}\n{}\n", to_json(attempt.observation).dump(1), attempt.detail.dump(1));
        }
        note_trouble(item, attempt, opinion.holds);
        if (!attempt.stderr_text.empty()) fmt::print("  stderr: {}\n", attempt.stderr_text);
        Seconds& total = spent[std::string(item.definition->id) +
                               (attempt.role == qualification::Role::kMeasure ? "" : " (again)")];
        total += attempt.duration;
        std::fflush(stdout);
        return {};
    }

    // What must not happen with a sound worker: our own errors, deaths, blind or nervous controls.
    std::vector<std::string> troubles;
    judge::CriteriaSet criteria;
    std::string detail;
    std::map<std::string, Seconds> spent;

private:
    void note_trouble(const qualification::Item& item, const qualification::Attempt& attempt,
                      judge::Holds holds) {
        using qualification::Outcome;
        using qualification::Role;
        const bool control = attempt.role == Role::kControl;
        const bool twin = attempt.role == Role::kControlClean;
        const char* what = nullptr;
        if (attempt.outcome == Outcome::kHarnessError) what = "is our own error";
        if (qualification::broke(attempt)) what = "killed its worker";
        if (control && holds != judge::Holds::kNotMet) what = "did not catch its control";
        if (twin && holds != judge::Holds::kMet) what = "failed its clean twin";
        if (what != nullptr)
            troubles.push_back(fmt::format("{} {}: {}", item.id, what, attempt.message));
    }

    static std::string shortened_line(std::string text) {
        std::replace(text.begin(), text.end(), '\n', ' ');
        return text.substr(0, 160);
    }
};

judge::CriteriaSet shipped_criteria() {
    std::vector<judge::CriteriaText> files;
    for (const auto& entry :
         std::filesystem::directory_iterator(ASCERTAIN_SOURCE_DIR "/data/criteria")) {
        if (entry.path().extension() != ".toml") continue;
        files.push_back({entry.path().string(), file_text(entry.path().string())});
    }
    return must(judge::CriteriaSet::parse(files));
}

qualification::Opinion to_measure(const judge::Opinion& opinion) {
    if (opinion.holds == judge::Holds::kMet) return qualification::Opinion::kGood;
    return opinion.holds == judge::Holds::kNotMet ? qualification::Opinion::kSuspect
                                                  : qualification::Opinion::kUnknown;
}

qualification::Survey nothing_captured(const Json& params) {
    qualification::Survey survey;
    survey.capture = params;
    for (Json* list : {&survey.operators, &survey.cases, &survey.gemms}) *list = Json::array();
    return survey;
}

device::LaunchSpec spec_of(const Options& options, const std::string& name,
                           const std::string& file) {
    return {.executable = options.text("--worker", "ascertain-worker"),
            .arguments = {},
            .device = name,
            .environment = {},
            .directory = {},
            .stderr_path = "/tmp/ascertain_drive_" + file + ".stderr",
            .threads = static_cast<int>(options.number("--threads", 2))};
}

}  // namespace

int main(int count, char** arguments) {
    Options options;
    for (int i = 1; i + 1 < count; i += 2) options.values[arguments[i]] = arguments[i + 1];
    const std::string config =
        options.text("--config", ASCERTAIN_SOURCE_DIR "/data/models/deepseek-r1.json");
    const auto whole = must(model::read_config(file_text(config), config));
    const std::string name = options.text("--device", "cpu");
    const device::SteadyClock clock;
    device::Pool pool(clock,
                      {spec_of(options, name, "device"), spec_of(options, "cpu", "reference")}, {});
    const auto never = [] { return false; };

    const qualification::SurveyQuestion what{
        .architecture = model::to_json(narrowed(whole, options)),
        .sequences = 1,
        .sequence_length = options.number("--tokens", 64),
        .dtype = options.text("--dtype", "bf16"),
        .seed = 1};
    const Json params = qualification::capture_params(what);
    const auto start = must(device::call(pool, 1, {"describe", {}, {120.0}}, never));
    fmt::print("worker: {:.2f} s to start; {}\n", start.duration.count, start.message);
    const std::string saved = options.text("--load", "");
    device::Reply captured{.ending = device::Ending::kResult};
    if (saved.empty()) {
        captured = must(device::call(pool, 1, {"capture", params, {600.0}}, never));
    } else {
        captured.result = must(parse_json(file_text(saved), saved));
    }
    const bool has_survey = captured.ending == device::Ending::kResult;
    if (!has_survey) fmt::print("capture: {}\n", captured.message);
    const auto survey = has_survey ? must(qualification::read_survey(params, captured.result))
                                   : nothing_captured(params);
    fmt::print("capture: {:.2f} s, step {:.2f} s, {} operators that compute, {} cases\n",
               captured.duration.count, survey.step.count, survey.subjects.size(),
               survey.cases.size());
    if (const std::string path = options.text("--save", ""); !path.empty()) {
        std::ofstream(path) << captured.result.dump(1);
    }

    const qualification::TrialQuestion trial{
        .dtype = what.dtype,
        .architecture = model::to_json(must(model::trial_scale(whole, {}))),
        .recipe = Json::object()};
    const bool standard = options.text("--profile", "quick") == "standard";
    qualification::PlanQuestion question{
        .profile = standard ? checks::Profile::kStandard : checks::Profile::kQuick,
        .devices = {name}};
    if (const std::string only = options.text("--only", ""); !only.empty()) question.only = {only};
    const auto plan = must(qualification::make_plan(survey, trial, question));
    fmt::print("plan: {} items, estimate {:.1f} s\n", plan.items.size(), plan.estimate.count);
    for (const std::string& line : plan.left_out) {
        if (line.find("--only") == std::string::npos) fmt::print("left out: {}\n", line);
    }

    Printer printer;
    printer.criteria = shipped_criteria();
    printer.detail = options.text("--detail", "");
    const qualification::RunQuestion run{
        .devices = {name},
        .reference = 1,
        .seed = static_cast<std::uint64_t>(options.number("--seed", 1)),
        .profile = question.profile,
        .time_limit = {3600.0},
        .reproduce = "ascertain qualify",
        .earlier = {}};
    const qualification::World world{
        .workers = pool,
        .clock = clock,
        .observer = printer,
        .opinion =
            [&](const checks::Definition&, const std::string& id, const Observation& observation) {
                return to_measure(judge::opinion(printer.criteria, id, observation));
            },
        .time_utc = [] { return std::string(); },
        .stopped = never};
    const auto summary = must(qualification::run_plan(plan, run, world));
    fmt::print("\n{} attempts in {:.1f} s\n", summary.attempts, summary.duration.count);
    for (const auto& [check, time] : printer.spent)
        fmt::print("{:<28} {:>8.2f} s\n", check, time.count);
    for (const std::string& trouble : printer.troubles) fmt::print("TROUBLE: {}\n", trouble);
    return printer.troubles.empty() ? 0 : 1;
}
