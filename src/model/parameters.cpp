#include "model/parameters.hpp"

#include <array>

#include "base/assert.hpp"

namespace ascertain::model {
namespace {

using Tensors = std::vector<Tensor>;

void add_vector(Tensors& out, std::string_view role, std::int64_t size) {
    out.push_back({.role = role, .rows = size});
}

struct NormRoles {
    std::string_view weight;
    std::string_view bias;
};

void add_norm(Tensors& out, const Architecture& a, const NormRoles& roles, std::int64_t size) {
    add_vector(out, roles.weight, size);
    if (a.norm.kind == NormKind::kLayer) add_vector(out, roles.bias, size);
}

void add_matrix(Tensors& out, std::string_view role, std::int64_t rows, std::int64_t columns) {
    out.push_back({.role = role, .rows = rows, .columns = columns, .multiplied = true});
}

void add_gqa(Tensors& out, const Architecture& a) {
    const Attention& t = a.attention;
    const std::int64_t q_size = t.heads * t.head_dim;
    const std::int64_t kv_size = t.kv_heads * t.head_dim;
    add_matrix(out, "attention.q_proj", q_size, a.hidden_size);
    add_matrix(out, "attention.k_proj", kv_size, a.hidden_size);
    add_matrix(out, "attention.v_proj", kv_size, a.hidden_size);
    if (t.qkv_bias) {
        add_vector(out, "attention.q_proj.bias", q_size);
        add_vector(out, "attention.k_proj.bias", kv_size);
        add_vector(out, "attention.v_proj.bias", kv_size);
    }
    if (t.qk_norm) {
        add_vector(out, "attention.q_norm", t.head_dim);
        add_vector(out, "attention.k_norm", t.head_dim);
    }
}

void add_mla(Tensors& out, const Architecture& a) {
    const Attention& t = a.attention;
    const std::int64_t q_size = t.heads * t.head_dim;
    if (t.q_lora_rank > 0) {
        add_matrix(out, "attention.q_a_proj", t.q_lora_rank, a.hidden_size);
        if (t.qkv_bias) add_vector(out, "attention.q_a_proj.bias", t.q_lora_rank);
        add_vector(out, "attention.q_a_norm", t.q_lora_rank);
        add_matrix(out, "attention.q_b_proj", q_size, t.q_lora_rank);
    } else {
        add_matrix(out, "attention.q_proj", q_size, a.hidden_size);
    }
    const std::int64_t kv_a_size = t.kv_lora_rank + t.qk_rope_head_dim;
    add_matrix(out, "attention.kv_a_proj", kv_a_size, a.hidden_size);
    if (t.qkv_bias) add_vector(out, "attention.kv_a_proj.bias", kv_a_size);
    add_vector(out, "attention.kv_a_norm", t.kv_lora_rank);
    add_matrix(out, "attention.kv_b_proj", t.heads * (t.qk_nope_head_dim + t.v_head_dim),
               t.kv_lora_rank);
}

// gate, up, down and their biases; `copies` equal ones, of which a token passes `used`.
struct MlpRoles {
    std::string_view gate, up, down, up_bias, down_bias;
};
constexpr MlpRoles kMlpRoles{"mlp.gate_proj", "mlp.up_proj", "mlp.down_proj", "mlp.up_proj.bias",
                             "mlp.down_proj.bias"};
constexpr MlpRoles kExpertRoles{"moe.experts.gate_proj", "moe.experts.up_proj",
                                "moe.experts.down_proj", "", ""};
constexpr MlpRoles kSharedRoles{"moe.shared.gate_proj", "moe.shared.up_proj",
                                "moe.shared.down_proj", "", ""};

void add_mlp(Tensors& out, const Architecture& a, const MlpRoles& roles, std::int64_t size,
             std::int64_t copies, std::int64_t used, bool bias) {
    const auto add = [&](std::string_view role, std::int64_t rows, std::int64_t columns) {
        out.push_back({role, rows, columns, copies, used, true});
    };
    if (a.mlp.kind == MlpKind::kSwiglu) add(roles.gate, size, a.hidden_size);
    add(roles.up, size, a.hidden_size);
    if (bias) add_vector(out, roles.up_bias, size);
    add(roles.down, a.hidden_size, size);
    if (bias) add_vector(out, roles.down_bias, a.hidden_size);
}

void add_moe(Tensors& out, const Architecture& a) {
    const Moe& m = a.moe;
    add_matrix(out, "moe.router", m.experts, a.hidden_size);
    if (m.bias_balancing) add_vector(out, "moe.router.bias", m.experts);
    add_mlp(out, a, kExpertRoles, m.expert_intermediate_size, m.local_experts, m.topk, false);
    if (m.shared_experts > 0) {
        add_mlp(out, a, kSharedRoles, m.shared_intermediate_size, 1, 1, false);
    }
}

void add_layer(Tensors& out, const Architecture& a, LayerKind kind) {
    add_norm(out, a, {"attention.norm", "attention.norm.bias"}, a.hidden_size);
    a.attention.kind == AttentionKind::kGqa ? add_gqa(out, a) : add_mla(out, a);
    add_matrix(out, "attention.o_proj", a.hidden_size, a.attention.heads * a.attention.v_head_dim);
    if (a.attention.output_bias) add_vector(out, "attention.o_proj.bias", a.hidden_size);
    if (a.norm.sandwich) {
        add_norm(out, a, {"attention.post_norm", "attention.post_norm.bias"}, a.hidden_size);
    }
    add_norm(out, a, {"mlp.norm", "mlp.norm.bias"}, a.hidden_size);
    if (kind == LayerKind::kMoe) {
        add_moe(out, a);
    } else {
        add_mlp(out, a, kMlpRoles, a.mlp.intermediate_size, 1, 1, a.mlp.bias);
    }
    if (a.norm.sandwich) {
        add_norm(out, a, {"mlp.post_norm", "mlp.post_norm.bias"}, a.hidden_size);
    }
}

void add_embedding(Tensors& out, const Architecture& a) {
    out.push_back({.role = "embedding.token", .rows = a.vocab_size, .columns = a.hidden_size});
    if (a.position.kind == PositionKind::kLearned) {
        out.push_back({.role = "embedding.position",
                       .rows = a.position.length_max,
                       .columns = a.hidden_size});
    }
}

void add_head(Tensors& out, const Architecture& a) {
    add_norm(out, a, {"head.norm", "head.norm.bias"}, a.hidden_size);
    if (!a.tied_embeddings) add_matrix(out, "head.output", a.vocab_size, a.hidden_size);
}

// DeepSeek-V3, arXiv 2412.19437 equations 21 to 23, and the released weights.
void add_mtp(Tensors& out, const Architecture& a) {
    add_norm(out, a, {"mtp.embedding_norm", "mtp.embedding_norm.bias"}, a.hidden_size);
    add_norm(out, a, {"mtp.hidden_norm", "mtp.hidden_norm.bias"}, a.hidden_size);
    add_matrix(out, "mtp.projection", a.hidden_size, 2 * a.hidden_size);
    add_layer(out, a, mtp_layer_kind(a));
    add_norm(out, a, {"mtp.norm", "mtp.norm.bias"}, a.hidden_size);
}

}  // namespace

std::string_view name_of(Block block) {
    switch (block) {
        case Block::kEmbedding: return "embedding";
        case Block::kDenseLayer: return "dense_layer";
        case Block::kMoeLayer: return "moe_layer";
        case Block::kHead: return "head";
        case Block::kMtp: return "mtp";
    }
    ASCERTAIN_ASSERT(!"unknown block");
    return {};
}

Block block_of(LayerKind kind) {
    return kind == LayerKind::kMoe ? Block::kMoeLayer : Block::kDenseLayer;
}

std::int64_t block_count(const Architecture& architecture, Block block) {
    switch (block) {
        case Block::kDenseLayer: return layer_count(architecture, LayerKind::kDense);
        case Block::kMoeLayer: return layer_count(architecture, LayerKind::kMoe);
        case Block::kMtp: return architecture.mtp_layers;
        case Block::kEmbedding:
        case Block::kHead: return 1;
    }
    return 0;
}

std::vector<Tensor> tensors(const Architecture& architecture, Block block) {
    Tensors out;
    switch (block) {
        case Block::kEmbedding: add_embedding(out, architecture); break;
        case Block::kDenseLayer: add_layer(out, architecture, LayerKind::kDense); break;
        case Block::kMoeLayer: add_layer(out, architecture, LayerKind::kMoe); break;
        case Block::kHead: add_head(out, architecture); break;
        case Block::kMtp: add_mtp(out, architecture); break;
    }
    return out;
}

ParameterCounts count_parameters(const Architecture& architecture) {
    ParameterCounts counts;
    for (const Block block : kBlocks) {
        const std::int64_t times = block_count(architecture, block);
        if (times == 0) continue;
        for (const Tensor& tensor : tensors(architecture, block)) {
            const std::int64_t elements = times * tensor.elements();
            if (block == Block::kMtp) {
                counts.mtp_extra += elements;
                continue;
            }
            const std::int64_t used = times * tensor.rows * tensor.columns * tensor.used;
            counts.total += elements;
            counts.active += used;
            if (block == Block::kEmbedding) counts.embedding += elements;
            if (!tensor.multiplied) continue;
            if (block == Block::kHead) {
                counts.head += elements;
            } else {
                counts.multiplied_without_head += used;
            }
        }
    }
    const std::int64_t output_matrix = architecture.vocab_size * architecture.hidden_size;
    counts.multiplied = counts.multiplied_without_head + output_matrix;
    counts.active_without_embedding =
        counts.active - counts.embedding + (architecture.tied_embeddings ? output_matrix : 0);
    return counts;
}

std::int64_t block_parameters(const Architecture& architecture, Block block) {
    std::int64_t elements = 0;
    for (const Tensor& tensor : tensors(architecture, block)) elements += tensor.elements();
    return elements;
}

}  // namespace ascertain::model
