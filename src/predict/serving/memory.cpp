#include "predict/serving/memory.hpp"

#include <algorithm>

#include "model/parameters.hpp"
#include "predict/parallel/memory.hpp"

namespace ascertain::serving {
namespace {

using model::Block;

// Of the printed capacity that an engine is given: vLLM's gpu_memory_utilization, by default.
constexpr double kUsableShare = 0.9;
constexpr double kHalf = 2.0;     // bytes of a 16-bit element
constexpr double kStreams = 4.0;  // copies of a row of the residual stream alive at once: guessed

double real(std::int64_t value) {
    return static_cast<double>(value);
}

// Matrices of layers are in the engine's precision, everything else in 16 bits.
double block_bytes(const Server& server, Block block) {
    const bool layer = block != Block::kEmbedding && block != Block::kHead;
    double bytes = 0.0;
    for (const model::Tensor& tensor : model::tensors(server.rank, block)) {
        const bool low = layer && tensor.multiplied && tensor.role != "moe.router";
        bytes += real(tensor.elements()) * (low ? weight_bytes(server.engine.precision) : kHalf);
    }
    return bytes;
}

double activation_bytes(const Server& server) {
    const model::Architecture& a = server.rank;
    const double inner = a.mlp.kind == model::MlpKind::kSwiglu ? 2.0 : 1.0;
    double widest = inner * real(a.mlp.intermediate_size);
    if (a.moe.experts > 0)
        widest =
            std::max(widest, real(a.moe.topk) * (real(a.hidden_size) +
                                                 inner * real(a.moe.expert_intermediate_size)));
    const double row = kStreams * real(a.hidden_size) + widest;
    return real(server.engine.prefill_tokens) * row * kHalf;
}

}  // namespace

double cache_bytes_per_token(const Server& server) {
    const model::Attention& a = server.rank.attention;
    const double elements = a.kind == model::AttentionKind::kMla
                                ? real(a.kv_lora_rank + a.qk_rope_head_dim)
                                : real(a.kv_heads) * real(a.head_dim + a.v_head_dim);
    const double drafts = server.engine.draft_tokens > 0 ? real(server.whole.mtp_layers) : 0.0;
    return elements * (real(model::layer_count(server.whole)) + drafts) * server.engine.cache_bytes;
}

Memory memory_of(const Server& server, double sequences, double context) {
    Memory memory;
    const double share = fullest_share(server);
    double first_bytes = 0.0;  // of the first stage alone, and of the last
    double last_bytes = 0.0;
    for (const Block block : model::kBlocks) {
        if (block == Block::kMtp && server.engine.draft_tokens == 0) continue;
        const double bytes =
            block_bytes(server, block) * real(model::block_count(server.whole, block));
        if (block == Block::kEmbedding) {
            first_bytes += bytes;
        } else if (block == Block::kHead || block == Block::kMtp) {
            last_bytes += bytes;
        } else {
            memory.weights += Bytes{bytes * share};
        }
    }
    memory.weights +=
        Bytes{server.layout.pp > 1 ? std::max(first_bytes, last_bytes) : first_bytes + last_bytes};
    const double window = real(server.whole.attention.sliding_window);
    const double kept = window > 0.0 ? std::min(context, window) : context;
    memory.cache = Bytes{cache_bytes_per_token(server) * share * sequences * kept};
    memory.activations = Bytes{activation_bytes(server)};
    const parallel::MemoryConstants constants;
    memory.reserve =
        constants.context + constants.buffer_per_group * (server.layout.chips() > 1 ? 2.0 : 0.0);
    memory.capacity = Bytes{server.machine.memory_bytes * kUsableShare};
    return memory;
}

}  // namespace ascertain::serving
