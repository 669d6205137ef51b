#include "worker/training/planted/numbers.hpp"

#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <tuple>

#include "base/random.hpp"

namespace ascertain::training::planted {
namespace {

// Normal noise; with heavy tails it grows with how far an element lies below the largest of its
// row, as the difference of two engines does for rare tokens.
at::Tensor noisy(const at::Tensor& value, const Asked& asked, std::int64_t index) {
    const defects::Does& does = asked.rule->does;
    at::Tensor noise =
        at::zeros_like(value.detach(), at::TensorOptions(at::kCPU).dtype(at::kDouble)).contiguous();
    auto* places = noise.mutable_data_ptr<double>();
    Random random(asked.draw, static_cast<std::uint64_t>(index));
    for (std::int64_t i = 0; i < noise.numel(); ++i) {
        places[i] = does.number("size") * random.normal();
    }
    if (does.word("heavy_tail") == "yes" && value.dim() > 0) {
        const at::Tensor host = value.detach().to(at::kCPU, at::kDouble);
        noise.mul_(std::get<0>(host.max(-1, true)).sub(host));
    }
    return value.add(noise.to(value.device(), value.scalar_type()));
}

// One bit of one drawn element.
at::Tensor flipped(const at::Tensor& value, const Asked& asked) {
    at::Tensor host = value.detach().to(at::kCPU).contiguous().clone();
    const auto size = static_cast<std::int64_t>(host.element_size());
    const std::int64_t bit = asked.rule->does.whole("bit");
    if (host.numel() == 0 || bit >= 8 * size) return {};
    const auto element = static_cast<std::int64_t>(asked.draw >> 1U) % host.numel();
    auto* bytes = static_cast<std::uint8_t*>(host.mutable_data_ptr());
    bytes[element * size + bit / 8] ^= static_cast<std::uint8_t>(1U << (bit % 8));
    return host.to(value.device());
}

at::ScalarType dtype_of(const std::string& name) {
    if (name == "fp64") return at::kDouble;
    if (name == "fp32") return at::kFloat;
    if (name == "fp16") return at::kHalf;
    return name == "fp8" ? at::kFloat8_e4m3fn : at::kBFloat16;
}

}  // namespace

at::Tensor altered(const at::Tensor& value, const Asked& asked, std::int64_t index) {
    const defects::Does& does = asked.rule->does;
    if (does.kind == "scale") return value.mul(does.number("factor"));
    if (does.kind == "scale_growing") {
        return value.mul(std::pow(does.number("factor"), static_cast<double>(index)));
    }
    if (does.kind == "scale_drawn") {
        const double low = does.number("low");
        Random random(asked.draw, 0);
        return value.mul(low + (does.number("high") - low) * random.uniform());
    }
    if (does.kind == "bias") return value.add(does.number("value"));
    if (does.kind == "overwrite") {
        const double made = does.number("value");
        // NaN must come back as a gradient, too; a finite value has none.
        return std::isnan(made) ? value.mul(made) : value.mul(0.0).nan_to_num(0.0).add(made);
    }
    if (does.kind == "noise") return noisy(value, asked, index);
    if (does.kind == "round" || does.kind == "low_precision_state")
        return value.to(dtype_of(does.word("dtype"))).to(value.scalar_type());
    if (does.kind == "clamp") return value.clamp(does.number("low"), does.number("high"));
    if (does.kind == "flip_bit") return index == 0 ? flipped(value, asked) : at::Tensor();
    if (does.kind == "nan_to_zero") return value.nan_to_num(0.0);
    if (does.kind == "twice") return value.mul(2.0);
    if (does.kind == "leave_out") return at::zeros_like(value);
    return {};
}

at::Tensor permuted_rows(const at::Tensor& value) {
    if (value.dim() == 0 || value.size(0) < 2) return {};
    return value.roll(std::max<std::int64_t>(1, value.size(0) / 2), 0);
}

bool becomes(const at::Tensor& value, const at::Tensor& made) {
    if (!made.defined() || value.equal(made)) return false;
    value.copy_(made);
    return true;
}

}  // namespace ascertain::training::planted
