#include "worker/training/compare.hpp"

#include <ATen/ops/zeros_like.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/assert.hpp"

namespace ascertain::training {
namespace {

double mean(const std::vector<double>& values) {
    return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

Difference difference(const at::Tensor& got, const at::Tensor& expected, double floor) {
    const at::Tensor ours = got.detach().to(at::kCPU, at::kDouble);
    const at::Tensor theirs = expected.detach().to(at::kCPU, at::kDouble);
    const double our_norm = ours.norm().item<double>();
    const double their_norm = theirs.norm().item<double>();
    if (!std::isfinite(our_norm)) return {kNotFinite, kNotFinite};
    const double apart = ours.sub(theirs).norm().item<double>();
    Difference result;
    if (apart > 0.0) {
        const double denominator = std::max(their_norm, floor);
        result.relative_error = denominator > 0.0 ? apart / denominator : kNotFinite;
    }
    if (their_norm > floor) {
        // Half the squared distance of the unit vectors: exact where the cosine is next to one.
        const double distance =
            our_norm > 0.0 ? ours.div(our_norm).sub(theirs.div(their_norm)).norm().item<double>()
                           : std::sqrt(2.0);
        result.one_minus_cosine = 0.5 * distance * distance;
    }
    return result;
}

std::vector<NamedTensor> gradients_on_host(const Parameters& parameters) {
    std::vector<NamedTensor> tensors;
    for (const Parameter& parameter : parameters.all()) {
        if (!parameter.trained) continue;
        const at::Tensor gradient = parameter.value.grad();
        const at::Tensor host = gradient.defined()
                                    ? gradient.detach().to(at::kCPU, /*non_blocking=*/false,
                                                           /*copy=*/true)
                                    : at::zeros_like(parameter.value, at::kCPU);
        for (NamedTensor& tensor : on_disk(parameter, host)) tensors.push_back(std::move(tensor));
    }
    return tensors;
}

double global_norm(const std::vector<NamedTensor>& tensors) {
    double sum = 0.0;
    for (const NamedTensor& tensor : tensors) {
        const double norm = tensor.value.to(at::kDouble).norm().item<double>();
        sum += norm * norm;
    }
    return std::sqrt(sum);
}

double norm_floor(const at::Tensor& tensor, double global, double elements) {
    constexpr double kShare = 1e-3;
    return kShare * global * std::sqrt(static_cast<double>(tensor.numel()) / elements);
}

std::optional<double> z_score(const SignedDeviations& deviations, double smallest_deviation) {
    ASCERTAIN_ASSERT(deviations.device.size() == deviations.twin.size());
    const std::size_t count = deviations.twin.size();
    if (count < 2) return std::nullopt;
    const double centre = mean(deviations.twin);
    double squares = 0.0;
    for (const double value : deviations.twin) squares += (value - centre) * (value - centre);
    const double spread =
        std::max(std::sqrt(squares / static_cast<double>(count - 1)), smallest_deviation);
    const double z =
        (mean(deviations.device) - centre) / (spread / std::sqrt(static_cast<double>(count)));
    return std::isfinite(z) ? z : std::copysign(kNotFinite, 1.0);
}

}  // namespace ascertain::training
