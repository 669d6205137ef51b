// The step after the backward pass: optimizer, clipping, and what overflow does to them.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>
#include <cmath>
#include <optional>

#include "worker/operators/battery/batteries.hpp"
#include "worker/operators/battery/rows.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators::battery {
namespace {

constexpr double kRate = 3e-3;
constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.95;
constexpr double kDecay = 0.1;
constexpr double kEpsilon = 1e-8;

struct Weights {
    Tensors values;
    Tensors first;
    Tensors second;
    Tensors steps;
};

// Decoupled weight decay (Loshchilov and Hutter 2019, algorithm 2), in fp64.
void step_reference(Weights& weights, const Tensors& gradients, std::int64_t step) {
    const double correct1 = 1.0 - std::pow(kBeta1, static_cast<double>(step));
    const double correct2 = 1.0 - std::pow(kBeta2, static_cast<double>(step));
    for (std::size_t i = 0; i < gradients.size(); ++i) {
        const at::Tensor g = gradients[i].to(at::kDouble);
        weights.values[i].mul_(1.0 - kRate * kDecay);
        weights.first[i].mul_(kBeta1).add_(g, 1.0 - kBeta1);
        weights.second[i].mul_(kBeta2).add_(g.square(), 1.0 - kBeta2);
        const at::Tensor root = weights.second[i].div(correct2).sqrt().add(kEpsilon);
        weights.values[i].sub_(weights.first[i].div(root).mul(kRate / correct1));
    }
}

using Update = void (*)(Weights& weights, const Tensors& gradients);

void fused(Weights& w, const Tensors& g) {
    at::_foreach_add_(w.steps, 1);
    at::_fused_adamw_(w.values, g, w.first, w.second, {}, w.steps, kRate, kBeta1, kBeta2, kDecay,
                      kEpsilon, false, false);
}

// As torch.optim.AdamW(foreach=True) does.
void by_foreach(Weights& w, const Tensors& g) {
    at::_foreach_add_(w.steps, 1);
    at::_foreach_mul_(w.values, 1.0 - kRate * kDecay);
    at::_foreach_lerp_(w.first, g, 1.0 - kBeta1);
    at::_foreach_mul_(w.second, kBeta2);
    at::_foreach_addcmul_(w.second, g, g, 1.0 - kBeta2);
    const double step = w.steps[0].item<double>();
    const double correct1 = 1.0 - std::pow(kBeta1, step);
    const double correct2 = 1.0 - std::pow(kBeta2, step);
    auto root = at::_foreach_sqrt(w.second);
    at::_foreach_div_(root, std::sqrt(correct2));
    at::_foreach_add_(root, kEpsilon);
    at::_foreach_addcdiv_(w.values, w.first, root, -kRate / correct1);
}

void one_by_one(Weights& w, const Tensors& g) {
    for (std::size_t i = 0; i < g.size(); ++i) {
        w.steps[i].add_(1);
        const double step = w.steps[i].item<double>();
        w.values[i].mul_(1.0 - kRate * kDecay);
        w.first[i].lerp_(g[i], 1.0 - kBeta1);
        w.second[i].mul_(kBeta2).addcmul_(g[i], g[i], 1.0 - kBeta2);
        const double correct2 = std::sqrt(1.0 - std::pow(kBeta2, step));
        const at::Tensor root = w.second[i].sqrt().div_(correct2).add_(kEpsilon);
        w.values[i].addcdiv_(w.first[i], root, -kRate / (1.0 - std::pow(kBeta1, step)));
    }
}

void ask_update(Bench& bench, std::string_view name, Update update) {
    bench.ask(fmt::format("AdamW {} against fp64, 100 steps", name), [&] {
        const std::vector<std::vector<std::int64_t>> shapes{{7}, {33, 65}, {1}, {128, 24}, {2049}};
        Weights ours;
        Weights exact;
        std::vector<at::Tensor> start;
        for (const auto& shape : shapes) {
            const at::Tensor value = bench.normal(shape, at::kFloat);
            start.push_back(value.to(at::kDouble));
            ours.values.push_back(bench.put(value));
            ours.first.push_back(at::zeros_like(ours.values.back()));
            ours.second.push_back(at::zeros_like(ours.values.back()));
            ours.steps.push_back(bench.put(at::zeros({})));
            exact.values.push_back(value.to(at::kDouble));
            exact.first.push_back(at::zeros_like(exact.values.back()));
            exact.second.push_back(at::zeros_like(exact.values.back()));
        }
        for (std::int64_t step = 1; step <= 100; ++step) {
            Tensors gradients;
            Tensors there;
            for (const auto& shape : shapes) {
                gradients.push_back(bench.normal(shape, at::kFloat).mul(0.1));
                there.push_back(bench.put(gradients.back()));
            }
            update(ours, there);
            step_reference(exact, gradients, step);
        }
        for (std::size_t i = 0; i < shapes.size(); ++i) {
            // Each of 100 steps rounds the weight once, and the update to a few units.
            const double moved = largest_of(exact.values[i] - start[i]);
            const double size = largest_of(exact.values[i]);
            const double half_ulp = std::ldexp(1.0, -24);
            bench.within(bench.fetch(ours.values[i]), exact.values[i],
                         {.ulps = 0.0, .spread = half_ulp * (100.0 * size + 3000.0 * moved)},
                         fmt::format("weight {}", i));
            bench.within(bench.fetch(ours.first[i]), exact.first[i],
                         {.spread = 64.0 * half_ulp * largest_of(exact.first[i])}, "first moment");
            bench.within(bench.fetch(ours.second[i]), exact.second[i],
                         {.spread = 64.0 * half_ulp * largest_of(exact.second[i])},
                         "second moment");
        }
    });
}

Tensors drawn_gradients(Bench& bench) {
    return {bench.normal({33, 17}, at::kFloat), bench.normal({5}, at::kFloat),
            bench.normal({1025}, at::kFloat), bench.normal({1}, at::kFloat)};
}

void ask_clip(Bench& bench) {
    bench.ask("clip by norm", [&] {
        const Tensors gradients = drawn_gradients(bench);
        Tensors there;
        double square = 0.0;
        for (const at::Tensor& one : gradients) {
            there.push_back(bench.put(one));
            square += one.to(at::kDouble).square().sum().item<double>();
        }
        const at::Tensor norms = at::stack(at::_foreach_norm(there, 2));
        const at::Tensor total = at::linalg_vector_norm(norms);
        const at::Tensor want = at::full({}, std::sqrt(square), at::TensorOptions(at::kDouble));
        bench.within(bench.fetch(total), want, {.ulps = 16.0}, "norm");
        const at::Tensor factor = (1.0 / (total + 1e-6)).clamp_max(1.0);
        at::_foreach_mul_(there, factor);
        for (std::size_t i = 0; i < there.size(); ++i) {
            bench.within(bench.fetch(there[i]),
                         gradients[i].to(at::kDouble).div(std::sqrt(square) + 1e-6), {.ulps = 32.0},
                         "clipped");
        }
    });
}

// A single infinity or NaN anywhere must be found, and only there.
void ask_scaler(Bench& bench) {
    bench.ask("unscaling finds what is not finite", [&] {
        for (const double bad : {0.0, HUGE_VAL, -HUGE_VAL, std::nan("")}) {
            for (const std::int64_t place : {0, 1, 512, 1023, 1024}) {
                Tensors gradients = drawn_gradients(bench);
                if (bad != 0.0) gradients[2][place] = bad;
                Tensors there;
                for (const at::Tensor& one : gradients) there.push_back(bench.put(one));
                at::Tensor found = bench.put(at::zeros({1}));
                const at::Tensor inverse = bench.put(at::full({1}, 0.25));
                at::_amp_foreach_non_finite_check_and_unscale_(there, found, inverse);
                bench.faults((found.cpu().item<float>() != 0.0F) == (bad != 0.0) ? 0 : 1,
                             fmt::format("found {} at {}", bad, place));
                bench.within(bench.fetch(there[0]), gradients[0].to(at::kDouble).mul(0.25),
                             {.ulps = 0.5}, "unscaled");
            }
        }
    });
    bench.ask("the scale follows overflow", [&] {
        const auto scale_after = [&](double found) {
            at::Tensor scale = bench.put(at::full({}, 1024.0));
            at::Tensor growth = bench.put(at::zeros({}, at::TensorOptions(at::kInt)));
            const at::Tensor seen = bench.put(at::full({}, found));
            at::_amp_update_scale_(scale, growth, seen, 2.0, 0.5, 1);
            return bench.fetch(scale);
        };
        bench.equal(scale_after(1.0), at::full({}, 512.0), "halved");
        bench.equal(scale_after(0.0), at::full({}, 2048.0), "doubled");
    });
    bench.ask("the scale grows after so many clean steps, counted from the last overflow", [&] {
        at::Tensor scale = bench.put(at::full({}, 1024.0));
        at::Tensor growth = bench.put(at::zeros({}, at::TensorOptions(at::kInt)));
        constexpr std::array<bool, 8> kOverflows{false, false, true,  false,
                                                 false, false, false, true};
        // Interval 3, back-off a half, growth two: worked out by hand.
        constexpr std::array<double, 8> kScales{1024, 1024, 512, 512, 512, 1024, 1024, 512};
        for (std::size_t i = 0; i < kOverflows.size(); ++i) {
            const at::Tensor seen = bench.put(at::full({}, kOverflows[i] ? 1.0 : 0.0));
            at::_amp_update_scale_(scale, growth, seen, 2.0, 0.5, 3);
            bench.equal(bench.fetch(scale), at::full({}, kScales[i]), fmt::format("step {}", i));
        }
    });
}

// A step with an overflow must not be taken, and a scaled gradient must be unscaled by the fused
// optimizer itself.
void ask_skipped_step(Bench& bench) {
    bench.ask("the fused optimizer skips a step that overflowed, and unscales", [&] {
        const at::Tensor start = bench.normal({33, 65}, at::kFloat);
        const at::Tensor gradient = bench.normal({33, 65}, at::kFloat).mul(0.1);
        const auto stepped = [&](double scale, std::optional<double> found) {
            Tensors value{bench.put(start)};
            const Tensors there{bench.put(gradient.mul(scale))};
            Tensors first{at::zeros_like(value[0])};
            Tensors second{at::zeros_like(value[0])};
            const Tensors steps{bench.put(at::ones({}))};
            std::optional<at::Tensor> of_scale;
            std::optional<at::Tensor> overflow;
            if (found) {
                of_scale = bench.put(at::full({1}, scale));
                overflow = bench.put(at::full({1}, *found));
            }
            at::_fused_adamw_(value, there, first, second, {}, steps, kRate, kBeta1, kBeta2, kDecay,
                              kEpsilon, /*amsgrad=*/false, /*maximize=*/false, of_scale, overflow);
            return bench.fetch(value[0]);
        };
        bench.equal(stepped(1024.0, 1.0), start, "a step that overflowed was taken");
        // Scaling by a power of two is exact.
        bench.equal(stepped(1024.0, 0.0), stepped(1.0, std::nullopt), "not unscaled");
    });
}

// NaN and infinity must come through whatever a training step does with them.
void ask_passage(Bench& bench, c10::ScalarType dtype) {
    using Step = at::Tensor (*)(const at::Tensor&);
    const std::vector<std::pair<std::string_view, Step>> steps{
        {"sum", [](const at::Tensor& x) { return x.sum(); }},
        {"mean", [](const at::Tensor& x) { return x.mean(); }},
        {"norm", [](const at::Tensor& x) { return at::linalg_vector_norm(x); }},
        {"max", [](const at::Tensor& x) { return x.abs().max(); }},
        {"relu", [](const at::Tensor& x) { return x.abs().relu().sum(); }},
        {"silu", [](const at::Tensor& x) { return at::silu(x.abs()).sum(); }},
        {"gelu", [](const at::Tensor& x) { return at::gelu(x.abs()).sum(); }},
        {"mm",
         [](const at::Tensor& x) {
             return x.abs().view({13, 10}).mm(x.abs().view({10, 13})).sum();
         }},
        {"softmax", [](const at::Tensor& x) { return x.softmax(0).mul(2.0).sum(); }},
        {"cross entropy",
         [](const at::Tensor& x) {
             return at::cross_entropy_loss(x.view({13, 10}),
                                           at::zeros({13}, x.options().dtype(at::kLong)));
         }},
        {"rms norm",
         [](const at::Tensor& x) {
             return at::rms_norm(x.view({13, 10}), {10}).sum();
         }},
        {"cast", [](const at::Tensor& x) { return x.to(at::kFloat).to(at::kBFloat16).sum(); }},
        {"cat",
         [](const at::Tensor& x) {
             return at::cat({x, x}).sum();
         }},
        {"clamp", [](const at::Tensor& x) { return x.clamp(-6e4, HUGE_VAL).sum(); }},
    };
    for (const auto& [name, step] : steps) {
        bench.ask(fmt::format("NaN through {} {}", name, name_of(dtype)), [&] {
            at::Tensor x = bench.normal({130}, dtype);
            const at::Tensor clean = bench.fetch(step(bench.put(x)));
            bench.faults(clean.isfinite().all().item<bool>() ? 0 : 1, "finite in, not finite out");
            for (const std::int64_t place : {0, 64, 129}) {
                at::Tensor bad = x.clone();
                bad[place] = NAN;
                const at::Tensor got = bench.fetch(step(bench.put(bad)));
                bench.faults(got.isnan().all().item<bool>() ? 0 : 1,
                             fmt::format("NaN at {} is lost", place));
            }
        });
    }
}

}  // namespace

void optimizer(Bench& bench) {
    ask_update(bench, "fused", fused);
    ask_update(bench, "foreach", by_foreach);
    ask_update(bench, "one by one", one_by_one);
    ask_clip(bench);
}

void overflow(Bench& bench) {
    ask_scaler(bench);
    ask_skipped_step(bench);
    std::vector<c10::ScalarType> dtypes = bench.dtypes();
    if (dtypes.front() != at::kHalf) dtypes.push_back(at::kHalf);
    for (const c10::ScalarType dtype : dtypes) ask_passage(bench, dtype);
}

}  // namespace ascertain::operators::battery
