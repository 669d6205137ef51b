#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <numeric>

#include "base/observation.hpp"
#include "worker/training/job.hpp"
#include "worker/training/metric.hpp"
#include "worker/training/publish.hpp"
#include "worker/training/requests.hpp"
#include "worker/training/sides.hpp"
#include "worker/training/stages.hpp"

namespace ascertain::training {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kStepsMax = 10'000'000;
constexpr std::int64_t kBatchesMax = 100'000;
constexpr std::int64_t kReplicasMax = 1'000'000;
constexpr std::size_t kFinalSteps = 20;  // the final loss is the mean of so many last ones
constexpr double kPerturbationMax = 1.0;
constexpr std::chrono::milliseconds kProgressInterval{250};

struct Run {
    std::vector<double> losses;
    std::vector<double> grad_norms;
    std::vector<double> step_times_s;
    std::vector<double> held_out_losses;
    std::int64_t unused_gradients = 0;
    std::int64_t nonfinite_steps = 0;
    double seconds = 0.0;
};

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

double mean(const std::vector<double>& values) {
    if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

double median(std::vector<double> values) {
    if (values.empty()) return std::numeric_limits<double>::quiet_NaN();
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
}

Run run_steps(Trainer& trainer, std::int64_t steps, std::int64_t held_out_batches,
              const GradientHook& hook, worker::Session& session) {
    Run run;
    const Clock::time_point begin = Clock::now();
    Clock::time_point told = begin;
    for (std::int64_t step = 0; step < steps; ++step) {
        const Clock::time_point step_begin = Clock::now();
        const StepReport report = trainer.step(hook);
        run.step_times_s.push_back(seconds_since(step_begin));
        run.losses.push_back(report.loss);
        run.grad_norms.push_back(report.grad_norm);
        run.unused_gradients += report.unused_gradients;
        const bool finite = std::isfinite(report.loss) && std::isfinite(report.grad_norm);
        run.nonfinite_steps += finite ? 0 : 1;
        if (Clock::now() - told < kProgressInterval) continue;
        told = Clock::now();
        session.progress(static_cast<double>(step + 1) / static_cast<double>(steps),
                         fmt::format("step {} of {}", step + 1, steps),
                         {{"step", step},
                          {"loss", finite_or_null(report.loss)},
                          {"grad_norm", finite_or_null(report.grad_norm)}});
    }
    run.held_out_losses = trainer.held_out_losses(held_out_batches);
    run.seconds = seconds_since(begin);
    return run;
}

Observation observation_of(const Run& run, double tokens_per_step) {
    const std::size_t steps = run.losses.size();
    const std::size_t last = std::min(kFinalSteps, steps);
    const std::vector<double> final_losses(run.losses.end() - static_cast<std::ptrdiff_t>(last),
                                           run.losses.end());
    Metric held_out =
        metric_of("held_out_loss", mean(run.held_out_losses), "nat", run.held_out_losses.size());
    if (run.held_out_losses.empty()) {
        held_out.value = std::nullopt;
        held_out.reason = "no held-out batch was asked for";
    }
    return {
        metric_of("final_loss", mean(final_losses), "nat", last), held_out,
        metric_of("tokens_per_s", tokens_per_step / median(run.step_times_s), "1/s", steps),
        metric_of("nonfinite_steps", static_cast<double>(run.nonfinite_steps), "count", steps),
        metric_of("unused_gradients", static_cast<double>(run.unused_gradients), "count", steps)};
}

Json list_of(const std::vector<double>& values) {
    Json list = Json::array();
    for (const double value : values) list.push_back(finite_or_null(value));
    return list;
}

Result<double> perturbation_from(const Json& params) {
    if (!params.contains("perturb") || params["perturb"].is_null()) return 0.0;
    const Result<double> size = number_at(params, "perturb", "params");
    if (!size) return size.error();
    if (*size >= 0.0 && *size <= kPerturbationMax) return *size;
    return Error{ErrorCode::kBadInput, fmt::format("{} is not within 0 .. 1", *size),
                 "params: perturb"};
}

Result<Side> side_from(const Json& params, at::Device device, at::ScalarType dtype) {
    const Result<std::string> where = text_at(params, "where", "params");
    if (!where) return where.error();
    if (*where == "device") return device_side(device, dtype);
    if (*where == "reference") return dtype == at::kFloat ? reference_side() : twin_side(dtype);
    return Error{ErrorCode::kBadInput, "neither \"device\" nor \"reference\"", "params: where"};
}

}  // namespace

Result<Json> train(worker::Session& session, const Json& params) {
    const Result<Job> job = job_from_json(params);
    if (!job) return job.error();
    const auto side = side_from(params, session.device, job->dtype);
    if (!side) return side.error();
    const auto steps = bounded_integer(params, "steps", 1, kStepsMax, std::nullopt);
    if (!steps) return steps.error();
    const auto held_out = bounded_integer(params, "held_out_batches", 0, kBatchesMax, 0);
    if (!held_out) return held_out.error();
    const auto replica = bounded_integer(params, "replica", 0, kReplicasMax, 0);
    if (!replica) return replica.error();
    const auto perturbation = perturbation_from(params);
    if (!perturbation) return perturbation.error();

    const RepeatableKernels repeatable;
    const ThreadCount threads(side->threads);
    Trainer trainer(job->architecture, job->recipe,
                    {.arithmetic = side->arithmetic, .device = side->device, .seed = job->seed});
    if (*perturbation > 0.0) {
        perturb(trainer.model().parameters(), *perturbation, job->seed,
                static_cast<std::uint64_t>(*replica));
    }
    const Run run = run_steps(trainer, *steps, *held_out, job->hook(), session);
    const auto tokens =
        static_cast<double>(job->recipe.batch_sequences * job->recipe.sequence_length);
    Observation observation = observation_of(run, tokens);
    const StagesReport stages =
        run_stages(trainer.model(), job->recipe, job->seed,
                   [&](const std::string& text) { session.progress(1.0, text, Json()); });
    observation.insert(observation.end(), stages.observation.begin(), stages.observation.end());
    // What a control has corrupted is nobody's checkpoint.
    if (params.contains("save") && !job->tamper) {
        const auto folder = text_at(params, "save", "params");
        if (!folder) return folder.error();
        const auto written = write_published(trainer.model(), *folder, kShardBytes);
        if (!written) return written.error();
    }
    Json answer{{"observation", to_json(observation)},
                {"losses", list_of(run.losses)},
                {"grad_norms", list_of(run.grad_norms)},
                {"held_out_losses", list_of(run.held_out_losses)},
                {"stages", stages.stages},
                {"seconds", run.seconds},
                {"device_side", side->description}};
    if (job->tamper) answer["tampered"] = true;
    return answer;
}

}  // namespace ascertain::training
