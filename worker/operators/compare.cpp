#include "worker/operators/compare.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <thread>

#include "base/assert.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators {
namespace {

// rounded_to and ulp_at of dtype.hpp for the inner loop: the same arithmetic on the bits, without
// calls, so that the compiler keeps several elements in flight.
class FastRounding {
public:
    explicit FastRounding(const FloatFormat& format)
        : steps_(format.precision - 1),
          exponent_min_(format.exponent_min),
          largest_(format.largest),
          tie_(format.precision <= kNarrow ? kTie : 0.0) {}

    // By so much of the value one neighbour may be farther than the other, and both are right.
    [[nodiscard]] double tie() const { return tie_; }
    [[nodiscard]] double ulp(double value) const { return power_of_two(exponent(value) - steps_); }

    [[nodiscard]] double operator()(double value) const {
        const int shift = steps_ - exponent(value);
        // Adding 1.5 x 2^52 leaves no room for a fraction: the processor rounds, ties to even.
        constexpr double kRound = 6755399441055744.0;
        const double scaled = value * power_of_two(shift);
        const double rounded = ((scaled + kRound) - kRound) * power_of_two(-shift);
        if (std::abs(rounded) <= largest_) return rounded;
        return std::isnan(rounded) ? rounded
                                   : std::copysign(std::numeric_limits<double>::infinity(), value);
    }

private:
    [[nodiscard]] int exponent(double value) const {
        const auto bits = std::bit_cast<std::uint64_t>(value);
        return std::max(static_cast<int>((bits >> 52) & 0x7ff) - 1023, exponent_min_);
    }
    [[nodiscard]] static double power_of_two(int exponent) {
        return std::bit_cast<double>(static_cast<std::uint64_t>(exponent + 1023) << 52);
    }

    // docs/formulas.md#rounding-share: four roundings to fp32 before the one to the output.
    static constexpr double kTie = 0x1p-22;
    static constexpr int kNarrow = 16;  // bits of precision; formats well below fp32

    int steps_;
    int exponent_min_;
    double largest_;
    double tie_;
};

// fp64 needs no rounding, and its quanta would leave the range of power_of_two.
struct NoRounding {
    [[nodiscard]] double ulp(double value) const {
        return std::nextafter(std::abs(value), std::numeric_limits<double>::infinity()) -
               std::abs(value);
    }
    [[nodiscard]] double tie() const { return 0.0; }
    [[nodiscard]] double operator()(double value) const { return value; }
};

std::size_t bin_of(double ulp) {
    const auto edge = std::lower_bound(kUlpEdges.begin(), kUlpEdges.end(), ulp);
    return static_cast<std::size_t>(edge - kUlpEdges.begin());
}

struct Span {
    std::int64_t row_begin = 0;
    std::int64_t row_end = 0;
    std::int64_t columns = 0;
};

struct Found {
    Distance distance;
    std::int64_t worst_element = -1;
    Worst worst;
};

template <typename T, typename Rounding>
Found compare_rows(const T* got, const double* reference, const double* bound,
                   const Rounding& rounding, const Span& span) {
    Found found;
    Distance& d = found.distance;
    for (std::int64_t row = span.row_begin; row < span.row_end; ++row) {
        const std::int64_t begin = row * span.columns;
        const std::int64_t end = begin + span.columns;
        double largest = 0.0;
        for (std::int64_t i = begin; i < end; ++i) {
            const double size = std::abs(reference[i]);
            if (size > largest && size <= std::numeric_limits<double>::max()) largest = size;
        }
        d.reference_max = std::max(d.reference_max, largest);
        const double per_ulp = 1.0 / rounding.ulp(largest);
        for (std::int64_t i = begin; i < end; ++i) {
            const auto value = static_cast<double>(got[i]);
            const double ideal = rounding(reference[i]);
            if (!std::isfinite(value) || !std::isfinite(ideal)) {
                const bool same = value == ideal || (std::isnan(value) && std::isnan(ideal));
                d.nonfinite_mismatches += same ? 0 : 1;
                continue;
            }
            const double error = value - reference[i];
            const double rounded_off = ideal - reference[i];
            const double excess = value - ideal;
            const double farther = std::abs(error) - std::abs(rounded_off);
            d.not_ideal +=
                excess != 0.0 && farther > rounding.tie() * std::abs(reference[i]) ? 1 : 0;
            d.error_square_sum += error * error;
            d.ideal_square_sum += rounded_off * rounded_off;
            d.reference_square_sum += reference[i] * reference[i];
            d.bias_sum += excess * reference[i];
            d.bias_variance_sum +=
                (excess * excess + rounded_off * rounded_off) * reference[i] * reference[i];
            d.error_max = std::max(d.error_max, std::abs(error));
            if (bound != nullptr) d.bound_max = std::max(d.bound_max, std::abs(error) / bound[i]);
            const double ulp = std::abs(error) * per_ulp;
            ++d.histogram[bin_of(ulp)];
            if (ulp > d.ulp_max || found.worst_element < 0) {
                d.ulp_max = std::max(ulp, d.ulp_max);
                found.worst_element = i;
                found.worst = {{}, value, reference[i], ulp};
            }
        }
    }
    return found;
}

void add(Distance& sum, const Distance& part) {
    sum.not_ideal += part.not_ideal;
    sum.nonfinite_mismatches += part.nonfinite_mismatches;
    sum.error_square_sum += part.error_square_sum;
    sum.ideal_square_sum += part.ideal_square_sum;
    sum.reference_square_sum += part.reference_square_sum;
    sum.error_max = std::max(sum.error_max, part.error_max);
    sum.reference_max = std::max(sum.reference_max, part.reference_max);
    sum.ulp_max = std::max(sum.ulp_max, part.ulp_max);
    sum.bound_max = std::max(sum.bound_max, part.bound_max);
    sum.bias_sum += part.bias_sum;
    sum.bias_variance_sum += part.bias_variance_sum;
    for (std::size_t i = 0; i < sum.histogram.size(); ++i) sum.histogram[i] += part.histogram[i];
}

std::vector<std::int64_t> place_of(std::int64_t element, at::IntArrayRef shape) {
    std::vector<std::int64_t> index(shape.size());
    for (std::size_t i = shape.size(); i-- > 0;) {
        index[i] = element % shape[i];
        element /= shape[i];
    }
    return index;
}

template <typename T, typename Rounding>
Distance compare_as(const at::Tensor& got, const at::Tensor& reference, const at::Tensor& bound,
                    const Rounding& rounding) {
    const auto* values = static_cast<const T*>(got.const_data_ptr());
    const double* expected = reference.const_data_ptr<double>();
    const double* limits = bound.defined() ? bound.const_data_ptr<double>() : nullptr;
    const std::int64_t columns = got.dim() == 0 ? 1 : got.size(-1);
    const std::int64_t rows = columns == 0 ? 0 : got.numel() / columns;
    const std::int64_t parts =
        got.numel() < 65536 ? 1 : std::clamp<std::int64_t>(at::get_num_threads(), 1, rows);
    std::vector<Found> found(static_cast<std::size_t>(parts));
    std::vector<std::thread> threads;
    for (std::int64_t part = 0; part < parts; ++part) {
        const Span span{rows * part / parts, rows * (part + 1) / parts, columns};
        threads.emplace_back([&, part, span] {
            found[static_cast<std::size_t>(part)] =
                compare_rows(values, expected, limits, rounding, span);
        });
    }
    Distance distance;
    distance.elements = got.numel();
    for (std::size_t part = 0; part < found.size(); ++part) {
        threads[part].join();
        if (found[part].worst_element >= 0 &&
            (!distance.worst || found[part].worst.ulp > distance.worst->ulp)) {
            distance.worst = found[part].worst;
            distance.worst->index = place_of(found[part].worst_element, got.sizes());
        }
        add(distance, found[part].distance);
    }
    return distance;
}

double root_mean(double sum, std::int64_t count) {
    return count == 0 ? 0.0 : std::sqrt(sum / static_cast<double>(count));
}

}  // namespace

double Distance::rms_error() const {
    return root_mean(error_square_sum, elements);
}
double Distance::rms_ideal() const {
    return root_mean(ideal_square_sum, elements);
}
double Distance::rms_reference() const {
    return root_mean(reference_square_sum, elements);
}

double Distance::bias() const {
    return reference_square_sum > 0.0 ? bias_sum / reference_square_sum : 0.0;
}

double Distance::bias_z() const {
    return bias_variance_sum > 0.0 ? bias_sum / std::sqrt(bias_variance_sum) : 0.0;
}

Distance compare(const at::Tensor& got, const at::Tensor& reference, const at::Tensor& bound) {
    ASCERTAIN_ASSERT(got.sizes() == reference.sizes());
    const at::Tensor values = got.contiguous();
    const at::Tensor expected = reference.contiguous();
    const at::Tensor limits = bound.defined() ? bound.contiguous() : bound;
    const FastRounding rounding(format_of(values.scalar_type()));
    switch (values.scalar_type()) {
        case at::kFloat: return compare_as<float>(values, expected, limits, rounding);
        case at::kBFloat16: return compare_as<at::BFloat16>(values, expected, limits, rounding);
        case at::kHalf: return compare_as<at::Half>(values, expected, limits, rounding);
        case at::kDouble: return compare_as<double>(values, expected, limits, NoRounding{});
        default: break;
    }
    // Eight-bit floats are exact in fp32, but their neighbours are further apart.
    const at::Tensor widened = values.to(at::kFloat);
    return compare_as<float>(widened, expected, limits, rounding);
}

double rms_difference(const at::Tensor& a, const at::Tensor& b) {
    const at::Tensor square = a.sub(b).square();
    return std::sqrt(
        square.masked_fill(square.isfinite().logical_not(), 0.0).mean().item<double>());
}

}  // namespace ascertain::operators
