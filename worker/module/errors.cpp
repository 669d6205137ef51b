#include "worker/module/errors.hpp"

#include <ATen/ops/isfinite.h>
#include <ATen/ops/where.h>
#include <ATen/ops/zeros.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/operators/dtype.hpp"

namespace ascertain::module {
namespace {

constexpr double kAccumulatorRoundoff = 0x1p-24;  // sums are kept in fp32 at least

struct Size {
    double rms = 0.0;
    double max = 0.0;
};

Size size_of(const at::Tensor& errors) {
    if (errors.numel() == 0) return {};
    return {errors.square().mean().sqrt().item<double>(), errors.abs().max().item<double>()};
}

at::Tensor wide(const at::Tensor& tensor) {
    return tensor.to(at::kCPU).to(at::kDouble);
}

// Elements that count: finite on all sides that are compared.
at::Tensor masked(const at::Tensor& values, const at::Tensor& mask) {
    return at::where(mask, values, at::zeros({}, values.options()));
}

// How much more than one rounding of the output sums in fp32 may err, in any order.
double summation_factor(double unit, double longest_sum) {
    return std::max(1.0, std::sqrt(longest_sum) * kAccumulatorRoundoff / unit);
}

std::string mismatch_of(const at::Tensor& device, const at::Tensor& twin,
                        const at::Tensor& reference) {
    if (device.defined() != reference.defined())
        return device.defined() ? "there, and the reference has none" : "absent";
    if (!reference.defined()) return "";
    if (device.sizes() != reference.sizes()) return "another shape";
    if (twin.defined() && device.scalar_type() != twin.scalar_type())
        return fmt::format("{} in place of {}", operators::name_of(device.scalar_type()),
                           operators::name_of(twin.scalar_type()));
    return "";
}

}  // namespace

double unit_roundoff(at::ScalarType dtype) {
    switch (dtype) {
        case at::kBFloat16: return 0x1p-8;
        case at::kHalf: return 0x1p-11;
        case at::kFloat: return 0x1p-24;
        default: return 0x1p-53;
    }
}

std::vector<TensorError> errors_of(const Yardstick& yardstick, const Values& device) {
    std::vector<TensorError> all;
    const double longest = yardstick.twins.front().facts.value("longest_sum", 1.0);
    for (std::size_t i = 0; i < yardstick.reference.tensors.size(); ++i) {
        TensorError& one = all.emplace_back();
        one.name = yardstick.reference.names[i];
        const at::Tensor& wanted = yardstick.reference.tensors[i];
        const at::Tensor got = i < device.tensors.size() ? device.tensors[i] : at::Tensor();
        one.mismatch = mismatch_of(got, yardstick.twins.front().tensors[i], wanted);
        if (!one.mismatch.empty() || !wanted.defined()) continue;
        const at::Tensor reference = wide(wanted);
        const at::Tensor values = wide(got);
        const at::Tensor first = wide(yardstick.twins.front().tensors[i]);
        const at::Tensor finite = at::isfinite(values);
        // Where healthy arithmetic overflows and fp64 does not, either is right.
        const at::Tensor odd =
            finite.ne(at::isfinite(reference)).logical_and(finite.ne(at::isfinite(first)));
        one.nonfinite = odd.sum().item<double>();
        at::Tensor mask =
            finite.logical_and(at::isfinite(reference)).logical_and(at::isfinite(first));
        const Size size = size_of(masked(reference, mask));
        const double unit = unit_roundoff(got.scalar_type());
        Size twin{unit * size.rms / 2, unit * size.max};
        for (const Values& replica : yardstick.twins) {
            const at::Tensor other = wide(replica.tensors[i]);
            const Size error =
                size_of(masked(other.sub(reference), mask.logical_and(at::isfinite(other))));
            twin = {std::max(twin.rms, error.rms), std::max(twin.max, error.max)};
        }
        const double factor = summation_factor(unit, longest);
        const Size error = size_of(masked(values.sub(reference), mask));
        const double tiny = std::numeric_limits<double>::min();
        one.ratio = error.rms / std::max(tiny, factor * twin.rms);
        one.max_ratio = error.max / std::max(tiny, factor * twin.max);
        one.relative = error.rms / std::max(tiny, size.rms);
        one.relative_twin = twin.rms / std::max(tiny, size.rms);
        if (size.rms == 0.0) {
            one.relative = error.rms == 0.0 ? 0.0 : 1.0;
            one.relative_twin = 0.0;
        }
    }
    return all;
}

}  // namespace ascertain::module
