#include "worker/operators/battery/bench.hpp"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/observation.hpp"
#include "base/text.hpp"
#include "worker/host/failure.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators::battery {
namespace {

constexpr std::size_t kFailuresShown = 40;

std::uint64_t mixed(std::uint64_t hash, std::string_view text) {
    for (const char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    return hash;
}

Json number(double value) {
    return std::isfinite(value) ? Json(value) : Json(fmt::format("{}", value));
}

Json place_of(std::int64_t flat, at::IntArrayRef sizes) {
    Json index = Json::array();
    std::vector<std::int64_t> places(sizes.size());
    for (std::size_t i = sizes.size(); i-- > 0;) {
        places[i] = flat % sizes[i];
        flat /= sizes[i];
    }
    for (const std::int64_t place : places) index.push_back(place);
    return index;
}

// The device lacks the operator, the dtype or the memory.
bool says_not_offered(const Error& error) {
    return error.code == ErrorCode::kUnsupported || error.code == ErrorCode::kEnvironment ||
           error.message.find("not implemented") != std::string::npos ||
           error.message.find("not supported") != std::string::npos ||
           error.message.find("only supported") != std::string::npos;
}

Metric count_metric(const char* name, std::int64_t value, std::int64_t n) {
    return {name, static_cast<double>(value), "count", std::max<std::int64_t>(n, 1), {}, {}, ""};
}

Metric ratio_metric(const char* name, double value, std::int64_t n) {
    if (n == 0) return {name, std::nullopt, "ratio", 0, {}, {}, "this battery judges none"};
    return {name, value, "ratio", n, {}, {}, ""};
}

at::Tensor as_bits(const at::Tensor& tensor) {
    switch (tensor.element_size()) {
        case 1: return tensor.view(at::kByte);
        case 2: return tensor.view(at::kShort);
        case 4: return tensor.view(at::kInt);
        default: return tensor.view(at::kLong);
    }
}

}  // namespace

Bench::Bench(worker::Session& session, Request request)
    : session_(session),
      request_(std::move(request)),
      generator_(at::detail::createCPUGenerator(request_.seed)) {}

std::int64_t Bench::count(std::int64_t quick, std::int64_t standard) const {
    constexpr std::int64_t kFullTimes = 10;
    switch (request_.size) {
        case Size::kLeast: return std::min<std::int64_t>(quick, 2);
        case Size::kQuick: return quick;
        case Size::kStandard: return standard;
        case Size::kFull: return standard * kFullTimes;
    }
    return quick;
}

std::vector<c10::ScalarType> Bench::dtypes() const {
    if (request_.dtype == at::kFloat) return {at::kFloat};
    return {request_.dtype, at::kFloat};
}

bool Bench::wants(const std::string& name) const {
    if (!request_.question.empty()) return name == request_.question;
    return request_.size != Size::kLeast || (elements_ == 0 && scores_ == 0);
}

void Bench::begin(const std::string& name) {
    question_ = name;
    compared_ = false;
    generator_.set_current_seed(mixed(request_.seed ^ 0xcbf29ce484222325ULL, name) >> 11);
}

void Bench::measure(const std::string& name, const std::function<void()>& work) {
    begin(name);
    // What raises here is not this battery's to report.
    static_cast<void>(worker::guarded(name, [&] {
        const c10::AutoGradMode no_gradients(false);
        work();
    }));
}

double Bench::delay_s() const {
    const bool slow = request_.tamper && request_.tamper->kind == TamperKind::kSlow;
    return slow ? request_.tamper->seconds : 0.0;
}

void Bench::ask(const std::string& name, const std::function<void()>& work) {
    if (!wants(name)) return;
    begin(name);
    const Result<void> done = worker::guarded(name, [&] {
        const c10::AutoGradMode no_gradients(false);
        work();
    });
    if (done) {
        if (compared_) ++asked_;
        return;
    }
    if (says_not_offered(done.error())) {
        ++not_offered_;
        if (unoffered_.size() < kFailuresShown) {
            unoffered_.push_back({{"question", name}, {"message", done.error().message}});
        }
        return;
    }
    ++raised_;
    fail("raised", {{"message", shortened(done.error().message, 300)}});
}

at::Tensor Bench::normal(at::IntArrayRef shape, c10::ScalarType dtype) {
    return at::empty(shape, at::kFloat).normal_(0.0, 1.0, generator_).to(dtype);
}

at::Tensor Bench::uniform(at::IntArrayRef shape, double low, double high, c10::ScalarType dtype) {
    return at::empty(shape, at::kFloat).uniform_(low, high, generator_).to(dtype);
}

at::Tensor Bench::whole(at::IntArrayRef shape, std::int64_t low, std::int64_t high,
                        c10::ScalarType dtype) {
    return at::empty(shape, at::kLong).random_(low, high + 1, generator_).to(dtype);
}

at::Tensor Bench::permutation(std::int64_t n) {
    return at::randperm(n, generator_, at::TensorOptions(at::kLong));
}

at::Tensor Bench::put(const at::Tensor& host) const {
    // On the CPU a copy too: what is written on the device must not be seen in the reference.
    return device().is_cpu() ? host.clone() : host.to(device());
}

at::Tensor Bench::fetch(const at::Tensor& answer) {
    at::Tensor host = answer.detach().to(at::kCPU).contiguous();
    if (request_.tamper && host.numel() > 0) {
        std::vector<Output> outputs{{"", host}};
        corrupt(*request_.tamper, outputs);
        host = outputs[0].value;
    }
    digest(host);
    return host;
}

bool Bench::same_bits(const at::Tensor& answer, const at::Tensor& host) {
    const at::Tensor here = answer.detach().to(at::kCPU).contiguous();
    return here.sizes() == host.sizes() && here.scalar_type() == host.scalar_type() &&
           (here.numel() == 0 || std::memcmp(here.const_data_ptr(), host.const_data_ptr(),
                                             static_cast<std::size_t>(here.nbytes())) == 0);
}

void Bench::digest(const at::Tensor& tensor) {
    const auto bytes = static_cast<std::size_t>(tensor.nbytes());
    const auto* data = static_cast<const char*>(tensor.const_data_ptr());
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < bytes; i += sizeof(word)) {
        word = 0;
        std::memcpy(&word, data + i, std::min(sizeof(word), bytes - i));
        hash_ = (hash_ ^ word) * 0x9e3779b97f4a7c15ULL;
        hash_ ^= hash_ >> 29;
    }
}

void Bench::fail(std::string_view what, Json row) {
    ++failed_;
    if (failures_.size() >= kFailuresShown) return;
    row["question"] = question_;
    if (!what.empty()) row["what"] = what;
    failures_.push_back(std::move(row));
}

void Bench::equal(const at::Tensor& got, const at::Tensor& want, std::string_view what,
                  bool signed_zero) {
    compared_ = true;
    elements_ += want.numel();
    if (got.scalar_type() != want.scalar_type() || got.sizes() != want.sizes()) {
        mismatches_ += std::max<std::int64_t>(want.numel(), 1);
        fail(
            what,
            {{"got", fmt::format("{} {}", name_of(got.scalar_type()), fmt::join(got.sizes(), "x"))},
             {"expected",
              fmt::format("{} {}", name_of(want.scalar_type()), fmt::join(want.sizes(), "x"))}});
        return;
    }
    const at::Tensor expected = want.contiguous();
    if (got.numel() == 0 || std::memcmp(got.const_data_ptr(), expected.const_data_ptr(),
                                        static_cast<std::size_t>(got.nbytes())) == 0) {
        return;
    }
    const bool real = at::isFloatingType(got.scalar_type());
    // Eight-bit floats compare by their codes alone.
    const bool codes = got.element_size() == 1 || (real && signed_zero);
    at::Tensor wrong = codes ? as_bits(got).ne(as_bits(expected)) : got.ne(expected);
    if (real && got.element_size() > 1) {
        wrong = wrong.logical_and(got.isnan().logical_and(expected.isnan()).logical_not());
    }
    const auto count = wrong.sum().item<std::int64_t>();
    if (count == 0) return;
    mismatches_ += count;
    const auto first = wrong.flatten().to(at::kByte).argmax().item<std::int64_t>();
    const auto value = [&](const at::Tensor& tensor) {
        return number(tensor.flatten().narrow(0, first, 1).to(at::kDouble).item<double>());
    };
    fail(what, {{"wrong", count},
                {"of", got.numel()},
                {"index", place_of(first, got.sizes())},
                {"got", value(got)},
                {"expected", value(expected)}});
}

void Bench::within(const at::Tensor& got, const at::Tensor& want, const Tolerance& tolerance,
                   std::string_view what) {
    compared_ = true;
    if (got.sizes() != want.sizes() || !at::isFloatingType(got.scalar_type())) {
        equal(got, want.to(got.scalar_type()), what, false);
        return;
    }
    elements_ += want.numel();
    bounded_ += want.numel();
    const FloatFormat format = format_of(got.scalar_type());
    const at::Tensor wide = got.to(at::kDouble).contiguous();
    const at::Tensor expected = want.to(at::kDouble).contiguous();
    const at::Tensor spreads =
        tolerance.spreads.defined() ? tolerance.spreads.to(at::kDouble).contiguous() : at::Tensor();
    const double* g = wide.const_data_ptr<double>();
    const double* w = expected.const_data_ptr<double>();
    const double* s = spreads.defined() ? spreads.const_data_ptr<double>() : nullptr;
    double worst = 0.0;
    std::int64_t worst_at = -1;
    std::int64_t wrong = 0;
    std::int64_t first_at = -1;
    for (std::int64_t i = 0; i < wide.numel(); ++i) {
        if (g[i] == w[i]) continue;
        const double ideal = rounded_to(w[i], format);
        const double spread = tolerance.spread + (s != nullptr ? s[i] : 0.0);
        if (!std::isfinite(g[i]) || !std::isfinite(ideal)) {
            const bool same = g[i] == ideal || (std::isnan(g[i]) && std::isnan(ideal));
            // At the edge of the range a legal error decides between the largest and infinity.
            const bool edge = std::isfinite(w[i]) && !std::isnan(g[i]) &&
                              std::fabs(w[i]) + spread >= format.largest * (1.0 - 1e-2) &&
                              (g[i] < 0.0) == (w[i] < 0.0) &&
                              std::fabs(g[i]) >= format.largest * (1.0 - 2e-2);
            if (same || edge) continue;
            ++wrong;
            if (first_at < 0) first_at = i;
            continue;
        }
        const double allowed = tolerance.ulps * ulp_at(w[i], format) + spread;
        const double ratio = std::fabs(g[i] - w[i]) / std::max(allowed, 1e-300);
        if (ratio > worst) {
            worst = ratio;
            worst_at = i;
        }
        if (ratio > 1.0 && first_at < 0) first_at = i;
    }
    bound_ratio_ = std::max(bound_ratio_, worst);
    mismatches_ += wrong;
    if (wrong == 0 && worst <= 1.0) return;
    const std::int64_t place = wrong > 0 ? first_at : worst_at;
    fail(what, {{"bound_ratio", worst},
                {"not_finite", wrong},
                {"index", place_of(place, got.sizes())},
                {"got", number(g[place])},
                {"expected", number(w[place])}});
}

void Bench::score(double z, std::string_view what) {
    compared_ = true;
    ++scores_;
    const double size = std::isnan(z) ? 1e30 : std::fabs(z);
    z_max_ = std::max(z_max_, size);
    constexpr double kShown = 5.3;
    if (size > kShown) fail(what, {{"z", number(z)}});
}

void Bench::ratio(double over_limit, std::string_view what) {
    compared_ = true;
    ++elements_;
    ++bounded_;
    const double value = std::isfinite(over_limit) ? over_limit : 1e30;
    bound_ratio_ = std::max(bound_ratio_, value);
    if (value > 1.0) fail(what, {{"bound_ratio", value}});
}

void Bench::faults(std::int64_t count, std::string_view what) {
    compared_ = true;
    ++elements_;
    mismatches_ += count;
    if (count > 0) fail(what, {{"wrong", count}});
}

Json Bench::result() const {
    const Observation observation = {
        count_metric("mismatches", mismatches_, elements_),
        ratio_metric("bound_ratio", bound_ratio_, bounded_),
        ratio_metric("z_max", z_max_, scores_),
        count_metric("raised", raised_, 1),
        count_metric("questions", asked_, 1),
        count_metric("questions_failed", failed_, 1),
        count_metric("not_offered", not_offered_, 1),
        count_metric("elements", elements_, 1),
    };
    return Json{{"observation", to_json(observation)},
                {"failures", failures_},
                {"not_offered", unoffered_},
                {"notes", notes_},
                {"output_hash", fmt::format("{:016x}", hash_)},
                {"tampered", request_.tamper.has_value()}};
}

}  // namespace ascertain::operators::battery
