#include "worker/training/attention.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/ones.h>

#include <cmath>
#include <tuple>

#include "base/assert.hpp"

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
        q = rotate(pass.rope, widen(q), pass.position);
        k = rotate(pass.rope, widen(k), pass.position);
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
        q_turned = rotate(pass.rope, q_turned, pass.position);
        k_turned = rotate(pass.rope, k_turned, pass.position);
    }
    const at::Tensor k_shared = k_turned.expand({-1, -1, shape.heads, -1});
    return {at::cat({widen(q.narrow(3, 0, nope)), q_turned}, 3),
            at::cat({widen(up.narrow(3, 0, nope)), k_shared}, 3),
            up.narrow(3, nope, shape.v_head_dim)};
}

// Keys and values of all tokens so far that a query may see, after adding these.
std::tuple<at::Tensor, at::Tensor> remembered(const Attention& attention, const Pass& pass,
                                              const at::Tensor& k, const at::Tensor& v) {
    ASCERTAIN_ASSERT(pass.position == 0 || pass.sequence_length == 1);
    KvCache::Layer& layer = pass.cache->layers.at(attention.index);
    const std::int64_t end = pass.position + pass.sequence_length;
    ASCERTAIN_ASSERT(end <= pass.cache->capacity);
    const auto room_for = [&](const at::Tensor& part) {
        return at::empty({part.size(0), part.size(1), pass.cache->capacity, part.size(3)},
                         part.options());
    };
    if (!layer.keys.defined()) layer = {room_for(k), room_for(v)};
    layer.keys.narrow(2, pass.position, pass.sequence_length).copy_(k);
    layer.values.narrow(2, pass.position, pass.sequence_length).copy_(v);
    const std::int64_t window = attention.shape.sliding_window;
    const bool cut = pass.position > 0 && window > 0 && end > window;
    const std::int64_t first = cut ? end - window : 0;
    return {layer.keys.narrow(2, first, end - first), layer.values.narrow(2, first, end - first)};
}

}  // namespace

std::int64_t rope_dimension(const model::Attention& attention) {
    return attention.kind == model::AttentionKind::kMla ? attention.qk_rope_head_dim
                                                        : attention.head_dim;
}

Attention make_attention(Builder& builder, const std::string& layer, std::size_t index) {
    const model::Attention& shape = builder.architecture.attention;
    Attention made = shape.kind == model::AttentionKind::kMla ? make_latent(builder, layer)
                                                              : make_grouped(builder, layer);
    made.shape = shape;
    made.index = index;
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

at::Tensor context_mask(const model::Attention& attention, std::int64_t position,
                        std::int64_t queries, std::int64_t keys, at::Device device) {
    at::Tensor all = at::ones({keys, keys}, at::TensorOptions(device).dtype(at::kBool)).tril();
    if (attention.sliding_window > 0) all = all.triu(1 - attention.sliding_window);
    return all.narrow(0, position, queries);
}

at::Tensor apply(const Attention& attention_part, const Pass& pass, const at::Tensor& x) {
    const at::Tensor rounded = round_to(pass.arithmetic, x);
    const Heads heads = attention_part.shape.kind == model::AttentionKind::kMla
                            ? latent_heads(attention_part, pass, rounded)
                            : grouped_heads(attention_part, pass, rounded);
    const at::Tensor q = heads.q.transpose(1, 2);
    at::Tensor k = heads.k.transpose(1, 2);
    at::Tensor v = heads.v.transpose(1, 2);
    if (pass.cache != nullptr) std::tie(k, v) = remembered(attention_part, pass, k, v);
    if (pass.exchanges != nullptr && pass.exchanges->whole_context) {
        k = pass.exchanges->whole_context(k);
        v = pass.exchanges->whole_context(v);
    }
    const bool causal = pass.cache == nullptr || pass.position == 0;
    const at::Tensor mask = causal ? pass.mask : at::Tensor();
    const at::Tensor output =
        attention(pass.arithmetic, q, k, v, mask, causal, attention_part.softmax_scale);
    const at::Tensor rows = output.transpose(1, 2).reshape({pass.batch * pass.sequence_length, -1});
    return apply(attention_part.o, pass.arithmetic, rows);
}

}  // namespace ascertain::training
