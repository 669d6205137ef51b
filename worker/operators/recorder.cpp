#include "worker/operators/recorder.hpp"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>
#include <c10/core/TensorOptions.h>
#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <unordered_map>

#include "base/assert.hpp"
#include "worker/operators/describe_call.hpp"
#include "worker/operators/prepare.hpp"

namespace ascertain::operators {
namespace {

using Clock = std::chrono::steady_clock;

// Units without a CPU kernel under their own name: composites that vendors replace by one fused
// kernel, judged as what the model calls, or the fused kernel would never be seen; and copies,
// which torch dispatches by hand.
constexpr std::array<std::string_view, 7> kUnitsByName = {"aten::scaled_dot_product_attention",
                                                          "aten::rms_norm",
                                                          "aten::_fused_rms_norm",
                                                          "aten::_grouped_mm",
                                                          "aten::linear",
                                                          "aten::cross_entropy_loss",
                                                          "aten::copy_"};

// Libraries of torch itself; operators of any other come from the user or a vendor.
constexpr std::array<std::string_view, 10> kOwnLibraries = {
    "aten",     "prim",       "prims",     "profiler",        "c10d", "_c10d_functional",
    "inductor", "debugprims", "ascertain", "ascertain_module"};

// Whether `look` holds for any tensor among the arguments.
template <typename Look>
bool any_tensor(c10::ArrayRef<const c10::IValue> inputs, Look look) {
    return std::any_of(inputs.begin(), inputs.end(), [&](const c10::IValue& input) {
        if (input.isTensor()) return input.toTensor().defined() && look(input.toTensor());
        if (!input.isTensorList()) return false;
        const auto list = input.toTensorVector();
        return std::any_of(list.begin(), list.end(),
                           [&](const at::Tensor& item) { return item.defined() && look(item); });
    });
}

// A tensor that stands for one: of a tracer, a wrapper, or on no device. What is inside is recorded
// by itself.
bool stands_for_another(const at::Tensor& tensor) {
    return tensor.is_meta() || tensor.key_set().has(c10::DispatchKey::Python);
}

double seconds_between(Clock::time_point start, Clock::time_point end) {
    return std::chrono::duration<double>(end - start).count();
}

// What the dispatcher knows of an operator, looked up once.
struct KnownOperator {
    const c10::FunctionSchema* schema = nullptr;
    bool is_unit = false;
    bool computes = false;
};

// A unit that has begun; the callbacks hand it from start to end.
struct OpenUnit : at::ObserverContext {
    enum class Kind { kUnit, kInside, kOptimizer };  // kInside: an operator inside a unit
    Kind kind = Kind::kInside;
    std::size_t call = 0;
    Clock::time_point start;
};

// Units open on this thread: 0 outside, 1 in a unit, more in what it calls.
thread_local int depth = 0;
// Copies between devices in the unit that is open on this thread.
thread_local std::int64_t copies_inside = 0;
thread_local double bytes_inside = 0.0;

}  // namespace

class Recorder::Impl {
public:
    Impl(c10::Device device, bool keep_times, Phases phases)
        : keep_times_(keep_times), phases_(phases), recording_(phases == Phases::kSeen) {
        recording_so_far_.device = device;
        Impl* expected = nullptr;
        ASCERTAIN_ASSERT(active.compare_exchange_strong(expected, this));
        handle_ = at::addGlobalCallback(
            at::RecordFunctionCallback(&Impl::on_start, &Impl::on_end)
                .needsInputs(true)
                .scopes({at::RecordScope::FUNCTION, at::RecordScope::USER_SCOPE}));
    }
    ~Impl() { stop(); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;

    void set_phase(std::string phase) {
        const std::lock_guard lock(mutex_);
        phase_ = std::move(phase);
        if (paused_at_) recording_so_far_.overhead_s += seconds_between(*paused_at_, Clock::now());
        paused_at_.reset();
        recording_ = true;
    }

    void set_module(std::string module) {
        const std::lock_guard lock(mutex_);
        module_ = std::move(module);
    }

    void name_recent(const std::string& module) {
        const std::lock_guard lock(mutex_);
        std::vector<RecordedCall>& calls = recording_so_far_.calls;
        for (; named_ < calls.size(); ++named_) {
            if (!calls[named_].module.empty()) continue;
            calls[named_].module = module;
            if (calls[named_].call_case) calls[named_].call_case->module = module;
        }
    }

    void pause() {
        const std::lock_guard lock(mutex_);
        if (!paused_at_) paused_at_ = Clock::now();
        recording_ = false;
    }

    double overhead_s() {
        const std::lock_guard lock(mutex_);
        return recording_so_far_.overhead_s;
    }

    Recording stop() {
        if (active.load() == this) {
            at::removeCallback(handle_);
            active = nullptr;
        }
        const std::lock_guard lock(mutex_);
        return std::move(recording_so_far_);
    }

private:
    // Callbacks are plain functions: this is how they find the recorder.
    static inline std::atomic<Impl*> active = nullptr;

    static std::unique_ptr<at::ObserverContext> on_start(const at::RecordFunction& function) {
        Impl* recorder = active.load();
        return recorder == nullptr ? nullptr : recorder->begin(function);
    }
    static void on_end(const at::RecordFunction&, at::ObserverContext* context) {
        Impl* recorder = active.load();
        auto* open = static_cast<OpenUnit*>(context);
        if (open == nullptr) return;
        if (open->kind == OpenUnit::Kind::kOptimizer) {
            if (recorder != nullptr) --recorder->optimizers_open_;
            return;
        }
        --depth;
        if (recorder != nullptr && open->kind == OpenUnit::Kind::kUnit) recorder->end(*open);
    }

    std::unique_ptr<at::ObserverContext> enter_scope(const at::RecordFunction& function) {
        if (!std::string_view(function.name()).starts_with(kOptimizerScope)) return nullptr;
        ++optimizers_open_;
        auto open = std::make_unique<OpenUnit>();
        open->kind = OpenUnit::Kind::kOptimizer;
        return open;
    }

    std::string phase_now() {
        if (phases_ == Phases::kTold) return phase_;
        if (torch::autograd::get_current_graph_task_id() != -1) {
            gradients_there_ = true;
            return "backward";
        }
        if (optimizers_open_ > 0) return "optimizer";
        if (gradients_there_ && !c10::GradMode::is_enabled()) return "clip";
        gradients_there_ = false;
        return "forward";
    }

    std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
        if (function.scope() == at::RecordScope::USER_SCOPE) return enter_scope(function);
        if (depth == 0 && !recording_) return nullptr;
        if (depth > 0) {
            ++depth;
            note_copy(function);
            return std::make_unique<OpenUnit>();
        }
        const std::optional<c10::OperatorName> name = function.operator_name();
        if (!name) return nullptr;
        const Clock::time_point arrived = Clock::now();
        const std::lock_guard lock(mutex_);
        note_device(function.inputs());
        const KnownOperator& known = look_up(*name);
        if (!known.is_unit || any_tensor(function.inputs(), stands_for_another)) return nullptr;
        depth = 1;
        copies_inside = 0;
        bytes_inside = 0.0;
        auto open = std::make_unique<OpenUnit>();
        open->kind = OpenUnit::Kind::kUnit;
        open->call = find_call(known, function.inputs(), phase_now());
        if (keep_times_) synchronise(recording_so_far_.device);
        open->start = Clock::now();
        recording_so_far_.overhead_s += seconds_between(arrived, open->start);
        return open;
    }

    void note_device(c10::ArrayRef<const c10::IValue> inputs) {
        if (!recording_so_far_.device.is_cpu()) return;
        any_tensor(inputs, [&](const at::Tensor& tensor) {
            if (!tensor.is_cpu()) recording_so_far_.device = tensor.device();
            return !tensor.is_cpu();
        });
    }

    // An operator that is handed to the host copies its arguments there and its results back.
    static void note_copy(const at::RecordFunction& function) {
        const std::string_view name = function.name();
        if (name != "aten::copy_" && name != "aten::_copy_from_and_resize") return;
        const c10::ArrayRef<const c10::IValue> inputs = function.inputs();
        if (inputs.size() < 2 || !inputs[0].isTensor() || !inputs[1].isTensor()) return;
        const at::Tensor& to = inputs[0].toTensor();
        const at::Tensor& from = inputs[1].toTensor();
        if (!to.defined() || !from.defined()) return;
        // One number is read back by healthy kernels too.
        if (to.device().type() == from.device().type() || from.numel() <= 1) return;
        ++copies_inside;
        bytes_inside += static_cast<double>(from.nbytes());
    }

    void end(const OpenUnit& open) {
        if (keep_times_) synchronise(recording_so_far_.device);
        const Clock::time_point now = Clock::now();
        const std::lock_guard lock(mutex_);
        RecordedCall& call = recording_so_far_.calls[open.call];
        ++call.count;
        call.host_copies += copies_inside;
        call.host_copy_bytes += bytes_inside;
        if (call.call_case) call.call_case->count = call.count;
        if (keep_times_) call.seconds += seconds_between(open.start, now);
    }

    // A kernel for the device at hand, or one for all devices.
    bool has_kernel_of_its_own(const c10::OperatorHandle& op) const {
        const c10::DispatchKey here =
            c10::computeDispatchKey(at::kFloat, at::kStrided, recording_so_far_.device);
        return op.hasKernelForDispatchKey(here) ||
               op.hasKernelForDispatchKey(c10::DispatchKey::CompositeExplicitAutograd);
    }

    const KnownOperator& look_up(const c10::OperatorName& name) {
        const auto found = known_.find(name);
        if (found != known_.end()) return found->second;
        KnownOperator known;
        if (const auto op = c10::Dispatcher::singleton().findSchema(name)) {
            known.schema = &op->schema();
            known.is_unit = op->hasKernelForDispatchKey(c10::DispatchKey::CPU) ||
                            std::find(kUnitsByName.begin(), kUnitsByName.end(), name.name) !=
                                kUnitsByName.end() ||
                            (is_foreign(name.name) && has_kernel_of_its_own(*op));
            known.computes = computes(*known.schema);
        }
        return known_.emplace(name, known).first->second;
    }

    // The entry for a call, made at its first appearance. Looking at values must not be recorded
    // itself, nor leave a trace in autograd.
    std::size_t find_call(const KnownOperator& known, c10::ArrayRef<const c10::IValue> inputs,
                          const std::string& phase) {
        const at::RecordFunctionGuard quiet(false);
        const c10::AutoGradMode no_gradients(false);
        const at::AutoDispatchBelowADInplaceOrView below_autograd;
        const std::string key = phase + "/" + call_key(*known.schema, inputs);
        const auto found = places_.find(key);
        if (found != places_.end()) return found->second;
        RecordedCall call;
        call.op = known.schema->name();
        call.overload = known.schema->overload_name();
        call.phase = phase;
        call.module = module_;
        call.compute = known.computes;
        if (call.compute) {
            call.gemm = gemm_of(*known.schema, inputs);
            describe(call, *known.schema, inputs);
        }
        const std::size_t place = recording_so_far_.calls.size();
        recording_so_far_.calls.push_back(std::move(call));
        places_.emplace(key, place);
        return place;
    }

    // What throws in a callback is swallowed by torch, and the call would be lost: keep the reason.
    static void describe(RecordedCall& call, const c10::FunctionSchema& schema,
                         c10::ArrayRef<const c10::IValue> inputs) {
        try {
            Result<Case> described = describe_call(schema, inputs);
            if (!described) {
                call.without_case_reason = described.error().message;
                return;
            }
            described->phase = call.phase;
            described->module = call.module;
            call.call_case = std::move(*described);
        } catch (const std::exception& error) {
            call.without_case_reason = error.what();
        }
    }

    bool keep_times_;
    Phases phases_;
    at::CallbackHandle handle_{};
    std::atomic<bool> recording_;
    std::atomic<int> optimizers_open_ = 0;
    bool gradients_there_ = false;  // a backward pass ran and no forward pass since
    std::optional<Clock::time_point> paused_at_;
    std::mutex mutex_;
    std::string phase_;
    std::string module_;
    std::size_t named_ = 0;  // calls before this one have their module
    std::unordered_map<c10::OperatorName, KnownOperator> known_;
    std::unordered_map<std::string, std::size_t> places_;
    Recording recording_so_far_;
};

Recorder::Recorder(c10::Device device, bool keep_times, Phases phases)
    : impl_(std::make_unique<Impl>(device, keep_times, phases)) {}
Recorder::~Recorder() = default;
void Recorder::set_phase(std::string phase) {
    impl_->set_phase(std::move(phase));
}
void Recorder::set_module(std::string module) {
    impl_->set_module(std::move(module));
}
void Recorder::name_recent(const std::string& module) {
    impl_->name_recent(module);
}
void Recorder::pause() {
    impl_->pause();
}
double Recorder::overhead_s() const {
    return impl_->overhead_s();
}
Recording Recorder::stop() {
    return impl_->stop();
}

bool is_foreign(std::string_view op) {
    const std::string_view library = op.substr(0, op.find("::"));
    return std::find(kOwnLibraries.begin(), kOwnLibraries.end(), library) == kOwnLibraries.end();
}

std::string_view support_of(const std::string& op, const std::string& overload,
                            c10::Device device) {
    c10::Dispatcher& dispatcher = c10::Dispatcher::singleton();
    const c10::DispatchKey key = c10::computeDispatchKey(at::kFloat, at::kStrided, device);
    const auto handle = dispatcher.findSchema({op, overload});
    if (!handle) return "missing";
    if (handle->hasKernelForDispatchKey(key)) return "native";
    // Structured operators are registered as their out form.
    for (const std::string& form :
         {overload.empty() ? std::string("out") : overload + "_out", std::string("out")}) {
        const std::string base = op.ends_with('_') ? op.substr(0, op.size() - 1) : op;
        const auto out = dispatcher.findSchema({base, form});
        if (out && out->hasKernelForDispatchKey(key)) return "native";
    }
    for (const c10::DispatchKey composite : {c10::DispatchKey::CompositeImplicitAutograd,
                                             c10::DispatchKey::CompositeExplicitAutograd}) {
        if (handle->hasKernelForDispatchKey(composite)) return "composite";
    }
    if (dispatcher.hasBackendFallbackForDispatchKey(key)) return "fallback";
    // Copies are dispatched by hand, to each device's own.
    return op == "aten::copy_" ? "native" : "missing";
}

}  // namespace ascertain::operators
