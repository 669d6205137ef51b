// Matrix products: of whole numbers, which have no rounding; with long sums of positive terms,
// where narrow accumulators show; and of designed numbers, which tell what the accumulator is.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "worker/operators/accumulator.hpp"
#include "worker/operators/battery/batteries.hpp"
#include "worker/operators/compare.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators::battery {
namespace {

struct Product {
    std::int64_t m = 0;
    std::int64_t k = 0;
    std::int64_t n = 0;
};

constexpr std::array<std::string_view, 4> kForms{"nn", "nt", "tn", "tt"};

// The same values, held transposed in memory.
at::Tensor held_transposed(const at::Tensor& values) {
    return values.transpose(-1, -2).contiguous().transpose(-1, -2);
}

// The largest whole number whose products' sum over k stays exact in fp32, finite in the dtype, and
// long enough (above 2^14) to overrun what is narrower than fp32.
std::int64_t largest_whole(std::int64_t k, c10::ScalarType dtype) {
    const double sum = dtype == at::kHalf ? 32768.0 : 4194304.0;
    const auto value = static_cast<std::int64_t>(std::sqrt(sum / static_cast<double>(k)));
    return std::clamp<std::int64_t>(value, 1, 127);
}

void ask_product(Bench& bench, const Product& size, c10::ScalarType dtype, std::size_t form) {
    const std::string name =
        fmt::format("mm {} {} {}x{}x{}", name_of(dtype), kForms[form], size.m, size.k, size.n);
    if (!bench.wants(name)) return;
    bench.ask(name, [&] {
        const std::int64_t high = largest_whole(size.k, dtype);
        const at::Tensor left = bench.whole({size.m, size.k}, 1, high, dtype);
        const at::Tensor right = bench.whole({size.k, size.n}, 1, high, dtype);
        const at::Tensor want = at::mm(left.to(at::kDouble), right.to(at::kDouble));
        const at::Tensor a = bench.put(form >= 2 ? left.t().contiguous() : left);
        const at::Tensor b = bench.put(form % 2 == 1 ? right.t().contiguous() : right);
        const at::Tensor got = at::mm(form >= 2 ? a.t() : a, form % 2 == 1 ? b.t() : b);
        bench.within(bench.fetch(got), want, {.ulps = 0.5});
    });
}

void ask_scaled_product(Bench& bench, const Product& size, c10::ScalarType dtype, double alpha,
                        double beta) {
    bench.ask(fmt::format("addmm {} {}x{}x{} alpha {} beta {}", name_of(dtype), size.m, size.k,
                          size.n, alpha, beta),
              [&] {
                  const std::int64_t high = largest_whole(size.k * 4, dtype);
                  const at::Tensor left = bench.whole({size.m, size.k}, 1, high, dtype);
                  const at::Tensor right = bench.whole({size.k, size.n}, 1, high, dtype);
                  const at::Tensor start = bench.whole({size.m, size.n}, -100, 100, dtype);
                  const at::Tensor want = at::addmm(start.to(at::kDouble), left.to(at::kDouble),
                                                    right.to(at::kDouble), beta, alpha);
                  const at::Tensor got =
                      at::addmm(bench.put(start), bench.put(left), bench.put(right), beta, alpha);
                  // The product may be rounded before the addend meets it.
                  const bool wide = dtype == at::kFloat;
                  Tolerance tolerance{.ulps = wide ? 0.5 : 1.0};
                  if (!wide) {
                      tolerance.spreads = at::mm(left.to(at::kDouble), right.to(at::kDouble))
                                              .mul(std::fabs(alpha))
                                              .mul(std::ldexp(1.0, -format_of(dtype).precision));
                  }
                  bench.within(bench.fetch(got), want, tolerance);
              });
}

void ask_batch(Bench& bench, std::int64_t batch, const Product& size, c10::ScalarType dtype) {
    bench.ask(
        fmt::format("bmm {} {}x{}x{}x{}", name_of(dtype), batch, size.m, size.k, size.n), [&] {
            const std::int64_t high = largest_whole(size.k, dtype);
            const at::Tensor left = bench.whole({batch, size.m, size.k}, 1, high, dtype);
            const at::Tensor right = bench.whole({batch, size.k, size.n}, 1, high, dtype);
            const at::Tensor want = at::bmm(left.to(at::kDouble), right.to(at::kDouble));
            const at::Tensor plain = at::bmm(bench.put(left), bench.put(right));
            bench.within(bench.fetch(plain), want, {.ulps = 0.5});
            const at::Tensor turned = at::bmm(
                bench.put(left), bench.put(right.transpose(1, 2).contiguous()).transpose(1, 2));
            bench.within(bench.fetch(turned), want, {.ulps = 0.5}, "right factor transposed");
        });
}

std::vector<Product> product_sizes(Bench& bench) {
    std::vector<Product> sizes{{48, 512, 40},    {1, 64, 1},      {1, 4096, 17},  {17, 4096, 1},
                               {31, 33, 127},    {64, 64, 64},    {65, 63, 64},   {127, 128, 129},
                               {128, 192, 96},   {129, 127, 128}, {255, 257, 31}, {256, 320, 64},
                               {24, 16384, 20},  {3, 1, 5},       {2, 192, 192},  {512, 64, 130},
                               {33, 1000, 1023}, {7, 8192, 65}};
    if (bench.at_least(Size::kStandard)) {
        const std::vector<Product> more{{512, 512, 512},   {1023, 1025, 511}, {1024, 4096, 1024},
                                        {4096, 128, 2048}, {2, 65536, 3},     {70000, 16, 8},
                                        {8, 16, 70000},    {257, 7168, 2112}};
        sizes.insert(sizes.end(), more.begin(), more.end());
    }
    return sizes;
}

// Sizes that no list foresees, other ones under every seed.
Product drawn_size(Bench& bench, std::int64_t number) {
    Product size;
    bench.measure(fmt::format("size {}", number), [&] {
        const at::Tensor drawn = bench.whole({3}, 1, 300, at::kLong);
        const auto* values = drawn.const_data_ptr<std::int64_t>();
        size = {values[0], values[1], values[2]};
    });
    return size;
}

at::Tensor drawn(Bench& bench, at::IntArrayRef shape, bool positive, c10::ScalarType dtype) {
    return positive ? bench.uniform(shape, 0.5, 1.5, dtype) : bench.normal(shape, dtype);
}

// Share not correctly rounded against an emulated truncating unit, and bias.
void judge_narrow(Bench& bench, const at::Tensor& got, const at::Tensor& left,
                  const at::Tensor& right, c10::ScalarType dtype) {
    const at::Tensor want = at::mm(left, right);
    const Distance distance = compare(got, want, {});
    constexpr double kShareFloor = 0.005;
    constexpr double kEmulations = 3.0;
    const double limit = std::max(kShareFloor, kEmulations * truncating_share(left, right, dtype));
    const double share =
        static_cast<double>(distance.not_ideal) / static_cast<double>(want.numel());
    // A share of few elements is known only so well: five standard errors.
    const double slack = 5.0 * std::sqrt(limit / static_cast<double>(want.numel()));
    bench.ratio(share / (limit + slack), "share not correctly rounded");
    const double z = distance.bias_z();
    const double error = z == 0.0 ? 0.0 : std::fabs(distance.bias() / z);
    constexpr double kBiasAllowed = 1e-4;
    bench.ratio(std::fabs(distance.bias()) / (kBiasAllowed + 5.3 * error), "signed bias");
    bench.faults(distance.nonfinite_mismatches, "not finite");
}

void judge_wide(Bench& bench, const at::Tensor& got, const at::Tensor& left,
                const at::Tensor& right) {
    const at::Tensor want = at::mm(left, right);
    const Distance distance = compare(got, want, {});
    // What eight lanes of plain fp32 leave, at most: u sqrt(k / 8) of the sum of magnitudes if
    // errors are random; truncation makes them add up.
    const auto k = static_cast<double>(left.size(1));
    const at::Tensor magnitude = at::mm(left.abs(), right.abs());
    const double size = std::sqrt(magnitude.square().mean().item<double>());
    constexpr double kMargin = 8.0;
    const double legal =
        std::ldexp(1.0, -24) * size * std::max(1.0, std::sqrt(k) / 8.0 + k / 512.0);
    bench.ratio(distance.rms_error() / (kMargin * legal), "error of fp32 sums");
    bench.faults(distance.nonfinite_mismatches, "not finite");
}

void ask_long_sum(Bench& bench, std::int64_t k, bool positive, std::size_t form,
                  c10::ScalarType dtype) {
    const std::string name = fmt::format("mm {} {} k {} {}", name_of(dtype), kForms[form], k,
                                         positive ? "positive" : "normal");
    if (!bench.wants(name)) return;
    bench.ask(name, [&] {
        constexpr std::int64_t kEdge = 40;
        const double scale = dtype == at::kHalf ? 1.0 / 64.0 : 1.0;  // stays below 65504
        const at::Tensor left = drawn(bench, {kEdge, k}, positive, at::kFloat).mul(scale).to(dtype);
        const at::Tensor right = drawn(bench, {k, kEdge + 8}, positive, dtype);
        const at::Tensor a = bench.put(form >= 2 ? left.t().contiguous() : left);
        const at::Tensor b = bench.put(form % 2 == 1 ? right.t().contiguous() : right);
        const at::Tensor got =
            bench.fetch(at::mm(form >= 2 ? a.t() : a, form % 2 == 1 ? b.t() : b));
        const at::Tensor wide_left = left.to(at::kDouble);
        const at::Tensor wide_right = right.to(at::kDouble);
        if (dtype == at::kFloat) {
            judge_wide(bench, got, wide_left, wide_right);
        } else {
            judge_narrow(bench, got, wide_left, wide_right, dtype);
        }
    });
}

// How many bits below the largest term survive in a sum over k: 1 at `first`, 2^-bits at `middle`,
// -1 at the end. An accumulator that keeps them gives 2^-bits exactly.
bool keeps(Bench& bench, std::int64_t k, std::int64_t middle, int bits, c10::ScalarType dtype) {
    constexpr std::int64_t kEdge = 16;
    at::Tensor left = at::zeros({kEdge, k}, at::TensorOptions(dtype));
    left.select(1, 0).fill_(1.0);
    left.select(1, middle).fill_(std::ldexp(1.0, -(bits / 2)));
    left.select(1, k - 1).fill_(-1.0);
    at::Tensor right = at::ones({k, kEdge}, at::TensorOptions(dtype));
    right.select(0, middle).fill_(std::ldexp(1.0, -(bits - bits / 2)));
    const at::Tensor got = at::mm(bench.put(left), bench.put(right)).cpu().to(at::kDouble);
    return got.eq(std::ldexp(1.0, -bits)).all().item<bool>();
}

void ask_width(Bench& bench, std::int64_t k, std::int64_t middle, c10::ScalarType dtype) {
    bench.ask(fmt::format("width {} k {} at {}", name_of(dtype), k, middle), [&] {
        // fp16 holds no 2^-15; the format's smallest product limits what can be asked.
        const int most = dtype == at::kHalf ? 24 : 30;
        int bits = 1;
        while (bits < most && keeps(bench, k, middle, bits + 1, dtype)) ++bits;
        bench.note(fmt::format("accumulator_bits {} k {} at {}", name_of(dtype), k, middle), bits);
        constexpr double kLeastBits = 20.0;  // fp32 keeps 23; a truncating unit may lose two
        const at::Tensor told =
            bench.fetch(at::full({1}, static_cast<double>(bits), at::TensorOptions(at::kDouble)));
        bench.ratio(kLeastBits / std::max(told.item<double>(), 1e-3), "accumulator too narrow");
    });
}

// A product of one row [1, terms..., -1] with ones: what the accumulator makes of `terms` beside a
// large number. `term` is a product of two numbers that every dtype holds.
double beside_one(Bench& bench, std::int64_t k, std::int64_t first, std::int64_t count,
                  double left_term, double right_term, c10::ScalarType dtype) {
    constexpr std::int64_t kEdge = 16;
    at::Tensor left = at::zeros({kEdge, k}, at::TensorOptions(dtype));
    left.select(1, 0).fill_(1.0);
    left.narrow(1, first, count).fill_(left_term);
    left.select(1, k - 1).fill_(-1.0);
    at::Tensor right = at::ones({k, kEdge}, at::TensorOptions(dtype));
    right.narrow(0, first, count).fill_(right_term);
    const at::Tensor got = at::mm(bench.put(left), bench.put(right)).cpu().to(at::kDouble);
    return got[0][0].item<double>();
}

// How the accumulator rounds, and how it cuts a sum into parts: any way is legal, and two devices
// that do it differently will never give the same bits. Noted, for comparison; nothing is judged.
void note_fingerprint(Bench& bench, c10::ScalarType dtype) {
    bench.measure(fmt::format("fingerprint {}", name_of(dtype)), [&] {
        constexpr std::int64_t kLength = 66;  // 64 terms between 1 and -1
        // 1 + 3/4 of a unit of fp32 - 1: four quarters when rounded to nearest, none when cut off,
        // three when the two ones met first or the sum is wider than fp32.
        const double quarters =
            std::ldexp(beside_one(bench, kLength, 1, 1, 3.0 / 4096.0, 0x1p-13, dtype), 25);
        std::string rounding = fmt::format("{} quarters of a unit", quarters);
        if (quarters == 4.0) rounding = "to nearest";
        if (quarters == 0.0) rounding = "cut off";
        if (quarters == 3.0) rounding = "none: kept apart, or wider than fp32";
        bench.note(fmt::format("rounding {}", name_of(dtype)), rounding);
        // Half a unit is lost beside the one; what is left was added up elsewhere first.
        const double kept =
            std::ldexp(beside_one(bench, kLength, 1, kLength - 2, 0x1p-12, 0x1p-12, dtype), 24);
        bench.note(fmt::format("terms_kept_apart {} of 64", name_of(dtype)), kept);
        const at::Tensor tiny =
            at::mm(bench.put(at::full({16, 16}, 0x1p-67, at::TensorOptions(at::kBFloat16))),
                   bench.put(at::full({16, 16}, 0x1p-67, at::TensorOptions(at::kBFloat16))));
        if (dtype == at::kBFloat16) {
            bench.note("subnormal_results bf16",
                       tiny.cpu().ne(0).all().item<bool>() ? "kept" : "flushed to zero");
        }
    });
}

// Results that need the smallest numbers of fp16: flushed, gradients vanish.
void ask_subnormals(Bench& bench) {
    for (const bool turned : {false, true}) {
        bench.ask(fmt::format("fp16 subnormal factors{}", turned ? " transposed" : ""), [&] {
            const at::Tensor left =
                bench.whole({16, 64}, 1, 8, at::kHalf).mul(std::ldexp(1.0, -20));
            const at::Tensor right = bench.whole({64, 16}, 1, 8, at::kHalf);
            const at::Tensor want = at::mm(left.to(at::kDouble), right.to(at::kDouble));
            const at::Tensor a = bench.put(turned ? held_transposed(left) : left);
            bench.within(bench.fetch(at::mm(a, bench.put(right))), want, {.ulps = 0.5});
        });
    }
}

}  // namespace

void integer_products(Bench& bench) {
    for (const Product& size : product_sizes(bench)) {
        for (const c10::ScalarType dtype : bench.dtypes()) {
            for (std::size_t form = 0; form < kForms.size(); ++form) {
                ask_product(bench, size, dtype, form);
            }
        }
    }
    for (const c10::ScalarType dtype : bench.dtypes()) {
        for (const Product& size : {Product{33, 65, 47}, Product{128, 256, 96}}) {
            for (const double alpha : {1.0, 2.0, -1.0}) {
                for (const double beta : {0.0, 1.0, -3.0}) {
                    ask_scaled_product(bench, size, dtype, alpha, beta);
                }
            }
        }
        ask_batch(bench, 1, {33, 64, 17}, dtype);
        ask_batch(bench, 5, {16, 128, 33}, dtype);
        ask_batch(bench, 65, {3, 17, 5}, dtype);
    }
    const std::int64_t more = bench.count(24, 200);
    for (std::int64_t i = 0; i < more; ++i) {
        const Product size = drawn_size(bench, i);
        if (size.m == 0) continue;
        const auto dtypes = bench.dtypes();
        ask_product(bench, size, dtypes[static_cast<std::size_t>(i) % dtypes.size()],
                    static_cast<std::size_t>(i) % kForms.size());
    }
}

void long_sums(Bench& bench) {
    std::vector<std::int64_t> lengths{4096, 16384};
    if (bench.at_least(Size::kStandard)) lengths = {1024, 4096, 8192, 16384, 65536};
    for (const c10::ScalarType dtype : bench.dtypes()) {
        for (const std::int64_t k : lengths) {
            for (const bool positive : {true, false}) {
                for (std::size_t form = 0; form < 3; ++form) {
                    ask_long_sum(bench, k, positive, form, dtype);
                }
            }
        }
    }
}

void accumulator(Bench& bench) {
    std::vector<c10::ScalarType> dtypes = bench.dtypes();
    for (const c10::ScalarType dtype : dtypes) {
        for (const std::int64_t k : {64, 512, 4096}) {
            for (const std::int64_t middle : {std::int64_t{1}, k / 2, k - 2}) {
                ask_width(bench, k, middle, dtype);
            }
        }
    }
    for (const c10::ScalarType dtype : dtypes) note_fingerprint(bench, dtype);
    ask_subnormals(bench);
}

}  // namespace ascertain::operators::battery
