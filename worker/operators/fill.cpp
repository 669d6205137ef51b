#include "worker/operators/fill.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <ATen/ops/full.h>
#include <ATen/ops/scalar_tensor.h>
#include <ATen/ops/where.h>

#include <algorithm>
#include <array>
#include <bitset>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <optional>

#include "base/random.hpp"

namespace ascertain::operators {
namespace {

constexpr std::int64_t kSampleMax = 65536;
// Whole numbers beyond are not exact in fp64, nor real numbers beyond in any model.
constexpr std::int64_t kWholeMax = std::int64_t{1} << 53;
constexpr double kRealMax = 1e30;
// The largest primes below 2^20: tensors of one case get different ones, so that what they hold
// does not stay in step.
constexpr std::array<std::int64_t, 8> kPeriods = {1048573, 1048571, 1048559, 1048549,
                                                  1048517, 1048507, 1048447, 1048433};

// --- making values ---

// Standard normal and uniform numbers of one seed: number i is a pure function of the seed and i.
// Drawn where they are asked for, since most cases are small and every attempt has another seed.
class Draws {
public:
    explicit Draws(std::uint64_t seed)
        : seed_(seed),
          normal_(at::empty({kPeriods[0]}, at::TensorOptions().dtype(at::kFloat))),
          uniform_(at::empty({kPeriods[0]}, at::TensorOptions().dtype(at::kDouble))) {}

    [[nodiscard]] std::uint64_t seed() const { return seed_; }
    // fp32 and fp64 [count], from `start` on.
    [[nodiscard]] at::Tensor normal(std::int64_t start, std::int64_t count) {
        for_each_new_chunk(normals_drawn_, start, count, [&](std::int64_t begin, std::int64_t end) {
            Random random(seed_, 0, static_cast<std::uint64_t>(begin));
            float* to = normal_.mutable_data_ptr<float>();
            for (std::int64_t i = begin; i < end; ++i) to[i] = static_cast<float>(random.normal());
        });
        return normal_.narrow(0, start, count);
    }
    [[nodiscard]] at::Tensor uniform(std::int64_t start, std::int64_t count) {
        const auto draw = [&](std::int64_t begin, std::int64_t end) {
            Random random(seed_, 1, static_cast<std::uint64_t>(begin / 2));
            double* to = uniform_.mutable_data_ptr<double>();
            for (std::int64_t i = begin; i < end; ++i) to[i] = random.uniform();
        };
        for_each_new_chunk(uniforms_drawn_, start, count, draw);
        return uniform_.narrow(0, start, count);
    }

private:
    static constexpr std::int64_t kChunk = 4096;  // even: a block of Random holds two uniforms
    static constexpr std::size_t kChunks = (kPeriods[0] + kChunk - 1) / kChunk;
    using Drawn = std::bitset<kChunks>;

    template <typename DrawRange>
    static void for_each_new_chunk(Drawn& drawn, std::int64_t start, std::int64_t count,
                                   const DrawRange& draw) {
        if (count == 0) return;
        for (std::int64_t chunk = start / kChunk; chunk <= (start + count - 1) / kChunk; ++chunk) {
            const auto index = static_cast<std::size_t>(chunk);
            if (drawn[index]) continue;
            draw(chunk * kChunk, std::min((chunk + 1) * kChunk, kPeriods[0]));
            drawn.set(index);
        }
    }

    std::uint64_t seed_;
    at::Tensor normal_;
    at::Tensor uniform_;
    Drawn normals_drawn_;
    Drawn uniforms_drawn_;
};

// The first `count` of a source of numbers that starts at its own place for every stream.
class Source {
public:
    Source(std::uint64_t seed, std::uint64_t stream) : seed_(seed), stream_(stream) {
        // A memo: the numbers are a pure function of the seed.
        thread_local std::optional<Draws> memo;
        if (!memo || memo->seed() != seed) memo.emplace(seed);
        draws_ = &*memo;
    }

    [[nodiscard]] std::int64_t period() const { return kPeriods[stream_ % kPeriods.size()]; }
    [[nodiscard]] at::Tensor normal(std::int64_t count) { return part(&Draws::normal, count); }
    [[nodiscard]] at::Tensor uniform(std::int64_t count) { return part(&Draws::uniform, count); }

private:
    using Numbers = at::Tensor (Draws::*)(std::int64_t start, std::int64_t count);

    at::Tensor part(Numbers numbers, std::int64_t count) {
        const std::int64_t length = period();
        Random random(seed_, 2 + 16 * stream_ + parts_++);
        const auto start =
            static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(length)));
        const std::int64_t first = std::min(count, length - start);
        const at::Tensor head = (draws_->*numbers)(start, first);
        return first == count ? head.clone()
                              : at::cat({head, (draws_->*numbers)(0, count - first)});
    }

    std::uint64_t seed_;
    std::uint64_t stream_;
    std::uint64_t parts_ = 0;
    Draws* draws_ = nullptr;
};

// Whole numbers in [low, high], fp64.
at::Tensor whole_numbers(Source& source, std::int64_t count, double low, double high) {
    return source.uniform(count).mul(high - low + 1.0).floor().clamp_max(high - low).add(low);
}

at::Tensor positive(const Fill& fill, Source& source, std::int64_t count) {
    if (fill.std < 0.5 * fill.mean) {
        return source.normal(count).mul(fill.std).add(fill.mean).clamp(fill.low, fill.high);
    }
    const at::Tensor exponential = source.uniform(count).neg().log1p().neg();
    return exponential.mul(fill.mean - fill.low).add(fill.low).clamp_max(fill.high);
}

// `count` <= period numbers of a family whose values do not depend on their place.
at::Tensor plain_numbers(const Fill& fill, Source& source, std::int64_t count) {
    at::Tensor values;
    switch (fill.family) {
        case FillFamily::kUniform:
            values = source.uniform(count).mul(fill.high - fill.low).add(fill.low);
            break;
        case FillFamily::kPositive: values = positive(fill, source, count); break;
        case FillFamily::kIntegers: return whole_numbers(source, count, fill.low, fill.high);
        case FillFamily::kIndex: {
            values = whole_numbers(source, count, fill.low, fill.high);
            if (!fill.sentinel) return values;
            const at::Tensor kept = source.uniform(count).lt(fill.share);
            return at::where(kept, values, static_cast<double>(*fill.sentinel));
        }
        default:
            values = source.normal(count).mul(fill.std).add(fill.mean).clamp(fill.low, fill.high);
            break;
    }
    return fill.share < 1.0 ? values.mul(source.uniform(count).lt(fill.share)) : values;
}

// `flat` repeated until there are `count` elements.
at::Tensor tiled(const at::Tensor& flat, std::int64_t count) {
    const std::int64_t length = flat.numel();
    if (length == count) return flat;
    at::Tensor all = at::empty({count}, flat.options());
    const auto size = flat.element_size();
    const auto* from = static_cast<const char*>(flat.const_data_ptr());
    auto* to = static_cast<char*>(all.mutable_data_ptr());
    for (std::int64_t begin = 0; begin < count; begin += length) {
        const auto bytes = static_cast<std::size_t>(std::min(length, count - begin)) * size;
        std::memcpy(to + static_cast<std::size_t>(begin) * size, from, bytes);
    }
    return all;
}

// Rows of the last dimension, [rows, columns].
struct Rows {
    std::int64_t count = 1;
    std::int64_t columns = 1;
};

Rows rows_of(at::IntArrayRef shape) {
    Rows rows;
    if (shape.empty()) return rows;
    rows.columns = shape.back();
    for (std::size_t i = 0; i + 1 < shape.size(); ++i) rows.count *= shape[i];
    return rows;
}

at::Tensor probabilities(const Fill& fill, Source& source, const Rows& rows) {
    const std::int64_t count = rows.count * rows.columns;
    // Log-normal with the spread of what was seen: std / mean = sqrt(exp(s^2) - 1).
    const double ratio = fill.mean > 0.0 ? std::min(fill.std / fill.mean, 1e3) : 0.0;
    const double spread = std::sqrt(std::log1p(ratio * ratio));
    const std::int64_t drawn = std::min(count, source.period());
    const at::Tensor weights = tiled(source.normal(drawn).to(at::kDouble).mul(spread).exp(), count)
                                   .reshape({rows.count, rows.columns});
    return weights.div(weights.sum(-1, true));
}

// A run through all numbers in [low, high] with a step that shares no factor with how many they
// are: no value comes twice before all have come.
std::int64_t coprime_step(std::int64_t size, Random& random) {
    std::int64_t step =
        1 + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(size)));
    while (std::gcd(step, size) != 1) step = step % size + 1;
    return step;
}

at::Tensor distinct_numbers(std::int64_t low, std::int64_t size, const Rows& rows, Random& random) {
    at::Tensor values =
        at::empty({rows.count * rows.columns}, at::TensorOptions().dtype(at::kLong));
    auto* out = values.mutable_data_ptr<std::int64_t>();
    for (std::int64_t row = 0; row < rows.count; ++row) {
        const std::int64_t step = coprime_step(size, random);
        auto at = static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(size)));
        for (std::int64_t column = 0; column < rows.columns; ++column) {
            *out++ = low + at;
            at = (at + step) % size;
        }
    }
    return values;
}

at::Tensor shuffled(const Rows& rows, Random& random) {
    at::Tensor values =
        at::empty({rows.count * rows.columns}, at::TensorOptions().dtype(at::kLong));
    auto* out = values.mutable_data_ptr<std::int64_t>();
    for (std::int64_t row = 0; row < rows.count; ++row, out += rows.columns) {
        std::iota(out, out + rows.columns, std::int64_t{0});
        for (std::int64_t i = rows.columns - 1; i > 0; --i) {
            std::swap(out[i], out[random.below(static_cast<std::uint64_t>(i) + 1)]);
        }
    }
    return values;
}

at::Tensor ascending(const Fill& fill, Source& source, std::int64_t count) {
    const std::int64_t drawn = std::min(count, source.period());
    const auto unit = static_cast<double>(fill.multiple);
    at::Tensor values =
        whole_numbers(source, drawn, std::ceil(fill.low / unit), std::floor(fill.high / unit))
            .mul(unit);
    values = std::get<0>(tiled(values, count).sort());
    if (fill.family == FillFamily::kOffsets && count > 0)
        values.narrow(0, count - 1, 1).fill_(fill.high);
    return values;
}

at::Tensor structured_numbers(const Fill& fill, Source& source, Random& random,
                              at::IntArrayRef shape) {
    const Rows rows = rows_of(shape);
    switch (fill.family) {
        case FillFamily::kProbability: return probabilities(fill, source, rows);
        case FillFamily::kPermutation: return shuffled(rows, random);
        case FillFamily::kIndex: {
            const auto low = static_cast<std::int64_t>(fill.low);
            const auto size = static_cast<std::int64_t>(fill.high - fill.low) + 1;
            return distinct_numbers(low, size, rows, random);
        }
        default: return ascending(fill, source, rows.count * rows.columns);
    }
}

at::Tensor mask_numbers(const Fill& fill, Source& source, std::int64_t count,
                        at::ScalarType dtype) {
    const at::Tensor chosen = source.uniform(count).lt(fill.share);
    if (!at::isFloatingType(dtype)) return chosen;
    const auto options = at::TensorOptions().dtype(at::kDouble);
    return at::where(chosen, at::scalar_tensor(-std::numeric_limits<double>::infinity(), options),
                     at::scalar_tensor(0.0, options));
}

// --- looking at values ---

// A part of at most `count_max` elements, whole rows of the last dimension as far as they go.
at::Tensor sampled(const at::Tensor& tensor, std::int64_t count_max) {
    at::Tensor part = tensor;
    for (std::int64_t i = 0; i < part.dim() && part.numel() > count_max; ++i) {
        const std::int64_t others = part.numel() / part.size(i);
        const std::int64_t kept = std::max<std::int64_t>(1, count_max / others);
        const std::int64_t step = (part.size(i) + kept - 1) / kept;
        part = part.slice(i, 0, part.size(i), step);
    }
    return part.to(at::kCPU).contiguous();
}

Fill constant(double value) {
    return {FillFamily::kConstant, value, 0.0, value, value};
}

bool all_equal(const at::Tensor& tensor, double value) {
    return tensor.eq(value).all().item<bool>();
}

bool rows_distinct(const at::Tensor& values) {
    if (values.dim() == 0 || values.size(-1) < 2) return false;
    const at::Tensor ordered = std::get<0>(values.sort(-1));
    const std::int64_t columns = values.size(-1);
    return !ordered.narrow(-1, 1, columns - 1)
                .eq(ordered.narrow(-1, 0, columns - 1))
                .any()
                .item<bool>();
}

bool rows_permuted(const at::Tensor& values) {
    if (values.dim() == 0 || values.size(-1) < 2) return false;
    const at::Tensor ordered = std::get<0>(values.sort(-1));
    return ordered.eq(at::arange(values.size(-1), values.options())).all().item<bool>();
}

bool never_falls(const at::Tensor& values) {
    if (values.dim() != 1 || values.numel() < 2) return false;
    const std::int64_t count = values.numel();
    return values.narrow(0, 1, count - 1).ge(values.narrow(0, 0, count - 1)).all().item<bool>();
}

Fill infer_whole(const at::Tensor& tensor) {
    const at::Tensor values = tensor.to(at::kCPU).to(at::kLong).contiguous();
    const auto low = values.min().item<std::int64_t>();
    const auto high = values.max().item<std::int64_t>();
    if (low == high) return constant(static_cast<double>(low));
    // Nothing counts or points that far: this memory was never written.
    if (low < -kWholeMax || high > kWholeMax) return constant(0.0);
    const at::Tensor real = values.to(at::kDouble);
    Fill fill{FillFamily::kIntegers, real.mean().item<double>(), real.std(false).item<double>(),
              static_cast<double>(low), static_cast<double>(high)};
    if (low >= 0 && rows_permuted(values)) {
        fill.family = FillFamily::kPermutation;
    } else if (never_falls(values)) {
        // Group ends are int32 wherever torch takes them; sorted numbers are int64.
        fill.family = tensor.scalar_type() == at::kInt ? FillFamily::kOffsets : FillFamily::kSorted;
        const std::int64_t* data = values.const_data_ptr<std::int64_t>();
        std::int64_t divisor = 0;
        for (std::int64_t i = 0; i < values.numel(); ++i) divisor = std::gcd(divisor, data[i]);
        if (fill.family == FillFamily::kOffsets) {
            fill.multiple = std::max<std::int64_t>(1, divisor);
            fill.low = 0.0;
        }
    } else if (low >= 0) {
        fill.family = FillFamily::kIndex;
        fill.distinct = rows_distinct(values);
    } else {
        const at::Tensor negative = values.lt(0);
        if (values.masked_select(negative).eq(low).all().item<bool>()) {
            fill.family = FillFamily::kIndex;
            fill.sentinel = low;
            fill.share = 1.0 - negative.to(at::kDouble).mean().item<double>();
            fill.low = 0.0;
            fill.high = std::max(fill.high, 0.0);
        }
    }
    return fill;
}

bool rows_sum_to_one(const at::Tensor& values) {
    if (values.dim() == 0 || values.size(-1) < 2) return false;
    return values.sum(-1).sub(1.0).abs().max().item<double>() < 0.01;
}

Fill infer_real(const at::Tensor& tensor) {
    const at::Tensor sample = sampled(tensor, kSampleMax).to(at::kDouble);
    const at::Tensor finite = sample.masked_select(sample.isfinite());
    if (finite.numel() == 0) return constant(0.0);
    const bool holds_infinity = finite.numel() < sample.numel();
    const double low = finite.min().item<double>();
    const double high = finite.max().item<double>();
    if (low < -kRealMax || high > kRealMax) return constant(0.0);  // never written
    if (low == high) {
        if (low == 0.0 && holds_infinity) {
            const auto all = static_cast<double>(sample.numel());
            const double share = 1.0 - static_cast<double>(finite.numel()) / all;
            return {FillFamily::kMask, 0.0, 0.0, 0.0, 0.0, share};
        }
        if (!holds_infinity && (sample.numel() == tensor.numel() || all_equal(tensor, low))) {
            return constant(low);
        }
    }
    const at::Tensor nonzero = finite.masked_select(finite.ne(0.0));
    Fill fill;
    fill.low = low;
    fill.high = high;
    fill.share = static_cast<double>(nonzero.numel()) / static_cast<double>(finite.numel());
    if (fill.share > 0.95) fill.share = 1.0;
    const at::Tensor& seen = fill.share < 1.0 && nonzero.numel() > 0 ? nonzero : finite;
    fill.mean = seen.mean().item<double>();
    fill.std = seen.std(false).item<double>();
    if (low >= 0.0 && high <= 1.0 && !holds_infinity && rows_sum_to_one(sample)) {
        fill.family = FillFamily::kProbability;
        fill.share = 1.0;
    } else if (finite.eq(finite.round()).all().item<bool>() && high - low < 16777216.0) {
        fill.family = FillFamily::kIntegers;
        fill.share = 1.0;
    } else if (low >= 0.0) {
        fill.family = FillFamily::kPositive;
        fill.low = seen.min().item<double>();
    }
    return fill;
}

}  // namespace

bool is_structured(const Fill& fill) {
    switch (fill.family) {
        case FillFamily::kProbability:
        case FillFamily::kPermutation:
        case FillFamily::kOffsets:
        case FillFamily::kSorted: return true;
        case FillFamily::kIndex: return fill.distinct;
        default: return false;
    }
}

Fill infer_fill(const at::Tensor& tensor) {
    if (tensor.numel() == 0) return constant(0.0);
    if (tensor.scalar_type() == at::kBool) {
        const double share = sampled(tensor, kSampleMax).to(at::kDouble).mean().item<double>();
        return {FillFamily::kMask, share, 0.0, 0.0, 1.0, share};
    }
    return at::isFloatingType(tensor.scalar_type()) ? infer_real(tensor) : infer_whole(tensor);
}

at::Tensor make_values(const Fill& fill, at::IntArrayRef shape, at::ScalarType dtype,
                       std::uint64_t seed, std::uint64_t stream) {
    std::int64_t count = 1;
    for (const std::int64_t size : shape) count *= size;
    if (count == 0 || fill.family == FillFamily::kConstant) {
        return at::full(shape, fill.mean, at::TensorOptions().dtype(dtype));
    }
    Source source(seed, stream);
    if (is_structured(fill)) {
        Random random(seed, 1 + 16 * (stream + 1));
        return structured_numbers(fill, source, random, shape).to(dtype).reshape(shape);
    }
    const std::int64_t drawn = std::min(count, source.period());
    const at::Tensor block = fill.family == FillFamily::kMask
                                 ? mask_numbers(fill, source, drawn, dtype)
                                 : plain_numbers(fill, source, drawn);
    return tiled(block.to(dtype), count).reshape(shape);
}

}  // namespace ascertain::operators
