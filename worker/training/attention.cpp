#include "worker/training/attention.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/ones.h>

#include <cmath>

namespace ascertain::training {
namespace {

Attention make_grouped(Builder& builder, const std::string& layer) {
    const model::Architecture& architecture = builder.architecture;
    const model::Attention& shape = architecture.attention;
    const Names& names = builder.names;
    const std::int64_t hidden = architecture.hidden_size;
    const std::int64_t q_width = shape.heads * shape.head_dim;
    const std::int64_t kv_width = shape.kv_heads * shape.head_dim;
    Attention made;
    if (names.qkv.empty()) {
        made.q = builder.linear(layer + names.q, hidden, q_width, shape.qkv_bias);
        made.k = builder.linear(layer + names.k, hidden, kv_width, shape.qkv_bias);
        made.v = builder.linear(layer + names.v, hidden, kv_width, shape.qkv_bias);
    } else {
        made.qkv =
            builder.linear(layer + names.qkv, hidden, q_width + 2 * kv_width, shape.qkv_bias);
    }
    if (shape.qk_norm) {
        made.q_norm = builder.norm(layer + names.q_norm, shape.head_dim);
        made.k_norm = builder.norm(layer + names.k_norm, shape.head_dim);
    }
    made.o =
        builder.linear(layer + names.o, q_width, hidden, shape.output_bias, builder.output_scale());
    return made;
}

Attention make_latent(Builder& builder, const std::string& layer) {
    const model::Architecture& architecture = builder.architecture;
    const model::Attention& shape = architecture.attention;
    const Names& names = builder.names;
    const std::int64_t hidden = architecture.hidden_size;
    const std::int64_t q_width = shape.heads * (shape.qk_nope_head_dim + shape.qk_rope_head_dim);
    const std::int64_t kv_width = shape.heads * (shape.qk_nope_head_dim + shape.v_head_dim);
    Attention made;
    if (shape.q_lora_rank > 0) {
        made.q_down =
            builder.linear(layer + names.q_down, hidden, shape.q_lora_rank, shape.qkv_bias);
        made.q_latent_norm = builder.norm(layer + names.q_latent_norm, shape.q_lora_rank);
        made.q_up = builder.linear(layer + names.q_up, shape.q_lora_rank, q_width, false);
    } else {
        made.q = builder.linear(layer + names.q, hidden, q_width, false);
    }
    made.kv_down = builder.linear(layer + names.kv_down, hidden,
                                  shape.kv_lora_rank + shape.qk_rope_head_dim, shape.qkv_bias);
    made.kv_latent_norm = builder.norm(layer + names.kv_latent_norm, shape.kv_lora_rank);
    made.kv_up = builder.linear(layer + names.kv_up, shape.kv_lora_rank, kv_width, false);
    made.o = builder.linear(layer + names.o, shape.heads * shape.v_head_dim, hidden,
                            shape.output_bias, builder.output_scale());
    return made;
}

struct Heads {
    at::Tensor q, k, v;  // [batch, seq, heads, dim]
};

// The part of a joint matrix that makes outputs begin .. begin + count.
Linear columns(const Linear& joint, std::int64_t begin, std::int64_t count) {
    Linear part = joint;
    part.weight = joint.weight.narrow(joint.input_major ? 1 : 0, begin, count);
    if (joint.bias.defined()) part.bias = joint.bias.narrow(0, begin, count);
    return part;
}

Heads grouped_heads(const Attention& attention, const Pass& pass, const at::Tensor& x) {
    const model::Attention& shape = attention.shape;
    const Arithmetic& arithmetic = pass.arithmetic;
    const std::int64_t q_width = shape.heads * shape.head_dim;
    const std::int64_t kv_width = shape.kv_heads * shape.head_dim;
    at::Tensor q, k, v;
    if (attention.qkv.weight.defined()) {
        q = apply(columns(attention.qkv, 0, q_width), arithmetic, x);
        k = apply(columns(attention.qkv, q_width, kv_width), arithmetic, x);
        v = apply(columns(attention.qkv, q_width + kv_width, kv_width), arithmetic, x);
    } else {
        q = apply(attention.q, arithmetic, x);
        k = apply(attention.k, arithmetic, x);
        v = apply(attention.v, arithmetic, x);
    }
    const auto split = [&](const at::Tensor& wide, std::int64_t heads) {
        return wide.reshape({pass.batch, pass.sequence_length, heads, shape.head_dim});
    };
    q = split(q, shape.heads);
    k = split(k, shape.kv_heads);
    if (attention.q_norm.weight.defined()) {
        q = apply(attention.q_norm, q);
        k = apply(attention.k_norm, k);
    }
    if (pass.rope.cosine.defined()) {
        q = rotate(pass.rope, widen(q));
        k = rotate(pass.rope, widen(k));
    }
    return {q, k, split(v, shape.kv_heads)};
}

Heads latent_heads(const Attention& attention, const Pass& pass, const at::Tensor& x) {
    const model::Attention& shape = attention.shape;
    const Arithmetic& arithmetic = pass.arithmetic;
    const std::int64_t nope = shape.qk_nope_head_dim;
    const std::int64_t rope = shape.qk_rope_head_dim;
    const auto split = [&](const at::Tensor& wide, std::int64_t heads) {
        return wide.reshape({pass.batch, pass.sequence_length, heads, -1});
    };
    at::Tensor q;
    if (attention.q_down.weight.defined()) {
        const at::Tensor latent =
            apply(attention.q_latent_norm, apply(attention.q_down, arithmetic, x));
        q = split(apply(attention.q_up, arithmetic, latent), shape.heads);
    } else {
        q = split(apply(attention.q, arithmetic, x), shape.heads);
    }
    const at::Tensor down = apply(attention.kv_down, arithmetic, x);
    const at::Tensor latent =
        apply(attention.kv_latent_norm, down.narrow(1, 0, shape.kv_lora_rank));
    const at::Tensor up = split(apply(attention.kv_up, arithmetic, latent), shape.heads);
    at::Tensor q_turned = widen(q.narrow(3, nope, rope));
    at::Tensor k_turned = widen(split(down.narrow(1, shape.kv_lora_rank, rope), 1));
    if (pass.rope.cosine.defined()) {
        q_turned = rotate(pass.rope, q_turned);
        k_turned = rotate(pass.rope, k_turned);
    }
    const at::Tensor k_shared = k_turned.expand({-1, -1, shape.heads, -1});
    return {at::cat({widen(q.narrow(3, 0, nope)), q_turned}, 3),
            at::cat({widen(up.narrow(3, 0, nope)), k_shared}, 3),
            up.narrow(3, nope, shape.v_head_dim)};
}

}  // namespace

std::int64_t rope_dimension(const model::Attention& attention) {
    return attention.kind == model::AttentionKind::kMla ? attention.qk_rope_head_dim
                                                        : attention.head_dim;
}

Attention make_attention(Builder& builder, const std::string& layer) {
    const model::Attention& shape = builder.architecture.attention;
    Attention made = shape.kind == model::AttentionKind::kMla ? make_latent(builder, layer)
                                                              : make_grouped(builder, layer);
    made.shape = shape;
    const std::int64_t q_dim = shape.kind == model::AttentionKind::kMla
                                   ? shape.qk_nope_head_dim + shape.qk_rope_head_dim
                                   : shape.head_dim;
    made.softmax_scale = rope_softmax_factor(builder.architecture.position.scaling) /
                         std::sqrt(static_cast<double>(q_dim));
    return made;
}

at::Tensor attention_mask(const model::Attention& attention, std::int64_t sequence_length,
                          at::Device device) {
    const std::int64_t window = attention.sliding_window;
    if (window <= 0 || window >= sequence_length) return {};
    const at::Tensor all =
        at::ones({sequence_length, sequence_length}, at::TensorOptions(device).dtype(at::kBool));
    return all.tril().logical_and(all.triu(1 - window));
}

at::Tensor apply(const Attention& attention_part, const Pass& pass, const at::Tensor& x) {
    const at::Tensor rounded = round_to(pass.arithmetic, x);
    const Heads heads = attention_part.shape.kind == model::AttentionKind::kMla
                            ? latent_heads(attention_part, pass, rounded)
                            : grouped_heads(attention_part, pass, rounded);
    const at::Tensor output =
        attention(pass.arithmetic, heads.q.transpose(1, 2), heads.k.transpose(1, 2),
                  heads.v.transpose(1, 2), pass.mask, attention_part.softmax_scale);
    const at::Tensor rows = output.transpose(1, 2).reshape({pass.batch * pass.sequence_length, -1});
    return apply(attention_part.o, pass.arithmetic, rows);
}

}  // namespace ascertain::training
