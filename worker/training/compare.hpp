// How far two sides of a comparison are apart, in numbers that a criterion can bound.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <string>
#include <vector>

#include "worker/training/parameters.hpp"

namespace ascertain::training {

// Stands for the error of a value that is not finite where the reference's is: a document cannot
// carry an infinity, and a missing number must not look like a missing measurement.
inline constexpr double kNotFinite = 1e30;

struct Difference {
    double relative_error = 0.0;    // norm of the difference over the norm of `expected`
    double one_minus_cosine = 0.0;  // of the angle between the two
};

// Norms are summed on the CPU in fp64. `floor` bounds the denominator from below: a tensor whose
// true gradient is next to nothing is judged by the size of its neighbours. Two zeros do not
// differ.
[[nodiscard]] Difference difference(const at::Tensor& got, const at::Tensor& expected,
                                    double floor);

// Gradients of all trained parameters, experts apart, copied to the CPU; zeros where there are
// none.
[[nodiscard]] std::vector<NamedTensor> gradients_on_host(const Parameters& parameters);

// Root of the summed squares.
[[nodiscard]] double global_norm(const std::vector<NamedTensor>& tensors);

// The norm that a tensor of this size would have if it had its share of the global one, times 1e-3.
[[nodiscard]] double norm_floor(const at::Tensor& tensor, double global, double elements);

// Collects a signed deviation over batches and says how many standard errors the device's mean is
// away from that of a healthy twin; docs/formulas.md#forced-comparison. Fewer than two batches have
// no spread: z is absent.
struct SignedDeviations {
    std::vector<double> device;
    std::vector<double> twin;
};
// `smallest_deviation`: what rounding of the number itself moves it by.
[[nodiscard]] std::optional<double> z_score(const SignedDeviations& deviations,
                                            double smallest_deviation);

}  // namespace ascertain::training
