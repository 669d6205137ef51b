#include "worker/operators/recorder.hpp"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/record_function.h>
#include <c10/core/GradMode.h>
#include <c10/core/TensorOptions.h>

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
    std::size_t call = 0;
    bool counts = false;  // false: an operator inside a unit
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
    Impl(c10::Device device, bool keep_times) : device_(device), keep_times_(keep_times) {
        Impl* expected = nullptr;
        ASCERTAIN_ASSERT(active.compare_exchange_strong(expected, this));
        handle_ = at::addGlobalCallback(at::RecordFunctionCallback(&Impl::on_start, &Impl::on_end)
                                            .needsInputs(true)
                                            .scopes({at::RecordScope::FUNCTION}));
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
        --depth;
        if (recorder != nullptr && open->counts) recorder->end(*open);
    }

    std::unique_ptr<at::ObserverContext> begin(const at::RecordFunction& function) {
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
        const KnownOperator& known = look_up(*name);
        if (!known.is_unit) return nullptr;
        depth = 1;
        copies_inside = 0;
        bytes_inside = 0.0;
        auto open = std::make_unique<OpenUnit>();
        open->counts = true;
        open->call = find_call(known, function.inputs());
        if (keep_times_) synchronise(device_);
        open->start = Clock::now();
        recording_so_far_.overhead_s += seconds_between(arrived, open->start);
        return open;
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
        if (keep_times_) synchronise(device_);
        const Clock::time_point now = Clock::now();
        const std::lock_guard lock(mutex_);
        RecordedCall& call = recording_so_far_.calls[open.call];
        ++call.count;
        call.host_copies += copies_inside;
        call.host_copy_bytes += bytes_inside;
        if (call.call_case) call.call_case->count = call.count;
        if (keep_times_) call.seconds += seconds_between(open.start, now);
    }

    const KnownOperator& look_up(const c10::OperatorName& name) {
        const auto found = known_.find(name);
        if (found != known_.end()) return found->second;
        KnownOperator known;
        if (const auto op = c10::Dispatcher::singleton().findSchema(name)) {
            known.schema = &op->schema();
            known.is_unit = op->hasKernelForDispatchKey(c10::DispatchKey::CPU) ||
                            std::find(kUnitsByName.begin(), kUnitsByName.end(), name.name) !=
                                kUnitsByName.end();
            known.computes = computes(*known.schema);
        }
        return known_.emplace(name, known).first->second;
    }

    // The entry for a call, made at its first appearance. Looking at values must not be recorded
    // itself, nor leave a trace in autograd.
    std::size_t find_call(const KnownOperator& known, c10::ArrayRef<const c10::IValue> inputs) {
        const at::RecordFunctionGuard quiet(false);
        const c10::AutoGradMode no_gradients(false);
        const at::AutoDispatchBelowADInplaceOrView below_autograd;
        const std::string key = phase_ + "/" + call_key(*known.schema, inputs);
        const auto found = places_.find(key);
        if (found != places_.end()) return found->second;
        RecordedCall call;
        call.op = known.schema->name();
        call.overload = known.schema->overload_name();
        call.phase = phase_;
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

    c10::Device device_;
    bool keep_times_;
    at::CallbackHandle handle_{};
    std::atomic<bool> recording_ = false;
    std::optional<Clock::time_point> paused_at_;
    std::mutex mutex_;
    std::string phase_;
    std::string module_;
    std::size_t named_ = 0;  // calls before this one have their module
    std::unordered_map<c10::OperatorName, KnownOperator> known_;
    std::unordered_map<std::string, std::size_t> places_;
    Recording recording_so_far_;
};

Recorder::Recorder(c10::Device device, bool keep_times)
    : impl_(std::make_unique<Impl>(device, keep_times)) {}
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
