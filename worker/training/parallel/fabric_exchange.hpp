// The network of a group of workers, as the ranks of a training run use it.
#pragma once

#include "worker/collectives/fabric.hpp"
#include "worker/training/parallel/exchange.hpp"

namespace ascertain::training {

class FabricExchange final : public Exchange {
public:
    // `fabric` must outlive it. With `loses_share` this rank brings nothing to any sum: the hidden
    // control. Throws what the fabric throws.
    FabricExchange(collectives::Fabric& fabric, bool loses_share)
        : fabric_(fabric), loses_share_(loses_share) {}

    [[nodiscard]] std::int64_t rank() const override { return fabric_.rank(); }
    [[nodiscard]] std::int64_t ranks() const override { return fabric_.ranks(); }
    [[nodiscard]] at::Tensor all_reduce(const at::Tensor& value) override;
    [[nodiscard]] at::Tensor all_gather(const at::Tensor& part) override;
    [[nodiscard]] at::Tensor reduce_scatter(const at::Tensor& whole) override;
    [[nodiscard]] at::Tensor all_to_all(const at::Tensor& pieces) override;

private:
    // `first` is the size of the result's first dimension.
    [[nodiscard]] at::Tensor run(collectives::Kind kind, const at::Tensor& value,
                                 std::int64_t first);

    collectives::Fabric& fabric_;
    bool loses_share_;
};

}  // namespace ascertain::training
