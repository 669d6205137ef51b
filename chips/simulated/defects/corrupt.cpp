#include "chips/simulated/defects/corrupt.hpp"

#include <ATen/ops/matmul.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <random>

namespace ascertain::simulated::defects {
namespace {

bool is_floating(const at::Tensor& tensor) {
    return at::isFloatingType(tensor.scalar_type()) && tensor.numel() > 0;
}

// Lets `change` work on the elements in logical order, whatever the strides.
void change_flat(const at::Tensor& output, const std::function<void(at::Tensor&)>& change) {
    at::Tensor flat = output.clone(at::MemoryFormat::Contiguous).view({-1});
    change(flat);
    output.copy_(flat.view(output.sizes()));
}

// Sums of chunks of k in the order given; `after_each` may round the running sum.
void sum_chunks(const at::Tensor& output, const Product& product, std::int64_t chunk,
                const std::vector<std::int64_t>& order, bool round) {
    const std::int64_t k = product.left.size(-1);
    at::Tensor total;
    for (const std::int64_t place : order) {
        const std::int64_t begin = place * chunk;
        const std::int64_t length = std::min(chunk, k - begin);
        const at::Tensor part = at::matmul(product.left.narrow(-1, begin, length).to(at::kFloat),
                                           product.right.narrow(-2, begin, length).to(at::kFloat));
        total = total.defined() ? total.add(part) : part;
        if (round) total = total.to(at::kBFloat16).to(at::kFloat);
    }
    total = total.mul(product.alpha);
    if (product.addend.defined() && product.beta != 0.0) {
        total = total.add(product.addend.to(at::kFloat).mul(product.beta));
    }
    output.copy_(total);
}

std::vector<std::int64_t> chunks_of(const Product& product, std::int64_t chunk) {
    const std::int64_t k = product.left.size(-1);
    std::vector<std::int64_t> order(static_cast<std::size_t>((k + chunk - 1) / chunk));
    std::iota(order.begin(), order.end(), 0);
    return order;
}

bool can_be_summed(const at::Tensor& output, const Product& product) {
    return is_floating(output) && product.left.defined() && product.left.size(-1) > 0 &&
           at::isFloatingType(product.left.scalar_type());
}

}  // namespace

bool scale(const at::Tensor& output, double factor) {
    if (!is_floating(output)) return false;
    output.mul_(factor);
    return true;
}

bool flip_bit(const at::Tensor& output, std::int64_t bit, std::int64_t element) {
    const auto size = static_cast<std::int64_t>(output.element_size());
    if (output.numel() == 0 || bit >= 8 * size) return false;
    std::int64_t rest = element % output.numel();
    std::int64_t place = 0;
    for (std::int64_t dim = output.dim(); dim-- > 0;) {
        place += rest % output.size(dim) * output.stride(dim);
        rest /= output.size(dim);
    }
    auto* bytes = static_cast<std::uint8_t*>(output.mutable_data_ptr());
    bytes[place * size + bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));  // little-endian
    return true;
}

bool drop_tail(const Output& output, std::int64_t elements) {
    const std::int64_t count = std::min(elements, output.now.numel());
    if (count == 0) return false;
    const bool was_there = output.before.defined() && output.before.sizes() == output.now.sizes();
    change_flat(output.now, [&](at::Tensor& flat) {
        at::Tensor tail = flat.narrow(0, flat.numel() - count, count);
        if (was_there) {
            tail.copy_(output.before.reshape({-1}).narrow(0, flat.numel() - count, count));
        } else {
            tail.zero_();
        }
    });
    return true;
}

bool zero_out(const at::Tensor& output) {
    if (output.numel() == 0) return false;
    output.zero_();
    return true;
}

bool replace_by(const at::Tensor& output, const at::Tensor& stale) {
    if (!stale.defined() || output.numel() == 0 || stale.sizes() != output.sizes() ||
        stale.scalar_type() != output.scalar_type()) {
        return false;
    }
    output.copy_(stale);
    return true;
}

bool shift(const at::Tensor& output, std::int64_t by) {
    if (output.numel() < 2 || by % output.numel() == 0) return false;
    change_flat(output, [&](at::Tensor& flat) { flat.copy_(flat.roll(by)); });
    return true;
}

bool saturate(const at::Tensor& output, double limit) {
    if (!is_floating(output)) return false;
    output.clamp_(-limit, limit);
    return true;
}

bool round_partial_sums(const at::Tensor& output, const Product& product, std::int64_t chunk) {
    if (!can_be_summed(output, product)) return false;
    sum_chunks(output, product, chunk, chunks_of(product, chunk), true);
    return true;
}

bool sum_in_any_order(const at::Tensor& output, const Product& product, std::int64_t chunk) {
    if (!can_be_summed(output, product)) return false;
    std::vector<std::int64_t> order = chunks_of(product, chunk);
    thread_local std::mt19937_64 random(std::random_device{}());
    std::ranges::shuffle(order, random);
    sum_chunks(output, product, chunk, order, false);
    return true;
}

}  // namespace ascertain::simulated::defects
