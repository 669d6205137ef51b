// Cross entropy and embedding at real vocabularies.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

#include "worker/operators/battery/batteries.hpp"
#include "worker/operators/battery/rows.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators::battery {
namespace {

constexpr std::int64_t kIgnored = -100;

struct Asked {
    std::int64_t tokens = 0;
    std::int64_t vocabulary = 0;
    double scale = 1.0;
    std::int64_t ignored = 0;
};

at::Tensor loss_of(const at::Tensor& logits, const at::Tensor& target, std::int64_t reduction) {
    return at::cross_entropy_loss(logits, target, {}, reduction, kIgnored);
}

at::Tensor gradient_of(const at::Tensor& logits, const at::Tensor& target) {
    const c10::AutoGradMode with_gradients(true);
    at::Tensor leaf = logits.detach().clone().requires_grad_(true);
    return torch::autograd::grad({loss_of(leaf, target, at::Reduction::Mean)}, {leaf})[0];
}

void ask_loss(Bench& bench, const Asked& asked, c10::ScalarType dtype) {
    const std::string name =
        fmt::format("cross entropy {} {}x{} scale {} ignored {}", name_of(dtype), asked.tokens,
                    asked.vocabulary, asked.scale, asked.ignored);
    if (!bench.wants(name)) return;
    bench.ask(name, [&] {
        const at::Tensor logits =
            bench.normal({asked.tokens, asked.vocabulary}, at::kFloat).mul(asked.scale).to(dtype);
        at::Tensor target = bench.whole({asked.tokens}, 0, asked.vocabulary - 1, at::kLong);
        target[0] = asked.vocabulary - 1;  // the last one, where indices overflow
        for (std::int64_t i = 0; i < asked.ignored; ++i) target[asked.tokens - 1 - i] = kIgnored;
        const at::Tensor wide = logits.to(at::kDouble);
        const at::Tensor there = bench.put(logits);
        const at::Tensor target_there = bench.put(target);
        const double half_ulp = std::ldexp(1.0, -format_of(dtype).precision);
        // Log-probabilities may be rounded before they are averaged; in fp32 a sum over the
        // vocabulary.
        const double roundings = dtype == at::kFloat ? 64.0 : 2.0;
        for (const std::int64_t reduction :
             {at::Reduction::None, at::Reduction::Mean, at::Reduction::Sum}) {
            const at::Tensor want = loss_of(wide, target, reduction);
            const double largest = std::max(largest_of(want), largest_of(wide));
            // Partial sums over the tokens may be kept in the dtype: the walk of their roundings.
            const double walk = reduction == at::Reduction::None
                                    ? 0.0
                                    : std::sqrt(static_cast<double>(asked.tokens));
            bench.within(bench.fetch(loss_of(there, target_there, reduction)), want,
                         {.ulps = 1.0, .spread = (roundings + walk) * half_ulp * largest},
                         fmt::format("reduction {}", reduction));
        }
        const at::Tensor want = gradient_of(wide, target);
        const at::Tensor got = bench.fetch(gradient_of(there, target_there));
        // A probability of nearly one is known to a few roundings of one.
        const double at_one = 4.0 * half_ulp / static_cast<double>(asked.tokens);
        // exp of a log-probability rounded to the dtype: off by its absolute error. The least one
        // is the least logit less the logarithm of the sum: at most log V + 2 max |x| in size.
        const double log_size =
            std::log(static_cast<double>(asked.vocabulary)) + 2.0 * largest_of(wide);
        const at::Tensor spreads =
            want.abs().mul(dtype == at::kFloat ? 1e-4 : 2.0 * half_ulp * (2.0 * log_size + 2.0));
        bench.within(got, want,
                     {.ulps = 1.0,
                      .spread = dtype == at::kFloat ? at_one : 1e-8,
                      .spreads = spreads.add(half_ulp * 4.0 / static_cast<double>(asked.tokens) *
                                             want.lt(0.0).to(at::kDouble))},
                     "gradient");
        if (asked.ignored > 0) {
            const at::Tensor tail = got.narrow(0, asked.tokens - asked.ignored, asked.ignored);
            bench.equal(tail.contiguous(), at::zeros_like(tail), "gradient of what is ignored",
                        false);
        }
    });
}

void ask_embedding(Bench& bench, std::int64_t vocabulary, c10::ScalarType dtype) {
    bench.ask(fmt::format("embedding {} of {}", name_of(dtype), vocabulary), [&] {
        constexpr std::int64_t kWidth = 5;
        const at::Tensor table = at::arange(vocabulary * kWidth, at::TensorOptions(at::kLong))
                                     .remainder(251)
                                     .to(dtype)
                                     .view({vocabulary, kWidth});
        at::Tensor tokens = bench.whole({3, 41}, 0, vocabulary - 1, at::kLong);
        tokens[0][0] = vocabulary - 1;
        tokens[1].fill_(7);  // the same token again and again
        bench.equal(bench.fetch(at::embedding(bench.put(table), bench.put(tokens))),
                    at::embedding(table, tokens));
        // Whole numbers whose sums are exact in any of the dtypes.
        const at::Tensor gradient = bench.whole({3, 41, kWidth}, -1, 1, dtype);
        const at::Tensor got = at::embedding_dense_backward(bench.put(gradient), bench.put(tokens),
                                                            vocabulary, -1, false);
        const at::Tensor want =
            at::embedding_dense_backward(gradient.to(at::kDouble), tokens, vocabulary, -1, false);
        bench.within(bench.fetch(got), want, {.ulps = 0.5}, "gradient");
    });
}

}  // namespace

void loss(Bench& bench) {
    for (const c10::ScalarType dtype : {at::kFloat, bench.dtypes().front()}) {
        for (const Asked& asked :
             {Asked{6, 129280, 1.0, 1}, Asked{4, 151936, 3.0, 0}, Asked{7, 50257, 1e-3, 2},
              Asked{33, 100, 1.0, 5}, Asked{65, 1000, 10.0, 0}, Asked{3, 2, 30.0, 1},
              Asked{129, 257, 1.0, 64}, Asked{5, 32000, 100.0, 0}}) {
            ask_loss(bench, asked, dtype);
        }
        ask_embedding(bench, 129280, dtype);
        ask_embedding(bench, 101, dtype);
    }
}

}  // namespace ascertain::operators::battery
