// repeat and time: the same call again and again.
#include <c10/core/GradMode.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <thread>

#include "base/observation.hpp"
#include "worker/host/failure.hpp"
#include "worker/operators/prepare.hpp"
#include "worker/operators/reordering.hpp"
#include "worker/operators/replay.hpp"

namespace ascertain::operators {
namespace {

constexpr std::int64_t kRepeatsMax = 100'000;
constexpr double kCopies = 4.0;
// Between two reports of progress.
constexpr double kReportInterval_s = 0.5;

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// Says how far a loop is, not more often than the core wants to hear.
class Ticker {
public:
    Ticker(worker::Session& session, std::int64_t total) : session_(session), total_(total) {}

    void done(std::int64_t count) {
        if (!session_.progress || seconds_since(last_) < kReportInterval_s) return;
        last_ = Clock::now();
        session_.progress(static_cast<double>(count) / static_cast<double>(total_), "repeating",
                          {});
    }

private:
    worker::Session& session_;
    std::int64_t total_;
    Clock::time_point last_ = Clock::now();
};

// Elements whose bits differ; NaN equals NaN of the same bits.
std::int64_t differing(const at::Tensor& a, const at::Tensor& b) {
    if (a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) {
        return std::max(a.numel(), b.numel());
    }
    const auto bytes = [](const at::Tensor& tensor) {
        return tensor.contiguous().flatten().view(at::kByte).view({-1, tensor.element_size()});
    };
    if (a.numel() == 0) return 0;
    return bytes(a).ne(bytes(b)).any(1).sum().item<std::int64_t>();
}

std::vector<at::Tensor> tensors_of(const std::vector<Output>& outputs) {
    std::vector<at::Tensor> tensors;
    for (const Output& output : outputs) tensors.push_back(output.value);
    return tensors;
}

// The tensors that a call writes, to be put back before the next one.
std::vector<at::Tensor> written_tensors(const Prepared& prepared, const Stack& stack) {
    std::vector<at::Tensor> written;
    for (const Output& output :
         outputs_of(prepared.operator_case, prepared.op.schema(), stack, Stack())) {
        written.push_back(output.value);
    }
    return written;
}

std::vector<at::Tensor> clones_of(const std::vector<at::Tensor>& tensors) {
    std::vector<at::Tensor> clones;
    for (const at::Tensor& tensor : tensors) clones.push_back(tensor.clone());
    return clones;
}

// An `out` tensor may have been resized by the call.
void restore(std::vector<at::Tensor>& tensors, const std::vector<at::Tensor>& saved) {
    for (std::size_t i = 0; i < tensors.size(); ++i) {
        if (tensors[i].sizes() != saved[i].sizes()) tensors[i].resize_(saved[i].sizes());
        tensors[i].copy_(saved[i]);
    }
}

// Moves the first element by four times what reordering explains: less would be no fault.
void exceed(const std::vector<at::Tensor>& bounds, std::vector<Output>& outputs) {
    if (outputs.empty() || bounds.empty() || bounds[0].numel() == 0) return;
    at::Tensor& value = outputs[0].value;
    value = value.contiguous();
    const double far = 4.0 * bounds[0].flatten().select(0, 0).item<double>();
    value.view(-1).select(0, 0).add_(far > 0.0 ? far : 1.0);
}

Metric metric(const char* name, double value, const char* unit, std::int64_t n) {
    return {name, value, unit, n, std::nullopt, std::nullopt, ""};
}

double quantile(const std::vector<double>& sorted, double share) {
    const auto last = static_cast<double>(sorted.size() - 1);
    return sorted[static_cast<std::size_t>(share * last + 0.5)];
}

}  // namespace

Result<Json> repeat(worker::Session& session, const Json& params) {
    const Result<Prepared> prepared = prepare(params, kCopies);
    if (!prepared) return prepared.error();
    const Result<std::int64_t> repeats = count_at(params, "repeats", 2, kRepeatsMax);
    if (!repeats) return repeats.error();
    if (is_random(*prepared)) {
        return Error{ErrorCode::kUnknownValue, "it draws random numbers: it need not repeat", ""};
    }
    const c10::AutoGradMode no_gradients(false);
    const Inputs inputs = make_inputs(prepared->operator_case, prepared->seed);
    const Stack stack =
        assemble(prepared->operator_case, prepared->op.schema(), inputs, session.device);
    std::vector<at::Tensor> written = written_tensors(*prepared, stack);
    const std::vector<at::Tensor> saved = clones_of(written);
    std::vector<at::Tensor> first;
    std::set<std::string> hashes;
    std::int64_t worst = 0;
    const bool any_order = may_come_in_any_order(prepared->operator_case);
    std::vector<at::Tensor> bounds;
    double order_ratio = 0.0;
    if (any_order) {
        const Result<void> bounded = worker::guarded("reference", [&] {
            bounds = reordering_bounds(
                prepared->operator_case, prepared->op,
                assemble(prepared->operator_case, prepared->op.schema(), inputs, at::kCPU));
        });
        if (!bounded) return bounded.error();
    }
    Ticker ticker(session, *repeats);
    for (std::int64_t run = 0; run < *repeats; ++run) {
        if (run > 0) restore(written, saved);
        Result<std::vector<Output>> outputs = run_on_device(*prepared, stack);
        if (!outputs) return outputs.error();
        if (prepared->tamper && run > 0) {
            corrupt(*prepared->tamper, *outputs);
            if (any_order) exceed(bounds, *outputs);
        }
        const std::vector<at::Tensor> tensors = tensors_of(*outputs);
        if (run == 0) first = clones_of(tensors);
        if (hashes.insert(hash_of(tensors)).second && run > 0) {
            std::int64_t count = 0;
            for (std::size_t i = 0; i < first.size(); ++i) count += differing(first[i], tensors[i]);
            worst = std::max(worst, count);
            if (any_order) {
                order_ratio = std::max(order_ratio, reordering_ratio(bounds, first, tensors));
            }
        }
        ticker.done(run + 1);
    }
    Observation observation = {
        metric("repeats", static_cast<double>(*repeats), "count", 1),
        metric("distinct_outputs", static_cast<double>(hashes.size()), "count", *repeats),
        metric("elements_differing_max", static_cast<double>(worst), "count", *repeats)};
    if (any_order) {
        observation.push_back(metric("order_ratio", order_ratio, "ratio", *repeats));
    }
    return Json{{"observation", to_json(observation)},
                {"inputs_hash", hash_of(inputs)},
                {"output_hash", hash_of(first)},
                {"tampered", prepared->tamper.has_value()}};
}

Result<Json> time(worker::Session& session, const Json& params) {
    const Result<Prepared> prepared = prepare(params, kCopies);
    if (!prepared) return prepared.error();
    const Result<std::int64_t> repeats = count_at(params, "repeats", 1, kRepeatsMax);
    if (!repeats) return repeats.error();
    const Result<std::int64_t> warm_up = count_at(params, "warm_up", 0, kRepeatsMax);
    if (!warm_up) return warm_up.error();
    const c10::AutoGradMode no_gradients(false);
    const Inputs inputs = make_inputs(prepared->operator_case, prepared->seed);
    const Stack stack =
        assemble(prepared->operator_case, prepared->op.schema(), inputs, session.device);
    std::vector<at::Tensor> written = written_tensors(*prepared, stack);
    const std::vector<at::Tensor> saved = clones_of(written);
    const double delay_s = prepared->tamper && prepared->tamper->kind == TamperKind::kSlow
                               ? prepared->tamper->seconds
                               : 0.0;
    std::vector<double> samples;
    Ticker ticker(session, *warm_up + *repeats);
    for (std::int64_t run = 0; run < *warm_up + *repeats; ++run) {
        restore(written, saved);
        synchronise(session.device);
        const Clock::time_point start = Clock::now();
        const Result<std::vector<Output>> outputs =
            worker::guarded(prepared->operator_case.op,
                            [&] { return call(prepared->operator_case, prepared->op, stack); });
        if (!outputs) return outputs.error();
        if (delay_s > 0.0) std::this_thread::sleep_for(std::chrono::duration<double>(delay_s));
        synchronise(session.device);
        if (run >= *warm_up) samples.push_back(seconds_since(start));
        ticker.done(run + 1);
    }
    std::vector<double> sorted = samples;
    std::sort(sorted.begin(), sorted.end());
    const Observation observation = {metric("seconds_median", quantile(sorted, 0.5), "s", *repeats),
                                     metric("seconds_p90", quantile(sorted, 0.9), "s", *repeats),
                                     metric("seconds_min", sorted.front(), "s", *repeats)};
    return Json{{"observation", to_json(observation)},
                {"samples_s", samples},
                {"inputs_hash", hash_of(inputs)},
                {"tampered", prepared->tamper.has_value()}};
}

}  // namespace ascertain::operators
