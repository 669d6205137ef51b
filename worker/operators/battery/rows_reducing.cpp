// Operators that take many elements to one: sums, extremes, norms, order.
#include <ATen/ATen.h>

#include "worker/operators/battery/rows.hpp"

namespace ascertain::operators::battery {
namespace {

using T = const Tensors&;
constexpr std::int64_t kClasses = 61;  // of one_hot: a table of all rows would be squared

constexpr Input kWhole{Fill::kWhole};
constexpr Input kCoded{Fill::kCoded};
constexpr Input kNormal{Fill::kNormal};
constexpr Input kWide{Fill::kWide};
constexpr Input kPositive{Fill::kPositive};
constexpr Input kScale{Fill::kPositive, Extent::kOne};
constexpr Input kShift{Fill::kNormal, Extent::kOne};

// Values by their places: where equal ones may be found in any order, only what they point at.
Tensors pointed_at(const at::Tensor& values, const at::Tensor& places) {
    return {values.gather(1, places)};
}

constexpr std::array kRows{
    Row{"sum", Rule::kWhole, {kWhole}, [](T x) { return Tensors{x[0].sum(at::kFloat)}; }},
    Row{"sum rows", Rule::kWhole, {kWhole}, [](T x) { return Tensors{x[0].sum(0)}; }},
    Row{"sum columns", Rule::kWhole, {kWhole}, [](T x) { return Tensors{x[0].sum(1, true)}; }},
    Row{"sum batch",
        Rule::kWhole,
        {{Fill::kWhole, Extent::kBatch}},
        [](T x) {
            return Tensors{x[0].sum({0, 2}, false, at::kFloat), x[0].sum(1)};
        }},
    Row{"cumsum",
        Rule::kWhole,
        {kWhole},
        [](T x) {
            return Tensors{x[0].to(at::kFloat).cumsum(1), x[0].to(at::kFloat).cumsum(0)};
        }},
    Row{"count_nonzero",
        Rule::kMoved,
        {{Fill::kMask}},
        [](T x) {
            return Tensors{x[0].sum(),  x[0].sum(1), x[0].to(at::kInt).cumsum(0),
                           x[0].any(1), x[0].all(0), x[0].any()};
        },
        0.0,
        false},
    Row{"mean",
        Rule::kSpread,
        {kNormal},
        [](T x) {
            return Tensors{x[0].mean(1, false, at::kFloat), x[0].mean(at::kFloat)};
        },
        8.0},
    Row{"amax",
        Rule::kMoved,
        {kNormal},
        [](T x) {
            return Tensors{x[0].amax(1), x[0].amin(0), x[0].max(), x[0].min()};
        }},
    Row{"max with places",
        Rule::kMoved,
        {kNormal},
        [](T x) {
            const auto [values, places] = x[0].max(1, true);
            return Tensors{values, pointed_at(x[0], places)[0]};
        }},
    Row{"argmax",
        Rule::kMoved,
        {kNormal},
        [](T x) {
            return Tensors{pointed_at(x[0], x[0].argmax(1, true))[0],
                           pointed_at(x[0], x[0].argmin(1, true))[0]};
        }},
    Row{"sort",
        Rule::kMoved,
        {kNormal},
        [](T x) {
            const auto [values, places] = x[0].sort(1, true);
            return Tensors{values, pointed_at(x[0], places)[0], std::get<0>(places.sort(1))};
        }},
    Row{"argsort stable",
        Rule::kMoved,
        {kCoded},
        [](T x) { return Tensors{x[0].argsort(true, 1, false)}; },
        0.0,
        false},
    Row{"topk",
        Rule::kMoved,
        {kNormal},
        [](T x) {
            const std::int64_t k = std::min<std::int64_t>(8, x[0].size(1));
            const auto [values, places] = x[0].topk(k, 1);
            return Tensors{values, pointed_at(x[0], places)[0]};
        }},
    Row{"norm",
        Rule::kSpread,
        {kNormal},
        [](T x) {
            return Tensors{at::linalg_vector_norm(x[0].to(at::kFloat)),
                           at::linalg_vector_norm(x[0].to(at::kFloat), 2, 1)};
        },
        16.0},
    Row{"norm inf",
        Rule::kRounded,
        {kNormal},
        [](T x) {
            return Tensors{at::linalg_vector_norm(x[0], INFINITY),
                           at::linalg_vector_norm(x[0], INFINITY, 1)};
        },
        0.5},
    Row{"var",
        Rule::kSpread,
        {kNormal},
        [](T x) { return Tensors{x[0].var(at::OptionalIntArrayRef(1), 0)}; },
        16.0},
    Row{"logsumexp",
        Rule::kSpread,
        {kWide},
        [](T x) { return Tensors{x[0].to(at::kFloat).logsumexp(1)}; },
        16.0},
    Row{"softmax", Rule::kRounded, {kWide}, [](T x) { return Tensors{x[0].softmax(1)}; }, 4096.0},
    Row{"softmax rows",
        Rule::kRounded,
        {kWide},
        [](T x) { return Tensors{x[0].softmax(0)}; },
        4096.0},
    Row{"softmax fp32",
        Rule::kRounded,
        {kWide},
        [](T x) {
            return Tensors{
                x[0].softmax(1, x[0].scalar_type() == at::kDouble ? at::kDouble : at::kFloat)};
        },
        4096.0},
    Row{"log_softmax",
        Rule::kDifference,
        {kWide},
        [](T x) { return Tensors{x[0].log_softmax(1)}; },
        16.0},
    Row{"layer_norm",
        Rule::kSpread,
        {kNormal, kScale, kShift},
        [](T x) { return Tensors{at::layer_norm(x[0], {x[0].size(1)}, x[1], x[2], 1e-2)}; },
        16.0},
    Row{"rms_norm",
        Rule::kSpread,
        {kNormal, kScale},
        [](T x) { return Tensors{at::rms_norm(x[0], {x[0].size(1)}, x[1], 1e-6)}; },
        16.0},
    Row{"index_add",
        Rule::kWhole,
        {kWhole, {Fill::kRow, Extent::kRows}, kWhole},
        [](T x) { return Tensors{x[0].to(at::kFloat).index_add(0, x[1], x[2].to(at::kFloat))}; }},
    Row{"scatter_add",
        Rule::kWhole,
        {kWhole, {Fill::kColumn}, kWhole},
        [](T x) { return Tensors{x[0].to(at::kFloat).scatter_add(1, x[1], x[2].to(at::kFloat))}; }},
    Row{"index_put accumulate",
        Rule::kWhole,
        {kWhole, {Fill::kRow, Extent::kRows}, kWhole},
        [](T x) {
            return Tensors{x[0].to(at::kFloat).index_put({x[1]}, x[2].to(at::kFloat), true)};
        }},
    Row{"scatter_reduce amax",
        Rule::kMoved,
        {kCoded, {Fill::kColumn}, kCoded},
        [](T x) { return Tensors{x[0].scatter_reduce(1, x[1], x[2].neg(), "amax")}; },
        0.0,
        false},
    Row{"bincount",
        Rule::kMoved,
        {{Fill::kRow, Extent::kRows}},
        [](T x) { return Tensors{x[0].bincount({}, x[0].size(0))}; },
        0.0,
        false},
    Row{"one_hot",
        Rule::kMoved,
        {{Fill::kRow, Extent::kRows}},
        [](T x) { return Tensors{at::one_hot(x[0].remainder(kClasses), kClasses)}; },
        0.0,
        false},
    Row{"prod",
        Rule::kRounded,
        {kPositive},
        [](T x) {
            return Tensors{
                x[0].narrow(1, 0, std::min<std::int64_t>(4, x[0].size(1))).to(at::kFloat).prod(1)};
        },
        4.0},
};

}  // namespace

std::span<const Row> reducing_rows() {
    return kRows;
}

}  // namespace ascertain::operators::battery
