#include <fmt/format.h>

#include <algorithm>

#include "worker/training/forced.hpp"
#include "worker/training/job.hpp"
#include "worker/training/requests.hpp"

namespace ascertain::training {
namespace {

constexpr std::int64_t kStepMax = 100'000;
constexpr std::int64_t kBatchesMax = 4096;

Result<std::vector<std::int64_t>> steps_from(const Json& params) {
    const auto found = params.find("steps");
    if (found == params.end() || !found->is_array() || found->empty()) {
        return Error{ErrorCode::kBadInput, "not a list of steps", "params: steps"};
    }
    std::vector<std::int64_t> steps;
    for (const Json& entry : *found) {
        if (!entry.is_number_integer() || entry.get<std::int64_t>() < 0 ||
            entry.get<std::int64_t>() > kStepMax) {
            return Error{ErrorCode::kBadInput, fmt::format("not a step from 0 to {}", kStepMax),
                         "params: steps"};
        }
        steps.push_back(entry.get<std::int64_t>());
    }
    std::sort(steps.begin(), steps.end());
    steps.erase(std::unique(steps.begin(), steps.end()), steps.end());
    return steps;
}

Json to_json(const ForcedPoint& point) {
    return {{"step", point.step},
            {"batch", point.batch},
            {"loss_device", finite_or_null(point.loss_device)},
            {"loss_reference", finite_or_null(point.loss_reference)},
            {"loss_twin", finite_or_null(point.loss_twin)},
            {"grad_norm_device", finite_or_null(point.grad_norm_device)},
            {"grad_norm_reference", finite_or_null(point.grad_norm_reference)},
            {"grad_norm_twin", finite_or_null(point.grad_norm_twin)},
            {"gradient_relative_error", finite_or_null(point.gradient_error)},
            {"worst_tensor", point.worst_tensor}};
}

Json to_json(const ForcedTensor& tensor) {
    return {{"name", tensor.name},
            {"relative_error", finite_or_null(tensor.relative_error)},
            {"one_minus_cosine", finite_or_null(tensor.one_minus_cosine)},
            {"one_minus_cosine_twin", finite_or_null(tensor.one_minus_cosine_twin)}};
}

Json to_json(const std::optional<Located>& located) {
    if (!located) return {};
    return {{"module", located->module},
            {"phase", located->phase},
            {"relative_error", finite_or_null(located->relative_error)},
            {"relative_error_twin", finite_or_null(located->relative_error_twin)}};
}

template <typename T>
Json list_of(const std::vector<T>& entries) {
    Json list = Json::array();
    for (const T& entry : entries) list.push_back(to_json(entry));
    return list;
}

}  // namespace

Result<Json> teacher_force(worker::Session& session, const Json& params) {
    const Result<Job> job = job_from_json(params);
    if (!job) return job.error();
    const auto steps = steps_from(params);
    if (!steps) return steps.error();
    const auto batches = bounded_integer(params, "batches", 1, kBatchesMax, std::nullopt);
    if (!batches) return batches.error();

    const ForcedPlan plan{.architecture = job->architecture,
                          .recipe = job->recipe,
                          .steps = *steps,
                          .batches = *batches,
                          .seed = job->seed,
                          .device = device_side(session.device, job->dtype),
                          .twin = twin_side(job->dtype),
                          .hook = job->hook()};
    const RepeatableKernels repeatable;
    const ForcedResult result = compare_forced(plan, [&](double share) {
        session.progress(share, fmt::format("{:.0f} % compared", 100.0 * share), Json());
    });
    Json answer{{"observation", ascertain::to_json(result.observation)},
                {"points", list_of(result.points)},
                {"tensors", list_of(result.tensors)},
                {"located", to_json(result.located)},
                {"device_side", plan.device.description},
                {"twin_side", plan.twin.description}};
    if (job->tamper) answer["tampered"] = true;
    return answer;
}

}  // namespace ascertain::training
