#include "worker/operators/capture.hpp"

#include <ATen/autocast_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <optional>

#include "base/observation.hpp"
#include "base/random.hpp"
#include "worker/operators/dtype.hpp"
#include "worker/operators/prepare.hpp"
#include "worker/operators/recording_document.hpp"
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
constexpr std::int64_t kGeneratedTokens = 2;
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

// Autocast for as long as it lives, where it is asked for.
class Autocast {
public:
    Autocast(bool wanted, c10::DeviceType type, c10::ScalarType dtype)
        : wanted_(wanted), type_(type) {
        if (!wanted_) return;
        at::autocast::set_autocast_dtype(type_, dtype);
        at::autocast::set_autocast_enabled(type_, true);
    }
    ~Autocast() {
        if (!wanted_) return;
        at::autocast::clear_cache();
        at::autocast::set_autocast_enabled(type_, false);
    }
    Autocast(const Autocast&) = delete;
    Autocast& operator=(const Autocast&) = delete;

private:
    bool wanted_;
    c10::DeviceType type_;
};

class Step {
public:
    Step(training::Model& model, training::Batch batch, const CaptureOptions& options)
        : model_(model), batch_(std::move(batch)), options_(options) {}

    // A prompt and then single tokens, as rollouts and serving do it.
    void generate(Recorder* recorder) {
        if (recorder != nullptr) recorder->set_phase(std::string(kGeneration));
        const std::int64_t prompt = std::max<std::int64_t>(1, batch_.tokens.size(1) / 2);
        training::KvCache cache;
        cache.capacity = prompt + kGeneratedTokens;
        static_cast<void>(model_.decode(batch_.tokens.narrow(1, 0, prompt), cache));
        for (std::int64_t i = 0; i < kGeneratedTokens; ++i)
            static_cast<void>(model_.decode(batch_.tokens.narrow(1, i, 1), cache));
    }

    // One whole step. `recorder` is told of the phases; null: nothing is recorded.
    void run(Recorder* recorder) {
        const auto enter = [&](const char* phase) {
            if (recorder != nullptr) recorder->set_phase(phase);
        };
        model_.parameters().clear_gradients();
        enter("forward");
        {
            at::Tensor loss;
            {
                const Autocast autocast(options_.autocast, model_.device().type(), options_.dtype);
                loss = model_.pass(batch_, pass_options(recorder)).loss;
            }
            if (recorder != nullptr) recorder->name_recent("head");
            enter("backward");
            training::backward(loss);
        }
        enter("clip");
        static_cast<void>(training::clip_gradients(model_.parameters(), kClipNorm));
        const c10::AutoGradMode no_gradients(false);
        for (Bucket& bucket : buckets_of(model_.parameters())) update(bucket, recorder);
    }

private:
    static training::PassOptions pass_options(Recorder* recorder) {
        training::PassOptions options;
        if (recorder != nullptr) {
            options.observe = [recorder](const std::string& module, const at::Tensor&) {
                recorder->name_recent(module);
            };
        }
        return options;
    }

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
    const CaptureOptions& options_;
};

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
    for (const auto& [key, flag] :
         {std::pair{"autocast", &options.autocast}, std::pair{"generation", &options.generation}}) {
        if (!params.contains(key)) continue;
        const Result<bool> value = flag_at(params, key, "params");
        if (!value) return value.error();
        *flag = *value;
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
    training::Model model(architecture,
                          {.arithmetic = {.dtype = options.autocast ? at::kFloat : options.dtype},
                           .device = session.device,
                           .seed = options.seed});
    Step step(model, random_batch(architecture, options, session.device), options);
    report(0.2, "warming up");
    step.run(nullptr);
    if (options.generation) step.generate(nullptr);
    synchronise(session.device);
    report(0.5, "recording one step");
    Capture captured;
    Recorder recorder(session.device, options.keep_time_shares);
    const Clock::time_point start = Clock::now();
    step.run(&recorder);
    synchronise(session.device);
    const double wall_s = std::chrono::duration<double>(Clock::now() - start).count();
    captured.step_s = std::max(1e-9, wall_s - recorder.overhead_s());
    if (options.generation) step.generate(&recorder);
    captured.recording = recorder.stop();
    return captured;
}

namespace {

// How the device comes by the operators that `params.expected` lists.
Json expected_document(const Json& params, at::Device device) {
    Json list = Json::array();
    const auto expected = params.find("expected");
    if (expected == params.end() || !expected->is_array()) return list;
    for (const Json& entry : *expected) {
        const Result<std::string> name = text_at(entry, "name", "expected");
        const Result<std::string> overload = text_at(entry, "overload", "expected");
        if (!name || !overload) continue;
        list.push_back({{"name", *name},
                        {"overload", *overload},
                        {"support", support_of(*name, *overload, device)}});
    }
    return list;
}

}  // namespace

Result<Json> support(worker::Session& session, const Json& params) {
    return Json{{"observation", Json::array()},
                {"expected", expected_document(params, session.device)}};
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
        {"operators", operators_document(captured.recording, options->keep_time_shares
                                                                 ? std::optional(captured.step_s)
                                                                 : std::nullopt)},
        {"gemms", gemms_document(captured.recording)},
        {"expected", expected_document(params, session.device)},
        {"step_s", captured.step_s},
        {"observation", to_json(observation)}};
}

}  // namespace ascertain::operators
