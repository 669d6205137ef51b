// Writes down the operators of one block as one rank runs them; private to this room.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/operators.hpp"
#include "model/rank_view.hpp"

namespace ascertain::model {

// Appends the operators of one block. Backward operators are collected in forward order and turned
// round at the end, because gradients flow back.
class BlockWriter {
public:
    BlockWriter(const RankView& view, const Batch& batch, Block block)
        : view_(view),
          a_(view.model),
          batch_(batch),
          block_(block),
          bytes_(size_bytes(batch.dtype)) {}

    void embedding();
    void layer(LayerKind kind);
    void head();
    void mtp();
    void parameters();

    // Forward, backward, clip and optimizer, each in the order in which it runs.
    void append_to(std::vector<Operator>& out);

private:
    void attention();
    void gqa_projections();
    void mla_projections();
    void mlp(std::string_view module, std::int64_t size);
    void moe();
    void loss();

    // Per element: elements read, elements written, FLOPs.
    struct Traffic {
        double read, written, flops;
    };
    [[nodiscard]] Operator make(std::string_view name, OperatorKind kind, Phase phase) const;
    void pointwise(std::string_view name, OperatorKind kind, double elements, Traffic forward,
                   Traffic backward);
    void norm(std::string_view name, std::int64_t rows, std::int64_t size);
    void residual(std::string_view name);
    void gemm(std::string_view name, OperatorKind kind, Gradient gradient, GemmShape shape,
              double weight_elements, Dtype dtype);
    void linear(std::string_view name, std::int64_t rows, std::int64_t in, std::int64_t out,
                bool bias);
    void grouped(std::string_view name, std::int64_t in, std::int64_t out);
    void router();

    const RankView& view_;
    const Architecture& a_;
    const Batch& batch_;
    Block block_;
    double bytes_;
    std::string_view module_;
    std::vector<Operator> forward_;
    std::vector<Operator> backward_;
    std::vector<Operator> update_;
};

}  // namespace ascertain::model
