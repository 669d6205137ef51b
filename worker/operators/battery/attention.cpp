// Attention: the values, that the past does not see the future, grouped heads, batches of one, and
// the gradients.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <numeric>
#include <vector>

#include "worker/operators/battery/batteries.hpp"
#include "worker/operators/battery/rows.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators::battery {
namespace {

struct Heads {
    std::int64_t batch = 1;
    std::int64_t heads = 2;
    std::int64_t key_heads = 2;
    std::int64_t queries = 1;
    std::int64_t keys = 1;
    std::int64_t size = 16;
};

struct Operands {
    at::Tensor query;
    at::Tensor key;
    at::Tensor value;
};

enum class Mask { kNone, kCausal, kBool };

at::Tensor attend(const Operands& x, Mask mask, const at::Tensor& allowed, bool grouped) {
    return at::scaled_dot_product_attention(
        x.query, x.key, x.value,
        mask == Mask::kBool ? std::optional<at::Tensor>(allowed) : std::nullopt, 0.0,
        mask == Mask::kCausal, std::nullopt, grouped);
}

// Written out in fp64; softmax of what is allowed.
at::Tensor written_out(const Operands& x, Mask mask, const at::Tensor& allowed) {
    const std::int64_t repeat = x.query.size(1) / x.key.size(1);
    const at::Tensor key = x.key.repeat_interleave(repeat, 1);
    const at::Tensor value = x.value.repeat_interleave(repeat, 1);
    at::Tensor scores =
        x.query.matmul(key.transpose(-2, -1)) / std::sqrt(static_cast<double>(x.query.size(3)));
    if (mask == Mask::kCausal) {
        const at::Tensor past =
            at::ones({x.query.size(2), x.key.size(2)}, at::TensorOptions(at::kBool)).tril();
        scores = scores.masked_fill(past.logical_not(), -INFINITY);
    } else if (mask == Mask::kBool) {
        scores = scores.masked_fill(allowed.logical_not(), -INFINITY);
    }
    return scores.softmax(-1).matmul(value);
}

Operands drawn(Bench& bench, const Heads& heads, c10::ScalarType dtype) {
    return {bench.normal({heads.batch, heads.heads, heads.queries, heads.size}, dtype),
            bench.normal({heads.batch, heads.key_heads, heads.keys, heads.size}, dtype),
            bench.normal({heads.batch, heads.key_heads, heads.keys, heads.size}, dtype)};
}

Operands map(const Operands& x, const std::function<at::Tensor(const at::Tensor&)>& change) {
    return {change(x.query), change(x.key), change(x.value)};
}

// Probabilities and scores may be rounded to the working dtype on the way (docs/formulas.md
// #composite-error), of terms of size one: errors of 2^-5 of the largest value for bf16, and as
// many roundings of others.
Tolerance tolerance_for(const at::Tensor& want, c10::ScalarType dtype, double more = 1.0) {
    constexpr double kRoundings = 8.0;
    const double half_ulp = std::ldexp(1.0, -format_of(dtype).precision);
    const double wide = dtype == at::kFloat ? 8.0 : 1.0;
    return {.ulps = 1.0,
            .spread = kRoundings * wide * more * half_ulp * std::max(largest_of(want), 1.0)};
}

// As projections leave them: [batch, length, heads, size] in memory.
at::Tensor as_projected(const at::Tensor& x) {
    return x.transpose(1, 2).contiguous().transpose(1, 2);
}

std::string name_for(std::string_view what, const Heads& h, c10::ScalarType dtype) {
    return fmt::format("{} {} b{} h{}/{} q{} k{} d{}", what, name_of(dtype), h.batch, h.heads,
                       h.key_heads, h.queries, h.keys, h.size);
}

void ask_values(Bench& bench, const Heads& heads, c10::ScalarType dtype, Mask mask) {
    constexpr std::array<std::string_view, 3> kMasks{"full", "causal", "masked"};
    const std::string name = name_for(kMasks[static_cast<std::size_t>(mask)], heads, dtype);
    if (!bench.wants(name)) return;
    bench.ask(name, [&] {
        const Operands x = drawn(bench, heads, dtype);
        at::Tensor allowed;
        if (mask == Mask::kBool) {
            allowed =
                bench.whole({heads.batch, 1, heads.queries, heads.keys}, 0, 2, at::kLong).gt(0);
            allowed.select(3, 0).fill_(true);  // no row without any
        }
        const at::Tensor want = written_out(
            map(x, [](const at::Tensor& t) { return t.to(at::kDouble); }), mask, allowed);
        const bool grouped = heads.heads != heads.key_heads;
        const at::Tensor there = allowed.defined() ? bench.put(allowed) : allowed;
        const auto put = [&](const at::Tensor& t) { return bench.put(t); };
        bench.within(bench.fetch(attend(map(x, put), mask, there, grouped)), want,
                     tolerance_for(want, dtype));
        const auto put_projected = [&](const at::Tensor& t) { return as_projected(bench.put(t)); };
        bench.within(bench.fetch(attend(map(x, put_projected), mask, there, grouped)), want,
                     tolerance_for(want, dtype), "as projections leave it");
    });
}

// Keys and values after place `p` must not matter to queries up to `p`: not one bit.
void ask_causality(Bench& bench, const Heads& heads, c10::ScalarType dtype) {
    bench.ask(name_for("future", heads, dtype), [&] {
        const Operands x = drawn(bench, heads, dtype);
        for (const std::int64_t place : {std::int64_t{0}, heads.keys / 3, heads.keys - 2}) {
            Operands changed = map(x, [](const at::Tensor& t) { return t.clone(); });
            const std::int64_t rest = heads.keys - place - 1;
            changed.key.narrow(2, place + 1, rest).mul_(-3.0);
            changed.value.narrow(2, place + 1, rest).add_(50.0);
            const auto past = [&](const Operands& from) {
                const auto put = [&](const at::Tensor& t) { return bench.put(t); };
                return attend(map(from, put), Mask::kCausal, {}, false)
                    .narrow(2, 0, place + 1)
                    .contiguous();
            };
            const at::Tensor before = past(x).cpu();
            bench.within(bench.fetch(past(changed)), before.to(at::kDouble), {.ulps = 0.5},
                         fmt::format("future of place {}", place));
        }
    });
}

// Probabilities add up to one: values of one give one, whatever the scores.
void ask_unity(Bench& bench, const Heads& heads, c10::ScalarType dtype) {
    bench.ask(name_for("sum of probabilities", heads, dtype), [&] {
        Operands x = drawn(bench, heads, dtype);
        x.query.mul_(4.0);
        x.value.fill_(1.0);
        const auto put = [&](const at::Tensor& t) { return bench.put(t); };
        const at::Tensor got = attend(map(x, put), Mask::kCausal, {}, false);
        const at::Tensor want = at::ones_like(x.query, at::TensorOptions(at::kDouble));
        bench.within(bench.fetch(got), want, tolerance_for(want, dtype));
    });
}

void ask_batches(Bench& bench, const Heads& heads, c10::ScalarType dtype) {
    bench.ask(name_for("each sequence by itself", heads, dtype), [&] {
        const Operands x = drawn(bench, heads, dtype);
        const auto put = [&](const at::Tensor& t) { return bench.put(t); };
        const at::Tensor together = bench.fetch(attend(map(x, put), Mask::kCausal, {}, false));
        for (std::int64_t i = 0; i < heads.batch; ++i) {
            const auto one = [&](const at::Tensor& t) { return bench.put(t.narrow(0, i, 1)); };
            const at::Tensor alone = attend(map(x, one), Mask::kCausal, {}, false).cpu();
            bench.within(together.narrow(0, i, 1), alone.to(at::kDouble),
                         tolerance_for(alone.to(at::kDouble), dtype),
                         fmt::format("sequence {}", i));
        }
    });
}

// Sequences packed into one, each seeing its own past alone: the same as each by itself, and what
// stands in a neighbour must not matter: not one bit.
void ask_packed(Bench& bench, std::vector<std::int64_t> lengths, const Heads& shape,
                c10::ScalarType dtype) {
    Heads heads = shape;
    heads.batch = 1;
    heads.queries = heads.keys = std::accumulate(lengths.begin(), lengths.end(), std::int64_t{0});
    bench.ask(name_for(fmt::format("packed {}", lengths.size()), heads, dtype), [&] {
        const Operands x = drawn(bench, heads, dtype);
        at::Tensor allowed =
            at::zeros({1, 1, heads.queries, heads.keys}, at::TensorOptions(at::kBool));
        std::int64_t begin = 0;
        for (const std::int64_t length : lengths) {
            const at::Tensor own = at::ones({length, length}, at::TensorOptions(at::kBool)).tril();
            allowed[0][0].narrow(0, begin, length).narrow(1, begin, length).copy_(own);
            begin += length;
        }
        const bool grouped = heads.heads != heads.key_heads;
        const auto put = [&](const at::Tensor& t) { return bench.put(t); };
        const auto together = [&](const Operands& from) {
            return attend(map(from, put), Mask::kBool, bench.put(allowed), grouped);
        };
        const at::Tensor packed = bench.fetch(together(x));
        begin = 0;
        for (std::size_t i = 0; i < lengths.size(); ++i) {
            const auto one = [&](const at::Tensor& t) { return t.narrow(2, begin, lengths[i]); };
            const at::Tensor want =
                written_out(map(map(x, one), [](const at::Tensor& t) { return t.to(at::kDouble); }),
                            Mask::kCausal, {});
            bench.within(one(packed), want, tolerance_for(want, dtype),
                         fmt::format("sequence {}", i));
            begin += lengths[i];
        }
        Operands changed = map(x, [](const at::Tensor& t) { return t.clone(); });
        const std::int64_t last = lengths.back();
        changed.key.narrow(2, heads.keys - last, last).mul_(-3.0);
        changed.value.narrow(2, heads.keys - last, last).add_(50.0);
        const std::int64_t before = heads.keys - last;
        const at::Tensor same = bench.fetch(together(changed).narrow(2, 0, before).contiguous());
        bench.equal(same, packed.narrow(2, 0, before).contiguous(), "a neighbour shows");
    });
}

// Scores so far apart that one probability is one.
void ask_peaked(Bench& bench, const Heads& heads, c10::ScalarType dtype) {
    bench.ask(name_for("peaked", heads, dtype), [&] {
        Operands x = drawn(bench, heads, dtype);
        x.key = bench.whole(x.key.sizes(), 0, 1, at::kLong).mul(2).sub(1).to(dtype);
        x.query = x.key.narrow(2, 0, heads.queries).repeat_interleave(1, 1).mul(64.0);
        const auto wide = [](const at::Tensor& t) { return t.to(at::kDouble); };
        const auto put = [&](const at::Tensor& t) { return bench.put(t); };
        const at::Tensor want = written_out(map(x, wide), Mask::kCausal, {});
        bench.within(bench.fetch(attend(map(x, put), Mask::kCausal, {}, false)), want,
                     tolerance_for(want, dtype, 2.0));
    });
}

Tensors gradients_of(const Operands& x, const at::Tensor& weight, bool grouped, bool written) {
    const c10::AutoGradMode with_gradients(true);
    const Operands leaf =
        map(x, [](const at::Tensor& t) { return t.detach().clone().requires_grad_(true); });
    const at::Tensor out =
        written ? written_out(leaf, Mask::kCausal, {}) : attend(leaf, Mask::kCausal, {}, grouped);
    return torch::autograd::grad({out}, {leaf.query, leaf.key, leaf.value}, {weight});
}

void ask_gradients(Bench& bench, const Heads& heads, c10::ScalarType dtype) {
    bench.ask(name_for("gradients", heads, dtype), [&] {
        const Operands x = drawn(bench, heads, dtype);
        const at::Tensor weight = bench.normal(x.query.sizes(), dtype);
        const auto wide = [](const at::Tensor& t) { return t.to(at::kDouble); };
        const auto put = [&](const at::Tensor& t) { return bench.put(t); };
        const bool grouped = heads.heads != heads.key_heads;
        const Tensors want = gradients_of(map(x, wide), weight.to(at::kDouble), grouped, true);
        const Tensors got = gradients_of(map(x, put), bench.put(weight), grouped, false);
        constexpr std::array<std::string_view, 3> kOf{"query", "key", "value"};
        for (std::size_t i = 0; i < 3; ++i) {
            bench.within(bench.fetch(got[i]), want[i], tolerance_for(want[i], dtype, 2.0), kOf[i]);
        }
        // A gradient that enters at the first places must not reach later keys: exact zeros.
        const std::int64_t place = heads.queries / 2;
        at::Tensor early = weight.clone();
        early.narrow(2, place, heads.queries - place).zero_();
        const Tensors past = gradients_of(map(x, put), bench.put(early), grouped, false);
        for (const std::size_t i : {std::size_t{1}, std::size_t{2}}) {
            const at::Tensor later =
                bench.fetch(past[i].narrow(2, place, heads.keys - place).contiguous());
            bench.equal(later, at::zeros_like(later), "gradient that reaches the future", false);
        }
    });
}

}  // namespace

void attention(Bench& bench) {
    std::vector<Heads> sizes{{2, 4, 4, 33, 33, 16},   {1, 2, 2, 1, 1, 8},
                             {1, 4, 2, 64, 64, 32},   {3, 6, 2, 65, 65, 64},
                             {1, 8, 1, 129, 129, 64}, {2, 2, 2, 7, 7, 80},
                             {1, 2, 2, 257, 257, 128}};
    if (bench.at_least(Size::kStandard)) {
        sizes.push_back({1, 16, 4, 1025, 1025, 128});
        sizes.push_back({2, 3, 3, 511, 511, 96});
    }
    for (const c10::ScalarType dtype : bench.dtypes()) {
        for (const Heads& heads : sizes) {
            ask_values(bench, heads, dtype, Mask::kCausal);
            ask_values(bench, heads, dtype, Mask::kNone);
            ask_values(bench, heads, dtype, Mask::kBool);
            if (heads.keys < 600) ask_gradients(bench, heads, dtype);
        }
        ask_values(bench, {2, 2, 2, 5, 97, 32}, dtype, Mask::kNone);
        ask_values(bench, {2, 2, 2, 1, 300, 64}, dtype, Mask::kBool);
        ask_causality(bench, {2, 2, 2, 40, 40, 32}, dtype);
        ask_causality(bench, {1, 2, 2, 150, 150, 64}, dtype);
        ask_unity(bench, {2, 2, 2, 200, 200, 64}, dtype);
        ask_unity(bench, {1, 1, 1, 1100, 1100, 32}, dtype);
        ask_batches(bench, {3, 2, 2, 50, 50, 32}, dtype);
        ask_packed(bench, {1, 31, 64, 17}, {1, 2, 2, 0, 0, 32}, dtype);
        ask_packed(bench, {100, 7, 3}, {1, 4, 2, 0, 0, 64}, dtype);
        ask_peaked(bench, {1, 2, 2, 60, 60, 64}, dtype);
    }
}

}  // namespace ascertain::operators::battery
