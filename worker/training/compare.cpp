#include "worker/training/compare.hpp"

#include <ATen/ops/linalg_vector_norm.h>
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

// Summed in fp64 whatever the tensor holds.
double norm_of(const at::Tensor& tensor) {
    return at::linalg_vector_norm(tensor, 2, {}, false, at::kDouble).item<double>();
}

// 1 - cos of the angle between two vectors of these norms that lie so far apart (law of cosines,
// written so that nothing cancels where the vectors are next to equal).
double from_cosine(double a, double b, double apart) {
    if (a == 0.0) return 1.0;
    return std::max(0.0, (apart - std::abs(a - b)) * (apart + std::abs(a - b)) / (2.0 * a * b));
}

}  // namespace

Difference difference(const at::Tensor& got, const at::Tensor& expected, double floor) {
    const at::Tensor ours = got.detach().to(at::kCPU);
    const at::Tensor theirs = expected.detach().to(at::kCPU);
    const double our_norm = norm_of(ours);
    const double their_norm = norm_of(theirs);
    if (!std::isfinite(our_norm)) return {kNotFinite, kNotFinite};
    // Of two numbers within a factor of two of each other the fp32 difference is exact.
    const double apart = norm_of(ours.sub(theirs));
    Difference result;
    if (apart > 0.0) {
        const double denominator = std::max(their_norm, floor);
        result.relative_error = denominator > 0.0 ? apart / denominator : kNotFinite;
    }
    if (their_norm > floor) result.one_minus_cosine = from_cosine(our_norm, their_norm, apart);
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
        const double norm = norm_of(tensor.value);
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
