// Operators that put elements elsewhere: any dtype, no rounding, every bit is known.
#include <ATen/ATen.h>

#include "worker/operators/battery/rows.hpp"

namespace ascertain::operators::battery {
namespace {

using T = const Tensors&;
constexpr auto kMoved = Rule::kMoved;
constexpr Input kCoded{Fill::kCoded};
constexpr Input kRowPlaces{Fill::kRow, Extent::kRows};
constexpr Input kColumnPlaces{Fill::kColumn};
constexpr Input kOrder{Fill::kOrder};
constexpr Input kUpright{Fill::kCoded, Extent::kUpright};

constexpr std::array kRows{
    Row{"clone", kMoved, {kCoded}, [](T x) { return Tensors{x[0].clone()}; }},
    Row{"contiguous of t", kMoved, {kCoded}, [](T x) { return Tensors{x[0].t().contiguous()}; }},
    Row{"transpose batch",
        kMoved,
        {{Fill::kCoded, Extent::kBatch}},
        [](T x) {
            return Tensors{x[0].transpose(0, 1).contiguous(), x[0].permute({2, 0, 1}).contiguous()};
        }},
    Row{"reshape of t", kMoved, {kCoded}, [](T x) { return Tensors{x[0].t().reshape({-1})}; }},
    Row{"cat rows",
        kMoved,
        {kCoded, kCoded},
        [](T x) {
            return Tensors{at::cat({x[0], x[1].neg(), x[0]}, 0)};
        }},
    Row{"cat columns",
        kMoved,
        {kCoded, {Fill::kCoded, Extent::kUpright}},
        [](T x) {
            return Tensors{at::cat({x[0], x[1], x[0].neg()}, 1)};
        }},
    Row{"stack",
        kMoved,
        {kCoded, kCoded},
        [](T x) {
            return Tensors{at::stack({x[0], x[1].neg()}, 1)};
        }},
    Row{"split and chunk",
        kMoved,
        {kCoded},
        [](T x) {
            const auto parts = x[0].chunk(2, 1);
            Tensors out;
            for (const auto& part : parts) out.push_back(part.clone(at::MemoryFormat::Contiguous));
            return out;
        }},
    Row{"index_select rows",
        kMoved,
        {kCoded, kRowPlaces},
        [](T x) { return Tensors{x[0].index_select(0, x[1])}; }},
    Row{"index rows",
        kMoved,
        {kCoded, kRowPlaces},
        [](T x) { return Tensors{x[0].index({x[1]})}; }},
    Row{"gather",
        kMoved,
        {kCoded, kColumnPlaces},
        [](T x) { return Tensors{x[0].gather(1, x[1])}; }},
    Row{"take_along_dim",
        kMoved,
        {kCoded, kOrder},
        [](T x) { return Tensors{at::take_along_dim(x[0], x[1], 1)}; }},
    Row{"embedding",
        kMoved,
        {kCoded, kRowPlaces},
        [](T x) { return Tensors{at::embedding(x[0], x[1])}; }},
    Row{"scatter",
        kMoved,
        {kCoded, kOrder, kCoded},
        [](T x) { return Tensors{x[0].scatter(1, x[1], x[2].neg())}; }},
    Row{"scatter value",
        kMoved,
        {kCoded, kColumnPlaces},
        [](T x) { return Tensors{x[0].scatter(1, x[1], 5.0)}; }},
    Row{"index_fill",
        kMoved,
        {kCoded, kRowPlaces},
        [](T x) { return Tensors{x[0].index_fill(0, x[1], 2.0)}; }},
    Row{"masked_select",
        kMoved,
        {kCoded, {Fill::kMask}},
        [](T x) { return Tensors{x[0].masked_select(x[1])}; }},
    Row{"nonzero",
        kMoved,
        {{Fill::kMask}},
        [](T x) { return Tensors{x[0].nonzero()}; },
        0.0,
        false},
    Row{"flip",
        kMoved,
        {kCoded},
        [](T x) {
            return Tensors{x[0].flip({0, 1})};
        }},
    Row{"roll",
        kMoved,
        {kCoded},
        [](T x) {
            return Tensors{x[0].roll({1, 2}, {0, 1})};
        }},
    Row{"tril",
        kMoved,
        {kCoded},
        [](T x) {
            return Tensors{x[0].tril(), x[0].triu(1)};
        }},
    Row{"pad",
        kMoved,
        {kCoded},
        [](T x) {
            return Tensors{at::constant_pad_nd(x[0], {1, 2, 0, 1}, 9.0)};
        }},
    Row{"repeat",
        kMoved,
        {kCoded},
        [](T x) {
            return Tensors{x[0].repeat({2, 3})};
        }},
    Row{"repeat_interleave",
        kMoved,
        {kCoded},
        [](T x) { return Tensors{x[0].repeat_interleave(2, 1)}; }},
    Row{"expand",
        kMoved,
        {kUpright, kCoded},
        [](T x) { return Tensors{x[0].expand_as(x[1]).contiguous()}; }},
    Row{"slice",
        kMoved,
        {kCoded},
        [](T x) {
            return Tensors{x[0].slice(1, 1, {}, 2).clone(at::MemoryFormat::Contiguous),
                           x[0].slice(0, 0, {}, 2).clone(at::MemoryFormat::Contiguous)};
        }},
    Row{"slice assign",
        kMoved,
        {kCoded, kCoded},
        [](T x) {
            at::Tensor out = x[0].clone();
            out.slice(1, 0, {}, 2).copy_(x[1].slice(1, 0, {}, 2).neg());
            return Tensors{out};
        },
        0.0,
        false},
    Row{"diagonal", kMoved, {kCoded}, [](T x) { return Tensors{x[0].diagonal().clone()}; }},
    Row{"unfold",
        kMoved,
        {kCoded},
        [](T x) {
            return Tensors{x[0].unsqueeze(0).expand({2, -1, -1}).reshape({2, -1})};
        }},
    Row{"index_put",
        kMoved,
        {kCoded, {Fill::kOrder, Extent::kRows}, kCoded},
        [](T x) { return Tensors{x[0].index_put({x[1]}, x[2].neg())}; }},
    Row{"index_copy",
        kMoved,
        {kCoded, {Fill::kOrder, Extent::kRows}, kCoded},
        [](T x) { return Tensors{x[0].index_copy(0, x[1], x[2].neg())}; }},
    Row{"masked_scatter",
        kMoved,
        {kCoded, {Fill::kMask}, kCoded},
        [](T x) { return Tensors{x[0].masked_scatter(x[1], x[2].neg())}; }},
    Row{"cat out",
        kMoved,
        {kCoded, kCoded},
        [](T x) {
            at::Tensor out = at::empty({x[0].size(0) * 2, x[0].size(1)}, x[0].options());
            return Tensors{at::cat_out(out, {x[0], x[1].neg()}, 0)};
        },
        0.0,
        false},
    Row{"to fp32 and back",
        kMoved,
        {kCoded},
        [](T x) {
            return Tensors{x[0].to(at::kFloat).to(x[0].scalar_type()), x[0].to(at::kLong),
                           x[0].ne(0).to(x[0].scalar_type())};
        },
        0.0,
        false},
    Row{"arange and full",
        kMoved,
        {kCoded},
        [](T x) {
            return Tensors{at::arange(x[0].size(1), x[0].options().dtype(at::kLong)),
                           at::full_like(x[0], 1.5), at::ones_like(x[0]), at::zeros_like(x[0]),
                           at::eye(3, x[0].size(0), x[0].options())};
        },
        0.0,
        false},
};

}  // namespace

std::span<const Row> moving_rows() {
    return kRows;
}

}  // namespace ascertain::operators::battery
