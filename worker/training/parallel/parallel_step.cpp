// parallel_step: one training step by all ranks of the group together, against the same step by
// this rank alone.
#include <c10/core/GradMode.h>
#include <c10/util/Exception.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/observation.hpp"
#include "worker/collectives/group.hpp"
#include "worker/training/job.hpp"
#include "worker/training/metric.hpp"
#include "worker/training/parallel/fabric_exchange.hpp"
#include "worker/training/parallel/pipeline.hpp"
#include "worker/training/parallel/sharded_optimizer.hpp"
#include "worker/training/parallel/shared_model.hpp"
#include "worker/training/requests.hpp"
#include "worker/training/sides.hpp"
#include "worker/training/task.hpp"
#include "worker/training/trainer.hpp"

namespace ascertain::training {
namespace {

constexpr int kOptimizerSteps = 2;
constexpr std::int64_t kMicroBatches = 4;

struct Found {
    double loss = 0.0;      // relative
    double tensor = 0.0;    // largest difference of a gradient over its largest element
    double weights = -1.0;  // relative norm after the optimizer's steps; -1: not asked
    std::string worst;
    std::int64_t tensors = 0;
};

double relative_error(const at::Tensor& got, const at::Tensor& expected) {
    const double scale = expected.abs().max().to(at::kCPU).item<double>();
    const double error = got.sub(expected).abs().max().to(at::kCPU).item<double>();
    const double relative = scale > 0.0 ? error / scale : error;
    return std::isfinite(relative) ? relative : 1e30;
}

Batch batch_of(const Job& job, std::int64_t index, at::Device device) {
    return pretraining_batch(job.seed, Split::kTraining, index, job.recipe.batch_sequences,
                             job.recipe.sequence_length)
        .to(device);
}

PassOptions plain_pass() {
    return {};
}

// Gradients that are whole on this rank against those of the model on one rank.
void compare_tensor(Found& found, const std::string& name, const at::Tensor& got,
                    const at::Tensor& expected) {
    if (!expected.defined()) return;  // an expert that no token chose
    const double error = relative_error(got, expected);
    ++found.tensors;
    if (error <= found.tensor && !found.worst.empty()) return;
    found.tensor = std::max(found.tensor, error);
    found.worst = name;
}

double relative_loss(double got, double expected) {
    const double relative = std::abs(got / expected - 1.0);
    return std::isfinite(relative) ? relative : 1e30;
}

// 1F1B with a stage on each rank, or interleaved with two.
Result<Found> compare_pipeline(const Job& job, const ModelOptions& options,
                               std::int64_t stages_of_rank, Exchange& exchange) {
    const Batch batch = batch_of(job, 0, options.device);
    Model serial(job.architecture, options);
    const PassResult pass = compute_gradients(serial, batch, plain_pass());
    Model own(job.architecture, options);
    const auto loss =
        pipelined_gradients(own, batch, stages_of_rank * exchange.ranks(), kMicroBatches, exchange);
    if (!loss) return loss.error();
    Found found;
    found.loss = relative_loss(*loss, pass.next_token_loss.to(at::kCPU).item<double>());
    const c10::AutoGradMode no_gradients(false);
    const auto& all = own.parameters().all();
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (!all[i].trained) continue;
        compare_tensor(found, all[i].name, all[i].value.grad(),
                       serial.parameters().all()[i].value.grad());
    }
    return found;
}

Result<Found> compare_gradients(const Job& job, const ModelOptions& options, Form form,
                                Exchange& exchange) {
    auto shared = SharedModel::make(job.architecture, options, form, exchange);
    if (!shared) return shared.error();
    const Batch batch = batch_of(job, 0, options.device);
    Model serial(job.architecture, options);
    const PassResult pass = compute_gradients(serial, batch, plain_pass());
    const double loss = pass.next_token_loss.to(at::kCPU).item<double>();
    Found found;
    found.loss = relative_loss((*shared)->compute_gradients(batch), loss);
    const c10::AutoGradMode no_gradients(false);
    const auto& here = (*shared)->model().parameters().all();
    for (std::size_t i = 0; i < here.size(); ++i) {
        if (!here[i].trained) continue;
        compare_tensor(found, here[i].name, (*shared)->whole(i, here[i].value.grad()),
                       serial.parameters().all()[i].value.grad());
    }
    return found;
}

// ZeRO-1 against the optimizer that holds everything.
Result<double> compare_weights(const Job& job, const ModelOptions& options, Exchange& exchange) {
    auto shared = SharedModel::make(job.architecture, options, Form::kData, exchange);
    if (!shared) return shared.error();
    Model serial(job.architecture, options);
    Adamw whole(serial.parameters(), job.recipe.adamw);
    ShardedAdamw sharded((*shared)->model().parameters(), job.recipe.adamw, exchange);
    for (int step = 0; step < kOptimizerSteps; ++step) {
        const Batch batch = batch_of(job, step, options.device);
        const double rate = learning_rate_at(job.recipe.schedule(), step);
        static_cast<void>(compute_gradients(serial, batch, plain_pass()));
        static_cast<void>(clip_gradients(serial.parameters(), job.recipe.clip_norm));
        whole.step(rate);
        (*shared)->compute_gradients(batch, false);
        sharded.step(rate, job.recipe.clip_norm);
    }
    const c10::AutoGradMode no_gradients(false);
    double apart = 0.0;
    double total = 0.0;
    for (std::size_t i = 0; i < serial.parameters().all().size(); ++i) {
        const at::Tensor expected = serial.parameters().all()[i].value;
        const at::Tensor got = (*shared)->model().parameters().all()[i].value;
        apart += got.sub(expected).square().sum().to(at::kCPU).item<double>();
        total += expected.square().sum().to(at::kCPU).item<double>();
    }
    const double relative = std::sqrt(apart / total);
    return std::isfinite(relative) ? relative : 1e30;
}

Json answer_of(const Found& found, const collectives::Fabric& fabric) {
    Metric weights = metric_of("weights_relative_error", found.weights, "ratio");
    if (found.weights < 0.0) {
        weights.value = std::nullopt;
        weights.reason = "the optimizer is sharded in data parallel alone";
    }
    const Observation observation{
        metric_of("relative_loss", found.loss, "ratio"),
        metric_of("tensor_relative_error_max", found.tensor, "ratio"), weights,
        metric_of("tensors", static_cast<double>(found.tensors), "count")};
    return {{"observation", to_json(observation)},
            {"worst_tensor", found.worst},
            {"backend", fabric.backend()}};
}

Result<void> divides(const Job& job, Form form, std::int64_t ranks) {
    const std::int64_t size = form == Form::kContext ? job.recipe.sequence_length
                              : form == Form::kTensor
                                  ? job.recipe.batch_sequences * job.recipe.sequence_length
                                  : job.recipe.batch_sequences;
    if (size % ranks == 0) return {};
    return Error{ErrorCode::kUnsupported,
                 fmt::format("{} cannot be divided among {} ranks", size, ranks),
                 fmt::format("{} parallel", name_of(form))};
}

// "pipeline" and "interleaved", or a Form.
Result<Found> found_by(const std::string& form, const Job& job, const ModelOptions& options,
                       Exchange& exchange) {
    if (form == "pipeline") return compare_pipeline(job, options, 1, exchange);
    if (form == "interleaved") return compare_pipeline(job, options, 2, exchange);
    const Result<Form> known = form_from(form);
    if (!known) return known.error();
    const Result<void> fits = divides(job, *known, exchange.ranks());
    if (!fits) return fits.error();
    auto found = compare_gradients(job, options, *known, exchange);
    if (!found || *known != Form::kData) return found;
    const Result<double> weights = compare_weights(job, options, exchange);
    if (!weights) return weights.error();
    found->weights = *weights;
    return found;
}

Result<Json> step_of(const worker::Session& session, const Job& job, const std::string& form,
                     collectives::Fabric& fabric, bool loses_share) {
    const Side side = device_side(session.device, job.dtype);
    const RepeatableKernels repeatable;
    const ThreadCount threads(side.threads);
    const ModelOptions options{
        .arithmetic = side.arithmetic, .device = side.device, .seed = job.seed};
    FabricExchange exchange(fabric, loses_share);
    const Result<Found> found = found_by(form, job, options, exchange);
    if (!found) return found.error();
    return answer_of(*found, fabric);
}

}  // namespace

Result<Json> parallel_step(worker::Session& session, const Json& params) {
    // The tamper is of this request's own kind, so the job is read without it.
    Json plain = params;
    plain.erase("tamper");
    const Result<Job> job = job_from_json(plain);
    if (!job) return job.error();
    const Result<std::string> name = text_at(params, "form", "params");
    if (!name) return name.error();
    const auto group = collectives::group_of(session);
    if (group == nullptr) {
        return Error{ErrorCode::kBadInput, "this worker has not joined a group: rendezvous first",
                     "parallel_step"};
    }
    const bool tampers = params.contains("tamper") && !params["tamper"].is_null();
    ++group->number;
    const auto began = std::chrono::steady_clock::now();
    try {
        auto answer = step_of(session, *job, *name, *group->fabric, tampers);
        if (answer && tampers) {
            Json marked = *std::move(answer);
            marked["tampered"] = true;
            return marked;
        }
        return answer;
    } catch (const c10::Error&) {
        collectives::leave_group(session);
        throw;
    } catch (const std::exception& why) {
        const Seconds waited{
            std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count()};
        return Json{{"stopped", collectives::stopped(*name, group->number, waited, why)}};
    }
}

}  // namespace ascertain::training
