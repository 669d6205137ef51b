#include "app/qualify/prepare.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "app/device_hosts.hpp"
#include "app/files.hpp"
#include "app/interrupt.hpp"
#include "app/ops/cases.hpp"
#include "app/prove/shipped.hpp"
#include "app/qualify/conclude.hpp"
#include "app/qualify/together.hpp"
#include "app/serving.hpp"
#include "base/device_name.hpp"
#include "measure/qualification/survey.hpp"
#include "model/config.hpp"
#include "model/trial.hpp"

namespace ascertain::app {
namespace {

constexpr double kCaptureDeadline_s = 300.0;
constexpr std::size_t kConfigBytesMax = std::size_t{1} << 20;

// The part of the model that is measured: a rank of the best plan for the first stage, or of the
// next best whose rank trains in this machine's memory. When nothing fits the fleet there is no
// plan, and the model is measured unsplit; the projection then says that nothing fits.
Result<NarrowedModel> narrow(const Situation& situation, const std::vector<StageForecast>& stages,
                             checks::Profile profile, bool on_cpu) {
    const Bytes limit = memory_for_measuring();
    const auto& found = stages.front().search.plans;
    if (found.empty()) return narrow_to_rank(situation, parallel::Plan{}, profile, on_cpu, limit);
    auto best = narrow_to_rank(situation, found.front().plan, profile, on_cpu, limit);
    for (std::size_t next = 1; !best && next < found.size(); ++next) {
        auto other = narrow_to_rank(situation, found[next].plan, profile, on_cpu, limit);
        if (other) return other;
    }
    return best;
}

qualification::SurveyQuestion survey_question(const Preparation& preparation,
                                              const QualifyOptions& options) {
    qualification::SurveyQuestion question;
    question.architecture = model::to_json(preparation.narrowed.architecture);
    question.sequences = preparation.narrowed.sequences;
    question.sequence_length = preparation.narrowed.sequence_length;
    // fp8 training keeps its activations, and everything but linear layers, in bf16.
    const std::string& precision = preparation.situation.campaign.precision;
    question.dtype = precision == "fp8" ? "bf16" : precision;
    question.seed = options.seed;
    question.autocast = options.autocast;
    return question;
}

// Carrying published weights asks nothing of a training step.
bool needs_capture(const QualifyOptions& options) {
    return options.weights_folder.empty() && !options.asks_ranks();
}

// One training step on the reference: its operators are what the device will be asked about.
Result<Json> capture(Terminal& terminal, Crew& crew, const Json& params) {
    terminal.status("capturing one training step on the reference …");
    const auto reply =
        device::call(*crew.pool, crew.reference(), {"capture", params, {kCaptureDeadline_s}},
                     [] { return interrupted().load(); });
    terminal.status("");
    if (!reply) return reply.error();
    if (reply->ending == device::Ending::kResult) return reply->result;
    terminal.say("the reference could not capture a training step: " + reply->message);
    return Json{{"failed", reply->message}};
}

// One forward and backward pass of the user's module: on the reference, or on the device where only
// that has what it calls. Errors: kBadInput with the file and line of what the module raised.
Result<Json> record_module(Terminal& terminal, Crew& crew, const QualifyOptions& options) {
    std::string said;
    for (const std::size_t member : {crew.reference(), std::size_t{0}}) {
        terminal.status("recording one pass of the module …");
        const auto reply = device::call(
            *crew.pool, member,
            {"module", {{"mode", "record"}, {"seed", options.seed}}, {kCaptureDeadline_s}},
            [] { return interrupted().load(); });
        terminal.status("");
        if (!reply) return reply.error();
        if (reply->ending == device::Ending::kResult) return reply->result;
        if (reply->error_kind == "invalid_request")
            return Error{ErrorCode::kBadInput, reply->message, "--module"};
        if (said.empty()) said = reply->message;
    }
    return Error{ErrorCode::kBadInput, "one pass could not be run: " + said, "--module"};
}

// The cases that the user brought, or the one of the model's that was named.
Result<Json> given_cases(Terminal& terminal, Crew& crew, const QualifyOptions& options,
                         const Json& params) {
    const auto file = read_case_file(options);
    if (!file) return file.error();
    if (file->path.empty()) {
        auto captured = options.module.empty() ? capture(terminal, crew, params)
                                               : record_module(terminal, crew, options);
        if (!captured || captured->contains("failed") || options.one_case.empty()) return captured;
        return only_case(*std::move(captured), options.one_case);
    }
    const auto reply = device::call(*crew.pool, crew.reference(),
                                    {"check_cases", {{"cases", file->cases}}, {kCaptureDeadline_s}},
                                    [] { return interrupted().load(); });
    if (!reply) return reply.error();
    if (reply->ending != device::Ending::kResult) {
        return Error{ErrorCode::kInternal,
                     "the reference could not read the cases: " + reply->message, file->path};
    }
    auto captured = capture_of(*file, reply->result);
    const bool one_of_many = !options.cases.empty() && !options.one_case.empty();
    return captured && one_of_many ? only_case(*std::move(captured), options.one_case) : captured;
}

// A survey with no operator: the checks that need one will say so, and none of them passes.
qualification::Survey empty_survey(const Json& params) {
    qualification::Survey survey;
    survey.capture = params;
    survey.operators = Json::array();
    survey.cases = Json::array();
    survey.gemms = Json::array();
    return survey;
}

Result<qualification::TrialQuestion> trial_question(const Situation& situation) {
    const auto small = model::trial_scale(situation.architecture, model::TrialSize{});
    if (!small) return small.error();
    qualification::TrialQuestion trial;
    trial.dtype = situation.campaign.precision == "fp8" ? "bf16" : situation.campaign.precision;
    trial.architecture = model::to_json(*small);
    return trial;
}

// What is carried across: the published weights that were named, else the trial's model with
// weights that every device makes from the same seed.
Result<qualification::ServeQuestion> serve_question(const qualification::TrialQuestion& trial,
                                                    const QualifyOptions& options,
                                                    const std::vector<Json>& descriptions) {
    const std::string& dtype = options.serve_dtype.empty() ? trial.dtype : options.serve_dtype;
    if (options.weights_folder.empty()) {
        const auto architecture = model::architecture_from_json(trial.architecture, "trial model");
        if (!architecture) return architecture.error();
        return serve_trial_model(*architecture, dtype, options.seed);
    }
    const auto folder = std::filesystem::absolute(options.weights_folder);
    const std::string config = (folder / "config.json").string();
    const auto text = read_file(config, kConfigBytesMax);
    if (!text) return text.error();
    const auto carried = model::read_config(*text, config);
    if (!carried) return carried.error();
    qualification::ServeQuestion serve;
    serve.dtype = dtype;
    serve.weights = {{"folder", folder.string()}};
    serve.length_max = carried->position.length_max;
    for (const Json& description : descriptions) {
        // A server counts what it writes too, of which every answer has a token.
        const auto limit = description.find("length_max");
        if (limit == description.end() || !limit->is_number_integer()) continue;
        serve.length_max = std::min(serve.length_max, limit->get<std::int64_t>() - 1);
    }
    return serve;
}

Result<qualification::Plan> plan_checks(const Preparation& preparation,
                                        const QualifyOptions& options, const Json& params) {
    qualification::Survey survey = empty_survey(params);
    std::string failed;
    if (!needs_capture(options)) {
        survey.capture = params;
    } else if (preparation.capture_answer.contains("failed")) {
        failed = preparation.capture_answer["failed"].get<std::string>();
    } else {
        auto read = qualification::read_survey(params, preparation.capture_answer);
        if (!read) return read.error();
        survey = *std::move(read);
    }
    auto trial = trial_question(preparation.situation);
    if (!trial) return trial.error();
    auto serve = serve_question(*trial, options, preparation.crew.descriptions);
    if (!serve) return serve.error();
    trial->serve = *std::move(serve);
    trial->together = together_question(preparation.situation, preparation.stages, options);
    auto plan = qualification::make_plan(
        survey, *trial,
        {options.profile, preparation.crew.devices, preparation.crew.rank_devices(), options.part,
         options.only, options.skip, options.replays(), options.module});
    if (plan && !failed.empty()) {
        plan->left_out.push_back(
            "ops.numerics, ops.repeat: the reference could not capture a training step: " + failed);
    }
    return plan;
}

// Every check that will run must have a criterion before it runs.
Result<void> all_criteria_there(const Preparation& preparation) {
    std::vector<std::string> ids;
    for (const auto& item : preparation.plan.items) {
        if (item.skip_category.empty()) ids.push_back(item.id);
    }
    return preparation.criteria.covers(ids);
}

}  // namespace

Result<Preparation> prepare(Terminal& terminal, const Home& home, const QualifyOptions& options,
                            const Json& earlier_capture) {
    auto situation = read_situation(home, options.inputs);
    if (!situation) return situation.error();
    auto criteria = read_criteria(home);
    if (!criteria) return criteria.error();
    auto book = read_cost_book(home, {});
    if (!book) return book.error();
    const auto& asked = options.devices.empty() ? situation->campaign.devices : options.devices;
    const bool named = asked != std::vector<std::string>{"auto"};
    auto clock = std::make_unique<device::SteadyClock>();
    std::unique_ptr<agents::Coordinator> remote;
    if (options.agents.asked_for()) {
        auto gathered = gather_agents(terminal, *clock, options.agents);
        if (!gathered) return gathered.error();
        remote = *std::move(gathered);
    }
    const auto devices = remote ? devices_of_nodes(asked, *remote) : chosen_devices(asked);
    if (!devices) return devices.error();

    terminal.status("searching plans for the fleet …");
    auto stages = forecast_stages(*situation, *book, options.wish);
    terminal.status("");
    if (!stages) return stages.error();
    const bool on_cpu = std::ranges::any_of(
        *devices, [](const auto& device) { return local_part(device) == "cpu"; });
    auto narrowed = narrow(*situation, *stages, options.profile, on_cpu);
    if (!narrowed) return narrowed.error();
    auto crew = assemble(home,
                         {*devices, situation->campaign.reference,
                          options.defects.empty() ? situation->campaign.defects : options.defects,
                          options.ranks, options.module},
                         std::move(clock), std::move(remote));
    if (!crew) return crew.error();

    Preparation preparation{
        *std::move(situation), *std::move(book), *std::move(stages), *std::move(narrowed),
        *std::move(criteria),  *std::move(crew), earlier_capture,    {}};
    preparation.proofs = shipped_proofs(home, preparation.criteria);
    terminal.status("asking devices what they are …");
    const auto described = describe_all(preparation.crew, named);
    terminal.status("");
    if (!described) return described.error();
    const Json params = qualification::capture_params(survey_question(preparation, options));
    if (!needs_capture(options)) {
        preparation.capture_answer = Json::object();
    } else if (preparation.capture_answer.is_null()) {
        auto answer = options.replays() ? given_cases(terminal, preparation.crew, options, params)
                                        : capture(terminal, preparation.crew, params);
        if (!answer) return answer.error();
        preparation.capture_answer = *std::move(answer);
    }
    auto plan = plan_checks(preparation, options, params);
    if (!plan) return plan.error();
    preparation.plan = *std::move(plan);
    const auto covered = all_criteria_there(preparation);
    if (!covered) return covered.error();
    return preparation;
}

}  // namespace ascertain::app
