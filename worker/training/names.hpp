// What each family calls its weights in the checkpoints it is published as.
#pragma once

#include <cstdint>
#include <string>

#include "model/architecture.hpp"

namespace ascertain::training {

// Names without ".weight" and ".bias"; those inside a layer are relative to layer(). A name that
// the family does not have is empty.
struct Names {
    std::string embedding, positions, final_norm, head;
    std::string layers;  // "model.layers.": the layer's number follows
    std::string attention_norm, attention_output_norm, mlp_norm, mlp_output_norm;
    std::string q, k, v, qkv, o, q_norm, k_norm;
    std::string q_down, q_latent_norm, q_up, kv_down, kv_latent_norm, kv_up;
    std::string gate, up, down;
    std::string router, router_bias;
    std::string expert_gate, expert_up, expert_down;  // "*": the expert's number
    std::string shared_gate, shared_up, shared_down;
    bool input_major = false;  // matrices are stored [in, out]

    [[nodiscard]] std::string layer(std::int64_t index) const {
        return layers + std::to_string(index) + ".";
    }
};

[[nodiscard]] Names names_of(const model::Architecture& architecture);

}  // namespace ascertain::training
