// Flash attention in blocks of keys, with running maxima and sums (Dao et al. 2022, arXiv
// 2205.14135, algorithm 1); products and sums of each block as declared.
#include <ATen/ops/arange.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/full.h>
#include <ATen/ops/maximum.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>

#include <array>
#include <cmath>
#include <limits>

#include "chips/simulated/arithmetic/kernels.hpp"

namespace ascertain::simulated::arithmetic {
namespace {

constexpr double kHidden = -std::numeric_limits<double>::infinity();

// fp32; heads of keys and values repeated to those of the queries; [batch * heads, seq, dim].
struct Inputs {
    at::Tensor query, key, value;
    at::Tensor mask;  // added to scores; undefined: none
    bool causal = false;
    double scale = 1.0;
    std::int64_t batch = 0, heads = 0, key_heads = 0;
};

at::Tensor flat(const at::Tensor& x) {
    return x.reshape({x.size(0) * x.size(1), x.size(2), x.size(3)});
}

std::optional<Inputs> inputs_of(const Operation& operation) {
    const at::Tensor query = operation.tensor("query");
    const at::Tensor key = operation.tensor("key");
    const at::Tensor value = operation.tensor("value");
    if (operation.number("dropout_p", 0.0) != 0.0 || !is_working_float(query.scalar_type()) ||
        query.numel() == 0 || key.numel() == 0 || query.size(1) % key.size(1) != 0) {
        return std::nullopt;
    }
    Inputs in;
    in.batch = query.size(0);
    in.heads = query.size(1);
    in.key_heads = key.size(1);
    const std::int64_t repeats = in.heads / in.key_heads;
    in.query = flat(query.to(at::kFloat));
    in.key = flat(key.to(at::kFloat).repeat_interleave(repeats, 1));
    in.value = flat(value.to(at::kFloat).repeat_interleave(repeats, 1));
    in.causal = operation.find("is_causal")->toBool();
    in.scale = operation.number("scale", 1.0 / std::sqrt(static_cast<double>(query.size(3))));
    if (const at::Tensor mask = operation.tensor("attn_mask"); mask.defined()) {
        const at::Tensor added = mask.scalar_type() == at::kBool
                                     ? at::zeros(mask.sizes(), in.query.options())
                                           .masked_fill(mask.logical_not(), kHidden)
                                     : mask.to(at::kFloat);
        in.mask = flat(added.expand({in.batch, in.heads, query.size(2), key.size(2)}));
    }
    return in;
}

// Scores of keys [begin, begin + length) as the softmax sees them.
at::Tensor scores_of(const Declared& how, const Inputs& in, std::int64_t begin,
                     std::int64_t length) {
    at::Tensor scores =
        product(how.products, in.query, in.key.narrow(1, begin, length).transpose(1, 2))
            .mul_(in.scale);
    if (in.mask.defined()) scores.add_(in.mask.narrow(2, begin, length));
    if (in.causal) {
        const at::Tensor places = at::arange(begin, begin + length);
        const at::Tensor rows = at::arange(in.query.size(1)).unsqueeze(1);
        scores.masked_fill_(places.gt(rows), kHidden);
    }
    return scores;
}

// [batch * heads, seq, dim] as [batch, heads, seq, dim] with the heads of one position together.
at::Tensor unflat(const at::Tensor& x, std::int64_t batch, std::int64_t heads,
                  at::ScalarType dtype) {
    at::Tensor result =
        at::empty({batch, x.size(1), heads, x.size(2)}, x.options().dtype(dtype)).transpose(1, 2);
    result.copy_(x.view({batch, heads, x.size(1), x.size(2)}));
    return result;
}

bool forward(Operation& operation) {
    const std::optional<Inputs> in = inputs_of(operation);
    if (!in || operation.writes()) return false;
    const Declared& how = operation.declared();
    const std::int64_t keys = in->key.size(1);
    const auto options = in->query.options();
    at::Tensor largest = at::full({in->query.size(0), in->query.size(1), 1}, kHidden, options);
    at::Tensor total = at::zeros_like(largest);
    at::Tensor out = at::zeros({in->query.size(0), in->query.size(1), in->value.size(2)}, options);
    for (std::int64_t begin = 0; begin < keys; begin += how.attention_block) {
        const std::int64_t length = std::min(how.attention_block, keys - begin);
        const at::Tensor scores = scores_of(how, *in, begin, length);
        const at::Tensor higher = at::maximum(largest, scores.amax(-1, true));
        // A row that sees nothing yet has no maximum to subtract.
        const at::Tensor shift = higher.masked_fill(higher.eq(kHidden), 0.0);
        const at::Tensor fade = exponential(how, largest.sub(shift));
        const at::Tensor powers = exponential(how, scores.sub(shift));
        total = total.mul(fade).add(sum_last(how.sums, powers));
        out = out.mul(fade).add(product(how.products, powers, in->value.narrow(1, begin, length)));
        largest = higher;
    }
    const at::Tensor seen = total.gt(0.0);
    out = out.div(at::where(seen, total, at::full({}, 1.0, options)));
    const at::Tensor logarithm =
        largest.add(total.log()).view({in->batch, in->heads, in->query.size(1)});
    const at::ScalarType dtype = operation.tensor("query").scalar_type();
    operation.answer({unflat(out, in->batch, in->heads, dtype), logarithm});
    return true;
}

// The gradient of what was repeated is the sum over its repeats.
at::Tensor gathered(const at::Tensor& gradient, const Inputs& in, at::ScalarType dtype) {
    const at::Tensor heads = gradient
                                 .view({in.batch, in.key_heads, in.heads / in.key_heads,
                                        gradient.size(1), gradient.size(2)})
                                 .sum(2);
    return unflat(flat(heads), in.batch, in.key_heads, dtype);
}

bool backward(Operation& operation) {
    const std::optional<Inputs> in = inputs_of(operation);
    if (!in || operation.writes()) return false;
    const Declared& how = operation.declared();
    const at::Tensor gradient = flat(operation.tensor("grad_out").to(at::kFloat));
    const at::Tensor out = flat(operation.tensor("out").to(at::kFloat));
    const at::Tensor logarithm =
        operation.tensor("logsumexp").to(at::kFloat).reshape({out.size(0), out.size(1), 1});
    const at::Tensor shift = logarithm.masked_fill(logarithm.eq(kHidden), 0.0);
    const at::Tensor inner = sum_last(how.sums, gradient.mul(out));
    at::Tensor by_query = at::zeros_like(in->query);
    at::Tensor by_key = at::zeros_like(in->key);
    at::Tensor by_value = at::zeros_like(in->value);
    for (std::int64_t begin = 0; begin < in->key.size(1); begin += how.attention_block) {
        const std::int64_t length = std::min(how.attention_block, in->key.size(1) - begin);
        const at::Tensor powers = exponential(how, scores_of(how, *in, begin, length).sub(shift));
        const at::Tensor values = in->value.narrow(1, begin, length);
        by_value.narrow(1, begin, length)
            .copy_(product(how.products, powers.transpose(1, 2), gradient));
        const at::Tensor by_score = product(how.products, gradient, values.transpose(1, 2))
                                        .sub(inner)
                                        .mul(powers)
                                        .mul(in->scale);
        by_query.add_(product(how.products, by_score, in->key.narrow(1, begin, length)));
        by_key.narrow(1, begin, length)
            .copy_(product(how.products, by_score.transpose(1, 2), in->query));
    }
    const at::ScalarType dtype = operation.tensor("query").scalar_type();
    operation.answer({unflat(by_query, in->batch, in->heads, dtype), gathered(by_key, *in, dtype),
                      gathered(by_value, *in, dtype)});
    return true;
}

constexpr std::array kKernels{
    OwnKernel{"_scaled_dot_product_flash_attention_for_cpu", forward},
    OwnKernel{"_scaled_dot_product_flash_attention_for_cpu_backward", backward}};

}  // namespace

std::span<const OwnKernel> attention_kernels() {
    return kKernels;
}

}  // namespace ascertain::simulated::arithmetic
