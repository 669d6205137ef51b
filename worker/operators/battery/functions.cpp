// Functions of one 16-bit number, over all of them; casts at every rounding boundary; and what
// infinities, NaN and the edges of the range do.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>
#include <cmath>

#include "worker/operators/battery/batteries.hpp"
#include "worker/operators/compare.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators::battery {
namespace {

using T = const at::Tensor&;

struct Function {
    std::string_view name;
    at::Tensor (*call)(T);
    bool exact = false;         // the correctly rounded value
    bool finite = false;        // only finite inputs: what it does with others is not settled
    double spread = 0.0;        // absolute, where kernels are exact to that and no further
    bool rounds_twice = false;  // a root that is rounded before it is inverted is legal
};

constexpr std::array kFunctions{
    Function{"exp", [](T x) { return x.exp(); }},
    Function{"log", [](T x) { return x.log(); }},
    Function{"sqrt", [](T x) { return x.sqrt(); }},
    Function{"rsqrt", [](T x) { return x.rsqrt(); }, false, false, 0.0, true},
    Function{"reciprocal", [](T x) { return x.reciprocal(); }},
    Function{"sigmoid", [](T x) { return x.sigmoid(); }},
    Function{"tanh", [](T x) { return x.tanh(); }},
    Function{"silu", [](T x) { return at::silu(x); }, false, true},
    // torch's own bf16 kernel is off by 5 % near zero (docs/findings.md).
    Function{"erf", [](T x) { return x.erf(); }, false, false, 1e-6},
    Function{"log1p", [](T x) { return x.log1p(); }},
    Function{"expm1", [](T x) { return x.expm1(); }},
    Function{"exp2", [](T x) { return x.exp2(); }},
    Function{"neg", [](T x) { return x.neg(); }, true},
    Function{"abs", [](T x) { return x.abs(); }, true},
    Function{"relu", [](T x) { return x.relu(); }, true},
    Function{"floor", [](T x) { return x.floor(); }, true},
    Function{"round", [](T x) { return x.round(); }, true},
    Function{"square", [](T x) { return x.square(); }, true},
    Function{"mul 1.5", [](T x) { return x.mul(1.5); }, true},
    Function{"add 1", [](T x) { return x.add(1.0); }, true},
};

// Derivatives, of a gradient and what the forward pass saved.
struct Derivative {
    std::string_view name;
    at::Tensor (*call)(T gradient, T saved);
    double saved_max = HUGE_VAL;  // the magnitude of what can have been saved
};

constexpr std::array kDerivatives{
    Derivative{"silu", [](T g, T x) { return at::silu_backward(g, x); }},
    Derivative{"gelu", [](T g, T x) { return at::gelu_backward(g, x, "none"); }},
    Derivative{"relu", [](T g, T x) { return at::threshold_backward(g, x, 0.0); }},
    Derivative{"sigmoid", [](T g, T y) { return at::sigmoid_backward(g, y); }, 1.0},
    Derivative{"tanh", [](T g, T y) { return at::tanh_backward(g, y); }, 1.0},
};

// All numbers of a 16-bit dtype. Subnormal ones may be flushed: they are left out.
at::Tensor all_values(c10::ScalarType dtype, bool finite) {
    at::Tensor codes = at::arange(-32768, 32768, at::TensorOptions(at::kShort)).view(dtype);
    const double smallest = std::ldexp(1.0, format_of(dtype).exponent_min);
    at::Tensor wide = codes.to(at::kDouble);
    at::Tensor keep = wide.abs().ge(smallest).logical_or(wide.eq(0.0)).logical_or(wide.isnan());
    if (finite) keep = keep.logical_and(wide.isfinite());
    return codes.masked_select(keep);
}

// How far magnitudes are too large on average, in ulp, over the finite results.
double mean_error_ulp(const at::Tensor& got, const at::Tensor& want) {
    const FloatFormat format = format_of(got.scalar_type());
    const at::Tensor wide = got.to(at::kDouble);
    const double* g = wide.const_data_ptr<double>();
    const double* w = want.const_data_ptr<double>();
    double sum = 0.0;
    std::int64_t count = 0;
    for (std::int64_t i = 0; i < wide.numel(); ++i) {
        if (!std::isfinite(g[i]) || !std::isfinite(w[i])) continue;
        sum += (std::fabs(g[i]) - std::fabs(w[i])) / ulp_at(w[i], format);
        ++count;
    }
    return count == 0 ? 0.0 : sum / static_cast<double>(count);
}

void ask_function(Bench& bench, const Function& function, c10::ScalarType dtype) {
    bench.ask(fmt::format("{} of every {}", function.name, name_of(dtype)), [&] {
        const at::Tensor values = all_values(dtype, function.finite);
        const at::Tensor want = function.call(values.to(at::kDouble));
        const at::Tensor got = bench.fetch(function.call(bench.put(values)));
        const double smallest = std::ldexp(1.0, format_of(dtype).exponent_min);
        // A result near the smallest normal number may be flushed on the way.
        constexpr double kFlushed = 128.0;
        bench.within(got, want,
                     {.ulps = function.exact ? 0.5 : (function.rounds_twice ? 2.0 : 1.0),
                      .spread = function.spread,
                      .spreads = want.abs()
                                     .lt(kFlushed * smallest)
                                     .to(at::kDouble)
                                     .mul(function.exact ? smallest : kFlushed * smallest)});
        if (function.exact || function.spread > 0.0) return;
        const at::Tensor normal = want.abs().ge(smallest).logical_and(want.isfinite());
        const Distance distance =
            compare(got.masked_select(normal), want.masked_select(normal), {});
        const double bias = mean_error_ulp(got.masked_select(normal), want.masked_select(normal));
        // Rounding to nearest leaves a hundredth, cutting off leaves half an ulp.
        constexpr double kBiasLimit_ulp = 0.1;
        bench.ratio(std::fabs(bias) / kBiasLimit_ulp, "mean error");
        if (function.rounds_twice) return;
        // fp32 inside leaves 0.02 %; a 12-bit approximation six.
        constexpr double kShareLimit = 0.01;
        bench.ratio(static_cast<double>(distance.not_ideal) /
                        (kShareLimit * static_cast<double>(distance.elements)),
                    "share not correctly rounded");
    });
}

// The saved number runs over all finite ones, so that no magnitude is left out where a form that is
// not stable overflows.
void ask_derivative(Bench& bench, const Derivative& derivative, c10::ScalarType dtype) {
    bench.ask(fmt::format("derivative of {} at every {}", derivative.name, name_of(dtype)), [&] {
        const at::Tensor all = all_values(dtype, true);
        const at::Tensor saved =
            all.masked_select(all.to(at::kDouble).abs().le(derivative.saved_max));
        const at::Tensor gradient = at::ones_like(saved);
        const at::Tensor want = derivative.call(gradient.to(at::kDouble), saved.to(at::kDouble));
        const at::Tensor got = bench.fetch(derivative.call(bench.put(gradient), bench.put(saved)));
        // A handful of roundings on the way, at the size of the largest derivative, about one.
        constexpr double kRoundings = 8.0;
        const double half_ulp = std::ldexp(1.0, -format_of(dtype).precision);
        bench.within(got, want, {.ulps = 1.0, .spread = kRoundings * half_ulp});
    });
}

// For every number of `to` the midpoint to the next one, and the fp32 numbers around it.
at::Tensor boundaries(c10::ScalarType to) {
    const at::Tensor codes =
        at::arange(0, c10::elementSize(to) == 1 ? 127 : 32767, at::TensorOptions(at::kInt));
    const at::Tensor low = codes.to(c10::elementSize(to) == 1 ? at::kChar : at::kShort).view(to);
    const at::Tensor value = low.to(at::kDouble);
    const at::Tensor keep = value.isfinite();
    const at::Tensor finite = value.masked_select(keep);
    const at::Tensor next = at::cat({finite.narrow(0, 1, finite.numel() - 1),
                                     finite.narrow(0, finite.numel() - 1, 1).mul(1.001)});
    at::Tensor middle = finite.add(next).div(2.0).to(at::kFloat);
    // Subnormal fp32 inputs may be flushed.
    middle = middle.masked_select(middle.abs().ge(std::ldexp(1.0, -126)));
    const at::Tensor up = at::nextafter(middle, at::full({}, INFINITY));
    const at::Tensor down = at::nextafter(middle, at::zeros({}));
    const at::Tensor edges = at::tensor(std::vector<float>{0.0F, INFINITY, 1.0F});
    const at::Tensor all = at::cat({middle, up, down, edges});
    return at::cat({all, all.neg()});
}

void ask_cast(Bench& bench, c10::ScalarType to) {
    bench.ask(fmt::format("fp32 to {} at every boundary", name_of(to)), [&] {
        const at::Tensor values = boundaries(to);
        bench.equal(bench.fetch(bench.put(values).to(to)), values.to(to));
    });
    bench.ask(fmt::format("every {} to fp32", name_of(to)), [&] {
        const bool byte = c10::elementSize(to) == 1;
        const at::Tensor codes = byte ? at::arange(-128, 128, at::TensorOptions(at::kChar)).view(to)
                                      : all_values(to, false);
        bench.equal(bench.fetch(bench.put(codes).to(at::kFloat)), codes.to(at::kFloat));
    });
}

void ask_whole_casts(Bench& bench) {
    bench.ask("whole numbers to floating ones and back", [&] {
        const at::Tensor whole =
            at::cat({bench.whole({2000}, -(1LL << 40), 1LL << 40, at::kLong),
                     at::tensor(std::vector<std::int64_t>{(1LL << 24) + 1, (1LL << 24) + 3,
                                                          (1LL << 53) + 1, -(1LL << 31), 0LL})});
        bench.equal(bench.fetch(bench.put(whole).to(at::kFloat)), whole.to(at::kFloat), "to fp32");
        const at::Tensor real = bench.normal({2001}, at::kFloat).mul(1e6);
        bench.equal(bench.fetch(bench.put(real).to(at::kLong)), real.to(at::kLong), "to int64");
        bench.equal(bench.fetch(bench.put(real).to(at::kInt)), real.to(at::kInt), "to int32");
        bench.equal(bench.fetch(bench.put(whole).to(at::kInt)), whole.to(at::kInt), "narrowed");
        bench.equal(bench.fetch(bench.put(whole).to(at::kBool)), whole.to(at::kBool), "to bool");
    });
}

at::Tensor special(c10::ScalarType dtype) {
    const FloatFormat format = format_of(dtype);
    const double smallest = std::ldexp(1.0, format.exponent_min);
    return at::tensor(std::vector<double>{0.0, -0.0, 1.0, -1.0, 0.5, 3.0, -2.5, HUGE_VAL, -HUGE_VAL,
                                          std::nan(""), format.largest, -format.largest, smallest,
                                          -smallest, 1.0 / 3.0, 100.0})
        .to(dtype);
}

using Pair = at::Tensor (*)(T, T);
struct Binary {
    std::string_view name;
    Pair call;
};
constexpr std::array kBinary{
    Binary{"add", [](T a, T b) { return a.add(b); }},
    Binary{"sub", [](T a, T b) { return a.sub(b); }},
    Binary{"mul", [](T a, T b) { return a.mul(b); }},
    Binary{"div", [](T a, T b) { return a.div(b); }},
    Binary{"maximum", [](T a, T b) { return a.maximum(b); }},
    Binary{"minimum", [](T a, T b) { return a.minimum(b); }},
    Binary{"lt", [](T a, T b) { return a.lt(b); }},
    Binary{"le", [](T a, T b) { return a.le(b); }},
    Binary{"eq", [](T a, T b) { return a.eq(b); }},
    Binary{"ne", [](T a, T b) { return a.ne(b); }},
    Binary{"where", [](T a, T b) { return at::where(a.gt(b), a, b); }},
};

struct Single {
    std::string_view name;
    Tensors (*call)(T);
};
// Over rows that hold them: [rows, columns].
constexpr std::array kOverRows{
    Single{"sum", [](T x) { return Tensors{x.sum(1)}; }},
    Single{"amax",
           [](T x) {
               return Tensors{x.amax(1), x.amin(1)};
           }},
    Single{"max",
           [](T x) {
               return Tensors{std::get<0>(x.max(1)), x.max(), x.min()};
           }},
    Single{"sort", [](T x) { return Tensors{std::get<0>(x.sort(1))}; }},
    Single{"topk", [](T x) { return Tensors{std::get<0>(x.topk(3, 1))}; }},
    Single{"cumsum", [](T x) { return Tensors{x.cumsum(1)}; }},
    Single{"isfinite",
           [](T x) {
               return Tensors{x.isfinite(), x.isnan(), x.isinf()};
           }},
    Single{"clamp",
           [](T x) {
               return Tensors{x.clamp(-2.0, 2.0), x.clamp_min(0.0), x.relu()};
           }},
    Single{"nan_to_num", [](T x) { return Tensors{x.nan_to_num(7.0, 8.0, -8.0)}; }},
    Single{"any",
           [](T x) {
               return Tensors{x.any(1), x.all(1), x.ne(0).sum(1)};
           }},
    Single{"masked_fill", [](T x) { return Tensors{x.masked_fill(x.gt(0.5), -INFINITY)}; }},
    Single{"sign",
           [](T x) {
               return Tensors{x.abs(), x.neg()};
           }},
    Single{"sqrt",
           [](T x) {
               return Tensors{x.sqrt().isnan(), x.log().isinf(), x.exp().isinf()};
           }},
    Single{"norm", [](T x) { return Tensors{at::linalg_vector_norm(x, 2, 1).isfinite()}; }},
    Single{"mean",
           [](T x) {
               return Tensors{x.mean(1).isnan(), x.mean(1).isinf()};
           }},
};

// One special value among ordinary ones in each row, in another place each time. All of them add
// up without rounding.
at::Tensor rows_with(Bench& bench, c10::ScalarType dtype, std::int64_t width) {
    const at::Tensor values = at::tensor(std::vector<double>{0.0, -0.0, 0.5, HUGE_VAL, -HUGE_VAL,
                                                             std::nan(""), 1024.0, -1024.0, -2.5})
                                  .to(dtype);
    at::Tensor rows = bench.whole({values.numel(), width}, -3, 3, dtype);
    for (std::int64_t i = 0; i < values.numel(); ++i) {
        rows.select(0, i).narrow(0, (i * 7) % width, 1).copy_(values.narrow(0, i, 1));
    }
    return rows;
}

void ask_softmax(Bench& bench, c10::ScalarType dtype) {
    bench.ask(fmt::format("softmax {} of infinite and huge scores", name_of(dtype)), [&] {
        at::Tensor rows = bench.whole({6, 37}, -3, 3, dtype);
        rows[0].fill_(-INFINITY);
        rows[1].narrow(0, 3, 30).fill_(-INFINITY);
        rows[2].mul_(1000.0);
        rows[3][5] = NAN;
        rows[4].fill_(-30000.0);
        rows[5].mul_(1e-3);
        const Tolerance tolerance{.ulps = dtype == at::kFloat ? 64.0 : 1.0, .spread = 1e-30};
        const at::Tensor wide = rows.to(at::kDouble);
        bench.within(bench.fetch(bench.put(rows).softmax(1)), wide.softmax(1), tolerance);
        bench.within(bench.fetch(bench.put(rows).log_softmax(1)), wide.log_softmax(1),
                     {.ulps = 1.0, .spread = dtype == at::kFloat ? 1e-5 : 1e-2}, "log");
        bench.within(bench.fetch(bench.put(rows).logsumexp(1)), wide.logsumexp(1),
                     {.ulps = 1.0, .spread = dtype == at::kFloat ? 1e-5 : 1e-2}, "logsumexp");
    });
}

void ask_contained(Bench& bench, c10::ScalarType dtype) {
    bench.ask(fmt::format("mm {} keeps NaN and infinities in their row", name_of(dtype)), [&] {
        at::Tensor left = bench.whole({21, 40}, 1, 3, dtype);
        left[3][7] = NAN;
        left[9][0] = INFINITY;
        left[20][39] = -INFINITY;
        const at::Tensor right = bench.whole({40, 19}, 1, 3, dtype);
        bench.within(bench.fetch(bench.put(left).mm(bench.put(right))),
                     left.to(at::kDouble).mm(right.to(at::kDouble)), {.ulps = 0.5});
        const at::Tensor zeros = at::zeros_like(right);
        bench.within(bench.fetch(bench.put(left).mm(bench.put(zeros))),
                     left.to(at::kDouble).mm(zeros.to(at::kDouble)), {.ulps = 0.5}, "times zero");
    });
    bench.ask(fmt::format("overflow of {} is infinite", name_of(dtype)), [&] {
        const double largest = format_of(dtype).largest;
        const at::Tensor big = at::full({70}, largest, at::TensorOptions(dtype));
        const at::Tensor there = bench.put(big);
        bench.equal(bench.fetch(there.add(there)), big.add(big), "sum");
        bench.equal(bench.fetch(there.mul(-2.0)), big.mul(-2.0), "product");
        bench.equal(bench.fetch(there.sub(there.mul(-1.0))), big.sub(big.mul(-1.0)), "difference");
        const at::Tensor wide = at::full({70}, 1e38, at::TensorOptions(at::kFloat));
        if (dtype == at::kHalf)
            bench.equal(bench.fetch(bench.put(wide).to(dtype)), wide.to(dtype), "cast");
    });
}

}  // namespace

void every_input(Bench& bench) {
    std::vector<c10::ScalarType> dtypes{at::kBFloat16};
    if (bench.dtypes().front() == at::kHalf) dtypes = {at::kHalf};
    if (bench.at_least(Size::kStandard)) dtypes = {at::kBFloat16, at::kHalf};
    for (const c10::ScalarType dtype : dtypes) {
        for (const Function& function : kFunctions) ask_function(bench, function, dtype);
        for (const Derivative& one : kDerivatives) ask_derivative(bench, one, dtype);
    }
    for (const c10::ScalarType to :
         {at::kBFloat16, at::kHalf, at::kFloat8_e4m3fn, at::kFloat8_e5m2}) {
        ask_cast(bench, to);
    }
    ask_whole_casts(bench);
}

void special_values(Bench& bench) {
    std::vector<c10::ScalarType> dtypes = bench.dtypes();
    if (dtypes.front() != at::kHalf) dtypes.push_back(at::kHalf);
    for (const c10::ScalarType dtype : dtypes) {
        const at::Tensor values = special(dtype);
        const at::Tensor left = values.repeat_interleave(values.numel());
        const at::Tensor right = values.repeat({values.numel()});
        for (const Binary& binary : kBinary) {
            bench.ask(fmt::format("{} {} of special values", binary.name, name_of(dtype)), [&] {
                const at::Tensor want = binary.call(left, right);
                // What underflows may be flushed.
                const double smallest = std::ldexp(1.0, format_of(dtype).exponent_min);
                at::Tensor got = bench.fetch(binary.call(bench.put(left), bench.put(right)));
                if (!at::isFloatingType(want.scalar_type())) return bench.equal(got, want);
                const at::Tensor wide = binary.call(left.to(at::kDouble), right.to(at::kDouble));
                bench.within(
                    got, wide,
                    {.ulps = binary.name == "div" ? 2.5 : 0.5,
                     .spread = 0.0,
                     .spreads = wide.abs().lt(2 * smallest).to(at::kDouble).mul(smallest)});
            });
        }
        for (const std::int64_t width : {5, 64, 131}) {
            for (const Single& single : kOverRows) {
                bench.ask(fmt::format("{} {} of rows with special values, width {}", single.name,
                                      name_of(dtype), width),
                          [&] {
                              const at::Tensor rows = rows_with(bench, dtype, width);
                              const Tensors want = single.call(rows);
                              const Tensors got = single.call(bench.put(rows));
                              for (std::size_t i = 0; i < want.size(); ++i) {
                                  bench.equal(bench.fetch(got[i]), want[i], "", false);
                              }
                          });
            }
        }
        ask_softmax(bench, dtype);
        ask_contained(bench, dtype);
    }
}

}  // namespace ascertain::operators::battery
