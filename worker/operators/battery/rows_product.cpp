// Matrix products, of whole numbers: every partial sum is exact, so the result is one rounding.
#include <ATen/ATen.h>

#include <algorithm>

#include "worker/operators/battery/rows.hpp"

namespace ascertain::operators::battery {
namespace {

using T = const Tensors&;
constexpr Input kWhole{Fill::kWhole};
constexpr Input kRight{Fill::kWhole, Extent::kRight};
constexpr Input kWeight{Fill::kWhole, Extent::kWeight};
constexpr Input kProduct{Fill::kWhole, Extent::kProduct};
constexpr Input kBatch{Fill::kWhole, Extent::kBatch};
constexpr Input kBatchRight{Fill::kWhole, Extent::kBatchRight};
constexpr Input kVector{Fill::kWhole, Extent::kOne};

constexpr std::array kRows{
    Row{"mm", Rule::kWhole, {kWhole, kRight}, [](T x) { return Tensors{x[0].mm(x[1])}; }},
    Row{"mm left t",
        Rule::kWhole,
        {kWhole, kProduct},
        [](T x) { return Tensors{x[0].t().mm(x[1])}; }},
    Row{"mm right t",
        Rule::kWhole,
        {kWhole, kWeight},
        [](T x) { return Tensors{x[0].mm(x[1].t())}; }},
    Row{"mm both t",
        Rule::kWhole,
        {kWhole, kRight},
        [](T x) { return Tensors{x[1].t().mm(x[0].t())}; }},
    Row{"addmm",
        Rule::kWhole,
        {kProduct, kWhole, kRight},
        [](T x) { return Tensors{at::addmm(x[0], x[1], x[2], 1, 1)}; },
        1.0},
    Row{"addmm alpha beta",
        Rule::kWhole,
        {kProduct, kWhole, kRight},
        [](T x) { return Tensors{at::addmm(x[0], x[1], x[2], 2, -1)}; },
        1.0},
    Row{"addmm beta 0",
        Rule::kWhole,
        {kProduct, kWhole, kRight},
        [](T x) { return Tensors{at::addmm(x[0].div(0.0), x[1], x[2], 0, 3)}; },
        1.0,
        false},
    Row{"bmm", Rule::kWhole, {kBatch, kBatchRight}, [](T x) { return Tensors{x[0].bmm(x[1])}; }},
    Row{"bmm left t",
        Rule::kWhole,
        {kBatch, kBatchRight},
        [](T x) { return Tensors{x[1].transpose(1, 2).bmm(x[0].transpose(1, 2))}; }},
    Row{"baddbmm",
        Rule::kWhole,
        {kProduct, kBatch, kBatchRight},
        [](T x) { return Tensors{at::baddbmm(x[0].unsqueeze(0), x[1], x[2], -1, 2)}; },
        1.0},
    Row{"linear",
        Rule::kWhole,
        {kWhole, kWeight},
        [](T x) { return Tensors{at::linear(x[0], x[1])}; }},
    Row{"linear batch",
        Rule::kWhole,
        {kBatch, kWeight},
        [](T x) { return Tensors{at::linear(x[0], x[1])}; }},
    Row{"matmul broadcast",
        Rule::kWhole,
        {kBatch, kRight},
        [](T x) { return Tensors{at::matmul(x[0], x[1])}; }},
    Row{"mv", Rule::kWhole, {kWhole, kVector}, [](T x) { return Tensors{x[0].mv(x[1])}; }},
    Row{"dot", Rule::kWhole, {kVector, kVector}, [](T x) { return Tensors{x[0].dot(x[1])}; }},
    Row{"einsum",
        Rule::kWhole,
        {kBatch, kBatch},
        [](T x) {
            // All rows with all rows would be squared.
            const at::Tensor some = x[1].narrow(1, 0, std::min<std::int64_t>(x[1].size(1), 64));
            return Tensors{at::einsum("bij,bkj->bik", {x[0], some})};
        }},
    Row{"mm out",
        Rule::kWhole,
        {kWhole, kRight, kProduct},
        [](T x) {
            at::Tensor out = x[2];
            return Tensors{at::mm_out(out, x[0], x[1])};
        },
        0.5,
        false,
        true},
    Row{"addmm_",
        Rule::kWhole,
        {kProduct, kWhole, kRight},
        [](T x) {
            at::Tensor out = x[0];
            return Tensors{out.addmm_(x[1], x[2])};
        },
        1.0,
        false,
        true},
};

}  // namespace

std::span<const Row> product_rows() {
    return kRows;
}

}  // namespace ascertain::operators::battery
