// Whether random numbers are what they say, never the same twice, and the same when asked for
// again.
#include <ATen/ATen.h>
#include <ATen/Context.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <array>
#include <cmath>
#include <mutex>

#include "worker/operators/battery/batteries.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators::battery {
namespace {

// The host's too: dropout and the like draw from whichever the device's kernels take.
void seed_device(const Bench& bench, std::uint64_t seed) {
    at::manual_seed(seed);
    at::Generator generator = at::globalContext().defaultGenerator(bench.device());
    const std::lock_guard<std::mutex> lock(generator.mutex());
    generator.set_current_seed(seed);
}

at::TensorOptions real(const Bench& bench) {
    return at::TensorOptions(at::kFloat).device(bench.device());
}

// (mean - expected) over its standard error.
void score_mean(Bench& bench, const at::Tensor& values, double mean, double deviation,
                std::string_view what) {
    const auto n = static_cast<double>(values.numel());
    const double found = values.to(at::kDouble).mean().item<double>();
    bench.score((found - mean) / (deviation / std::sqrt(n)), what);
}

// Counts per bin, all equally likely, as a normal score of chi-square (Wilson and Hilferty 1931).
void score_counts(Bench& bench, const at::Tensor& bins, std::int64_t count, std::string_view what) {
    const at::Tensor seen = at::bincount(bins.flatten(), {}, count).to(at::kDouble);
    bench.faults(seen.numel() - count, "values outside of their range");
    const double expected = static_cast<double>(bins.numel()) / static_cast<double>(count);
    const double chi2 =
        seen.narrow(0, 0, count).sub(expected).square().sum().item<double>() / expected;
    const auto freedom = static_cast<double>(count - 1);
    const double spread = 2.0 / (9.0 * freedom);
    bench.score((std::cbrt(chi2 / freedom) - (1.0 - spread)) / std::sqrt(spread), what);
}

void score_correlation(Bench& bench, const at::Tensor& a, const at::Tensor& b,
                       std::string_view what) {
    const at::Tensor x = a.to(at::kDouble).flatten();
    const at::Tensor y = b.to(at::kDouble).flatten();
    const at::Tensor u = (x - x.mean()) / x.std();
    const at::Tensor v = (y - y.mean()) / y.std();
    bench.score((u * v).mean().item<double>() * std::sqrt(static_cast<double>(x.numel())), what);
}

void ask_uniform(Bench& bench, std::int64_t n) {
    bench.ask("uniform", [&] {
        const at::Tensor x = bench.fetch(at::empty({n}, real(bench)).uniform_());
        bench.faults(x.lt(0.0).logical_or(x.ge(1.0)).sum().item<std::int64_t>(), "outside [0, 1)");
        score_mean(bench, x, 0.5, std::sqrt(1.0 / 12.0), "mean");
        score_mean(bench, x.square(), 1.0 / 3.0, std::sqrt(4.0 / 45.0), "mean square");
        constexpr std::int64_t kBins = 128;
        score_counts(bench, x.mul(static_cast<double>(kBins)).to(at::kLong), kBins, "bins");
        for (const std::int64_t lag : {1, 2, 4, 32, 1024}) {
            score_correlation(bench, x.narrow(0, 0, n - lag), x.narrow(0, lag, n - lag),
                              fmt::format("correlation at distance {}", lag));
        }
    });
}

void ask_normal(Bench& bench, std::int64_t n) {
    bench.ask("normal", [&] {
        const at::Tensor x = bench.fetch(at::empty({n + 1}, real(bench)).normal_());
        bench.faults(x.isfinite().logical_not().sum().item<std::int64_t>(), "not finite");
        score_mean(bench, x, 0.0, 1.0, "mean");
        score_mean(bench, x.square(), 1.0, std::sqrt(2.0), "variance");
        score_mean(bench, x.pow(3), 0.0, std::sqrt(15.0), "skewness");
        score_mean(bench, x.pow(4), 3.0, std::sqrt(96.0), "kurtosis");
        score_mean(bench, x.abs().gt(2.0).to(at::kDouble), 0.0455002638963584,
                   std::sqrt(0.0455002638963584 * 0.9544997361036416), "beyond two deviations");
        score_correlation(bench, x.narrow(0, 0, n), x.narrow(0, 1, n), "neighbours");
    });
}

void ask_repetition(Bench& bench, std::int64_t n) {
    bench.ask("calls, seeds and state", [&] {
        at::Generator generator = at::globalContext().defaultGenerator(bench.device());
        const auto draw = [&] { return at::empty({n}, real(bench)).uniform_(0.0, 1.0, generator); };
        seed_device(bench, 1234);
        const at::Tensor first = bench.fetch(draw());
        const at::Tensor second = bench.fetch(draw());
        // 2^24 values: that two are equal at a place is one in 2^24.
        bench.faults(first.eq(second).sum().item<std::int64_t>() > 8 ? 1 : 0,
                     "two calls give the same numbers");
        score_correlation(bench, first, second, "two calls");
        seed_device(bench, 1234);
        bench.equal(draw().cpu(), first, "the same seed again");
        seed_device(bench, 1235);
        const at::Tensor other = bench.fetch(draw());
        bench.faults(other.eq(first).sum().item<std::int64_t>() > 8 ? 1 : 0,
                     "two seeds give the same numbers");
        score_correlation(bench, first, other, "two seeds");
        const at::Tensor state = generator.get_state();
        const at::Tensor kept = draw().cpu();
        generator.set_state(state);
        bench.equal(draw().cpu(), kept, "state restored");
    });
}

void ask_bernoulli(Bench& bench, std::int64_t n, double p) {
    bench.ask(fmt::format("bernoulli {}", p), [&] {
        const at::Tensor x = bench.fetch(at::empty({n}, real(bench)).bernoulli_(p));
        bench.faults(x.ne(0).logical_and(x.ne(1)).sum().item<std::int64_t>(), "neither 0 nor 1");
        if (p == 0.0 || p == 1.0) {
            bench.faults(x.ne(p).sum().item<std::int64_t>(), "not certain");
        } else {
            score_mean(bench, x, p, std::sqrt(p * (1.0 - p)), "share");
        }
    });
}

// torch takes the fused operator on some devices only, and only for 0 < p < 1; vendors' models call
// it themselves.
struct Dropout {
    std::string_view name;
    at::Tensor (*call)(const at::Tensor& x, double p);
};
constexpr std::array kDropouts{
    Dropout{"dropout", [](const at::Tensor& x, double p) { return at::dropout(x, p, true); }},
    Dropout{"fused dropout", [](const at::Tensor& x,
                                double p) { return std::get<0>(at::native_dropout(x, p, true)); }},
};

void ask_dropout(Bench& bench, const Dropout& dropout, std::int64_t n, double p,
                 c10::ScalarType dtype) {
    bench.ask(fmt::format("{} {} {}", dropout.name, p, name_of(dtype)), [&] {
        const c10::AutoGradMode with_gradients(true);
        at::Tensor x = bench.put(at::ones({n}, at::TensorOptions(dtype))).requires_grad_(true);
        const at::Tensor y = dropout.call(x, p);
        const at::Tensor weight = at::ones_like(y).mul(2.0);
        const at::Tensor gradient = torch::autograd::grad({y}, {x}, {weight})[0];
        const at::Tensor kept = bench.fetch(y);
        // The mask of the backward pass is that of the forward pass, the scale is the same.
        bench.equal(bench.fetch(gradient), kept.mul(2.0), "gradient", false);
        const double scale = p == 1.0 ? 0.0 : 1.0 / (1.0 - p);
        const at::Tensor want = kept.ne(0).to(at::kDouble).mul(scale);
        bench.within(kept, want, {.ulps = 1.0}, "scale");
        const at::Tensor survived = kept.ne(0).to(at::kDouble);
        if (p == 0.0 || p == 1.0) {
            bench.faults(survived.ne(1.0 - p).sum().item<std::int64_t>(), "not certain");
        } else {
            score_mean(bench, survived, 1.0 - p, std::sqrt(p * (1.0 - p)), "share kept");
            const at::Tensor again = bench.fetch(dropout.call(x, p)).ne(0).to(at::kDouble);
            score_correlation(bench, survived, again, "masks of two calls");
        }
    });
}

void ask_whole(Bench& bench, std::int64_t n) {
    bench.ask("randint", [&] {
        const at::TensorOptions whole = at::TensorOptions(at::kLong).device(bench.device());
        const at::Tensor few = bench.fetch(at::randint(0, 101, {n}, whole));
        score_counts(bench, few, 101, "a hundred and one values");
        // Taken modulo 2^32 the lower quarter of this range would come twice as often.
        const std::int64_t range = 3LL << 30;
        const at::Tensor wide = bench.fetch(at::randint(0, range, {n}, whole));
        score_counts(bench, wide.div(range / 96, "floor"), 96, "a range of 3 x 2^30");
        const at::Tensor order = bench.fetch(at::randperm(1001, whole));
        bench.equal(std::get<0>(order.sort()), at::arange(1001, at::TensorOptions(at::kLong)),
                    "a permutation");
    });
    bench.ask("multinomial", [&] {
        const at::Tensor weights = at::tensor(std::vector<float>{1.0F, 2.0F, 0.0F, 5.0F});
        const at::Tensor x = bench.fetch(
            at::multinomial(bench.put(weights), std::min<std::int64_t>(n, 65536), true));
        const double expected[] = {0.125, 0.25, 0.0, 0.625};
        bench.faults(x.eq(2).sum().item<std::int64_t>(), "drawn though impossible");
        for (const int i : {0, 1, 3}) {
            score_mean(bench, x.eq(i).to(at::kDouble), expected[i],
                       std::sqrt(expected[i] * (1.0 - expected[i])), fmt::format("share of {}", i));
        }
    });
}

}  // namespace

void random_numbers(Bench& bench) {
    const std::int64_t n = bench.at_least(Size::kStandard) ? (1 << 21) : (1 << 17);
    // Draws follow the question's seed, also on the device.
    seed_device(bench, bench.seed());
    ask_uniform(bench, n);
    ask_normal(bench, n);
    ask_repetition(bench, n);
    for (const double p : {0.1, 0.5, 0.9, 0.0, 1.0}) ask_bernoulli(bench, n, p);
    for (const c10::ScalarType dtype : bench.dtypes()) {
        for (const Dropout& dropout : kDropouts) {
            for (const double p : {0.0, 0.1, 0.5, 1.0}) {
                ask_dropout(bench, dropout, n + 3, p, dtype);
            }
        }
    }
    ask_whole(bench, n);
}

}  // namespace ascertain::operators::battery
