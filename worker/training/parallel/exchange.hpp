// What the ranks of one training run need of their network; c10d behind it in a worker, threads in
// tests.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>

namespace ascertain::training {

// Every rank calls the same functions in the same order. Tensors are contiguous fp32 (or int64), on
// any device; pieces are along the first dimension.
class Exchange {
public:
    Exchange() = default;
    Exchange(const Exchange&) = delete;
    Exchange& operator=(const Exchange&) = delete;
    virtual ~Exchange() = default;

    [[nodiscard]] virtual std::int64_t rank() const = 0;
    [[nodiscard]] virtual std::int64_t ranks() const = 0;
    [[nodiscard]] virtual at::Tensor all_reduce(const at::Tensor& value) = 0;  // sums
    // [n, ...] of each rank -> [ranks n, ...], in the order of ranks.
    [[nodiscard]] virtual at::Tensor all_gather(const at::Tensor& part) = 0;
    // [ranks n, ...] -> the sum over ranks of this rank's piece, [n, ...].
    [[nodiscard]] virtual at::Tensor reduce_scatter(const at::Tensor& whole) = 0;
    // Piece r goes to rank r; piece r of the result came from rank r.
    [[nodiscard]] virtual at::Tensor all_to_all(const at::Tensor& pieces) = 0;
};

// The same inside the graph: the gradient takes the way back. `exchange` must outlive the backward
// pass, which all ranks make in the same order.
[[nodiscard]] at::Tensor gathered(Exchange& exchange, const at::Tensor& part);
[[nodiscard]] at::Tensor scattered(Exchange& exchange, const at::Tensor& whole);
[[nodiscard]] at::Tensor traded(Exchange& exchange, const at::Tensor& pieces);

}  // namespace ascertain::training
