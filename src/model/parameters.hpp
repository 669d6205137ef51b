// Exact parameter counts, tensor by tensor.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/architecture.hpp"

namespace ascertain::model {

// The repeated parts of a model. Work and memory of a model are those of its blocks times how often
// each occurs.
enum class Block {
    kEmbedding,
    kDenseLayer,
    kMoeLayer,
    kHead,  // final norm, output matrix, loss
    kMtp,   // one multi-token-prediction module: two norms, a projection, a layer, a norm
};
inline constexpr Block kBlocks[] = {Block::kEmbedding, Block::kDenseLayer, Block::kMoeLayer,
                                    Block::kHead, Block::kMtp};

[[nodiscard]] std::string_view name_of(Block block);
[[nodiscard]] Block block_of(LayerKind kind);
// How often the block occurs in the whole model: layers of that kind, MTP modules, else 1.
[[nodiscard]] std::int64_t block_count(const Architecture& architecture, Block block);

// One weight, or `copies` equal ones. A matrix is [rows, columns] = [out, in], as y = x W^T has it.
struct Tensor {
    std::string_view role;  // "attention.q_proj", "moe.experts.gate_proj", ...; static storage
    std::int64_t rows = 0;
    std::int64_t columns = 1;  // 1: a vector
    std::int64_t copies = 1;   // experts built here, otherwise 1
    std::int64_t used = 1;     // copies that one token passes through
    bool multiplied = false;   // an operand of a matrix product (not a bias, norm or table)

    [[nodiscard]] std::int64_t elements() const { return rows * columns * copies; }
};

// The tensors of one block, in the order in which they are used. Tied: the output matrix is in
// kEmbedding and not in kHead. The embedding and output matrix that an MTP module shares with the
// model are not in kMtp. Router biases of bias_balancing count as parameters, as publishers do.
[[nodiscard]] std::vector<Tensor> tensors(const Architecture& architecture, Block block);

// Sums over the model. Publishers read "active" in two ways; MTP modules are in neither, and not in
// the total.
struct ParameterCounts {
    std::int64_t total = 0;
    std::int64_t active = 0;                    // weights one token uses, input embedding included
    std::int64_t active_without_embedding = 0;  // a matrix that is also the head stays in
    std::int64_t embedding = 0;                 // token table and learned positions
    std::int64_t head = 0;                      // output matrix, 0 when tied
    std::int64_t mtp_extra = 0;                 // what all MTP modules add
    // Weights one token is multiplied with, head included: the N of 6 N FLOPs per token.
    std::int64_t multiplied = 0;
    std::int64_t multiplied_without_head = 0;
};
[[nodiscard]] ParameterCounts count_parameters(const Architecture& architecture);

// Elements of one block.
[[nodiscard]] std::int64_t block_parameters(const Architecture& architecture, Block block);

}  // namespace ascertain::model
