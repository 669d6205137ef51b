// Rotary position embedding with the published ways to stretch it to longer sequences.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/architecture.hpp"

namespace ascertain::training {

struct RopeTable {
    at::Tensor cosine;  // [seq, dim / 2], fp32
    at::Tensor sine;
    bool interleaved = false;
};

// Angle per position of pair i, i = 0 .. dim/2 - 1; docs/formulas.md#rope-frequencies. dim is even.
[[nodiscard]] std::vector<double> rope_frequencies(const model::Position& position,
                                                   std::int64_t dim);
// What cosine and sine are multiplied by; 1 unless the scaling is yarn.
[[nodiscard]] double rope_amplitude(const model::RopeScaling& scaling);
// What the softmax scale is multiplied by; 1 unless the scaling is yarn with mscale_all_dim.
[[nodiscard]] double rope_softmax_factor(const model::RopeScaling& scaling);

// Computed on the CPU in fp64 and rounded once.
[[nodiscard]] RopeTable rope_table(const model::Position& position, std::int64_t dim,
                                   std::int64_t sequence_length, at::Device device);

// x [batch, seq, heads, dim], turned by the table from row `position` on, in x's dtype. Interleaved
// pairs come out separated, (2i, 2i+1) -> (i, i + dim/2): queries and keys alike, so products are
// unchanged.
[[nodiscard]] at::Tensor rotate(const RopeTable& table, const at::Tensor& x,
                                std::int64_t position = 0);

}  // namespace ascertain::training
