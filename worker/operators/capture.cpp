#include "worker/operators/capture.hpp"

#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <tuple>

#include "base/observation.hpp"
#include "base/random.hpp"
#include "worker/operators/dtype.hpp"
#include "worker/operators/prepare.hpp"
#include "worker/training/model.hpp"
#include "worker/training/optimizer.hpp"

namespace ascertain::operators {
namespace {

using Clock = std::chrono::steady_clock;

constexpr double kLearningRate = 1e-4;
constexpr double kClipNorm = 1.0;
// Moments exist for so many parameters at a time: a rank's share of a large model, its gradients
// and its moments together would not fit where its weights just do.
constexpr std::int64_t kOptimizerElements = std::int64_t{1} << 26;
constexpr std::int64_t kTokensMax = std::int64_t{1} << 24;

training::Batch random_batch(const model::Architecture& architecture, const CaptureOptions& options,
                             at::Device device) {
    Random random(options.seed, 3);
    at::Tensor text = at::empty({options.sequences, options.sequence_length + 1},
                                at::TensorOptions().dtype(at::kLong));
    auto* tokens = text.mutable_data_ptr<std::int64_t>();
    for (std::int64_t i = 0; i < text.numel(); ++i) {
        tokens[i] = static_cast<std::int64_t>(
            random.below(static_cast<std::uint64_t>(architecture.vocab_size)));
    }
    const training::Batch batch{text.narrow(1, 0, options.sequence_length).contiguous(),
                                text.narrow(1, 1, options.sequence_length).contiguous()};
    return batch.to(device);
}

// Parameters that are updated by one call: alike in weight decay and not too many.
struct Bucket {
    bool decays = false;
    std::vector<at::Tensor> values, gradients;
};

std::vector<Bucket> buckets_of(training::Parameters& parameters) {
    std::vector<Bucket> buckets;
    for (const bool decays : {true, false}) {
        std::int64_t elements = 0;
        for (const training::Parameter& parameter : parameters.all()) {
            if (!parameter.trained || parameter.decays != decays) continue;
            if (buckets.empty() || buckets.back().decays != decays ||
                elements + parameter.value.numel() > kOptimizerElements) {
                buckets.push_back({.decays = decays, .values = {}, .gradients = {}});
                elements = 0;
            }
            elements += parameter.value.numel();
            buckets.back().values.push_back(parameter.value);
            buckets.back().gradients.push_back(parameter.value.grad());
        }
    }
    return buckets;
}

class Step {
public:
    Step(training::Model& model, training::Batch batch) : model_(model), batch_(std::move(batch)) {}

    // One whole step. `recorder` is told of the phases; null: nothing is recorded.
    void run(Recorder* recorder) {
        const auto enter = [&](const char* phase) {
            if (recorder != nullptr) recorder->set_phase(phase);
        };
        model_.parameters().clear_gradients();
        enter("forward");
        {
            const at::Tensor loss = model_.pass(batch_, {}).loss;
            enter("backward");
            training::backward(loss);
        }
        enter("clip");
        static_cast<void>(training::clip_gradients(model_.parameters(), kClipNorm));
        const c10::AutoGradMode no_gradients(false);
        for (Bucket& bucket : buckets_of(model_.parameters())) update(bucket, recorder);
    }

private:
    // The second update of these parameters: after the first, moments are what they are in a run.
    static void update(Bucket& bucket, Recorder* recorder) {
        std::vector<at::Tensor> first, second, steps;
        for (const at::Tensor& value : bucket.values) {
            if (recorder != nullptr) recorder->pause();
            first.push_back(at::zeros_like(value));
            second.push_back(at::zeros_like(value));
            steps.push_back(at::zeros({}, value.options().dtype(at::kFloat)));
        }
        const training::AdamwOptions adamw;
        for (int round = 0; round < (recorder == nullptr ? 1 : 2); ++round) {
            if (recorder != nullptr && round == 1) recorder->set_phase("optimizer");
            at::_foreach_add_(steps, 1);
            at::_fused_adamw_(bucket.values, bucket.gradients, first, second, {}, steps,
                              kLearningRate, adamw.beta1, adamw.beta2,
                              bucket.decays ? adamw.weight_decay : 0.0, adamw.epsilon,
                              /*amsgrad=*/false, /*maximize=*/false);
        }
    }

    training::Model& model_;
    training::Batch batch_;
};

Json gemms_document(const Recording& recording) {
    using Key = std::tuple<std::string, std::string, std::int64_t, std::int64_t, std::int64_t,
                           std::int64_t>;
    std::map<Key, std::int64_t> counts;
    for (const RecordedCall& call : recording.calls) {
        if (!call.gemm) continue;
        counts[{call.op, call.phase, call.gemm->m, call.gemm->n, call.gemm->k, call.gemm->batch}] +=
            call.count;
    }
    Json list = Json::array();
    for (const auto& [key, count] : counts) {
        const auto& [name, phase, m, n, k, batch] = key;
        list.push_back({{"name", name},
                        {"phase", phase},
                        {"m", m},
                        {"n", n},
                        {"k", k},
                        {"batch", batch},
                        {"count", count}});
    }
    return list;
}

struct OperatorRow {
    std::int64_t count = 0;
    double seconds = 0.0;
    bool compute = true;
    Json case_ids = Json::array();
    std::string without_case_reason;
};

Json operators_document(const Capture& captured, bool keep_time_shares, at::Device device) {
    using Key = std::tuple<std::string, std::string, std::string>;
    std::map<Key, OperatorRow> rows;
    std::vector<Key> order;
    for (const RecordedCall& call : captured.recording.calls) {
        const Key key{call.op, call.overload, call.phase};
        const auto [found, is_new] = rows.try_emplace(key);
        if (is_new) order.push_back(key);
        OperatorRow& row = found->second;
        row.count += call.count;
        row.seconds += call.seconds;
        row.compute = call.compute;
        if (call.call_case) row.case_ids.push_back(id_of(*call.call_case));
        if (!call.without_case_reason.empty()) row.without_case_reason = call.without_case_reason;
    }
    Json list = Json::array();
    for (const Key& key : order) {
        const auto& [name, overload, phase] = key;
        const OperatorRow& row = rows.at(key);
        Json item = {{"name", name},
                     {"overload", overload},
                     {"phase", phase},
                     {"compute", row.compute},
                     {"support", support_of(name, overload, device)},
                     {"count", row.count}};
        item["share_of_step"] =
            keep_time_shares ? Json(row.seconds / captured.step_s) : Json(nullptr);
        if (!keep_time_shares) item["share_of_step_reason"] = "keep_time_shares is false";
        item["case_ids"] = row.case_ids;
        item["without_case_reason"] =
            row.without_case_reason.empty() ? Json(nullptr) : Json(row.without_case_reason);
        list.push_back(std::move(item));
    }
    return list;
}

Json cases_document(const Recording& recording) {
    Json list = Json::array();
    for (const RecordedCall& call : recording.calls) {
        if (call.call_case) list.push_back(to_json(*call.call_case));
    }
    return list;
}

Result<CaptureOptions> options_from(const Json& params) {
    CaptureOptions options;
    const Result<std::int64_t> sequences = count_at(params, "sequences", 1, kTokensMax);
    if (!sequences) return sequences.error();
    const Result<std::int64_t> length = count_at(params, "sequence_length", 1, kTokensMax);
    if (!length) return length.error();
    const Result<std::int64_t> seed = count_at(params, "seed", 0, std::int64_t{1} << 53);
    if (!seed) return seed.error();
    const Result<std::string> dtype = text_at(params, "dtype", "params");
    if (!dtype) return dtype.error();
    const Result<c10::ScalarType> known = dtype_from(*dtype);
    if (!known) return known.error();
    const Result<std::string> optimizer = text_at(params, "optimizer", "params");
    if (!optimizer) return optimizer.error();
    if (*optimizer != "adamw") {
        return Error{ErrorCode::kUnsupported, "the only optimizer is \"adamw\"",
                     "params: optimizer"};
    }
    if (*known != at::kFloat && *known != at::kBFloat16 && *known != at::kHalf) {
        return Error{ErrorCode::kUnsupported, "dtype must be fp32, bf16 or fp16", "params: dtype"};
    }
    if (params.contains("keep_time_shares")) {
        const Result<bool> keep = flag_at(params, "keep_time_shares", "params");
        if (!keep) return keep.error();
        options.keep_time_shares = *keep;
    }
    options.sequences = *sequences;
    options.sequence_length = *length;
    options.dtype = *known;
    options.seed = static_cast<std::uint64_t>(*seed);
    return options;
}

}  // namespace

Capture capture_step(worker::Session& session, const model::Architecture& architecture,
                     const CaptureOptions& options) {
    const auto report = [&](double share, const char* text) {
        if (session.progress) session.progress(share, text, {});
    };
    report(0.0, "building the model");
    training::Model model(
        architecture,
        {.arithmetic = {.dtype = options.dtype}, .device = session.device, .seed = options.seed});
    Step step(model, random_batch(architecture, options, session.device));
    report(0.2, "warming up");
    step.run(nullptr);
    synchronise(session.device);
    report(0.5, "recording one step");
    Capture captured;
    Recorder recorder(session.device, options.keep_time_shares);
    const Clock::time_point start = Clock::now();
    step.run(&recorder);
    synchronise(session.device);
    const double wall_s = std::chrono::duration<double>(Clock::now() - start).count();
    captured.recording = recorder.stop();
    captured.step_s = std::max(1e-9, wall_s - captured.recording.overhead_s);
    return captured;
}

Result<Json> capture(worker::Session& session, const Json& params) {
    if (!params.contains("architecture")) {
        return Error{ErrorCode::kBadInput, "\"architecture\" is missing", "params"};
    }
    const Result<model::Architecture> architecture =
        model::architecture_from_json(params["architecture"], "architecture");
    if (!architecture) return architecture.error();
    const Result<CaptureOptions> options = options_from(params);
    if (!options) return options.error();
    const Capture captured = capture_step(session, *architecture, *options);
    const Observation observation = {
        {"step_s", captured.step_s, "s", 1, std::nullopt, std::nullopt, ""}};
    return Json{
        {"cases", cases_document(captured.recording)},
        {"operators", operators_document(captured, options->keep_time_shares, session.device)},
        {"gemms", gemms_document(captured.recording)},
        {"step_s", captured.step_s},
        {"observation", to_json(observation)}};
}

}  // namespace ascertain::operators
