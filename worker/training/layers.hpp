// The parts of a transformer layer as plain structs of tensors, and the functions that run them.
// Activations are [tokens, hidden], tokens = batch x seq in that order, fp32 between the parts.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "model/architecture.hpp"
#include "worker/training/arithmetic.hpp"
#include "worker/training/names.hpp"
#include "worker/training/parameters.hpp"
#include "worker/training/rope.hpp"

namespace ascertain::training {

struct Linear {
    at::Tensor weight;  // [out, in], or [in, out] where input_major
    at::Tensor bias;    // [out], or undefined
    bool input_major = false;
};

struct Norm {
    at::Tensor weight;
    at::Tensor bias;  // layer norm only
    model::NormKind kind = model::NormKind::kRms;
    double epsilon = 0.0;
};

struct Mlp {
    model::MlpKind kind = model::MlpKind::kSwiglu;
    Linear gate;  // SwiGLU only
    Linear up;
    Linear down;
};

// What the routers did, one entry per MoE layer.
struct RoutingRecord {
    std::vector<at::Tensor> choices;      // [tokens, topk], int64: the experts that were used
    std::vector<at::Tensor> own_choices;  // what the router chose, also where it was overruled
    std::vector<at::Tensor> loads;        // [experts], int64: tokens of each
};

// Keys and values of the tokens seen so far, one entry per layer.
struct KvCache {
    struct Layer {
        at::Tensor keys;    // [batch, kv_heads, capacity, d]
        at::Tensor values;  // [batch, kv_heads, capacity, dv]
    };
    std::int64_t capacity = 0;  // tokens
    std::int64_t length = 0;    // tokens seen
    std::vector<Layer> layers;
};

struct Experts;
struct Choice;

// Where the ranks of one model meet during a pass; a function that is empty changes nothing. Rows
// are those of the residual stream, [tokens, width].
struct Exchanges {
    std::function<at::Tensor(const at::Tensor& rows)> own_rows;  // this rank's part of the stream
    std::function<at::Tensor(const at::Tensor& rows)> enter;     // before attention, MLP, experts
    std::function<at::Tensor(const at::Tensor& rows)> leave;     // after them
    // Keys or values of the tokens here -> of the whole sequence, [batch, kv_heads, seq, d].
    std::function<at::Tensor(const at::Tensor& part)> whole_context;
    // What the chosen experts, wherever they are, make of the tokens here.
    std::function<at::Tensor(const Experts& experts, const Arithmetic& arithmetic,
                             const at::Tensor& rows, const Choice& choice)>
        run_experts;
};

// What one forward pass shares between its layers.
struct Pass {
    Arithmetic arithmetic;
    std::int64_t batch = 0;
    std::int64_t sequence_length = 0;
    std::int64_t position = 0;  // of the first token: what the cache holds already
    KvCache* cache = nullptr;   // null: the sequence is whole
    RopeTable rope;             // empty when positions are learned
    at::Tensor mask;            // [seq, seq], true: visible; undefined: causal
    double dropout = 0.0;
    // The experts to use instead of the router's own choice; null: the router chooses.
    const std::vector<at::Tensor>* replayed_choices = nullptr;
    // Told the output of every module, [tokens, width], under its name; empty: nobody.
    std::function<void(const std::string& module, const at::Tensor& output)> observe;
    const Exchanges* exchanges = nullptr;  // null: the model is on this rank alone
    // Shared, because a recomputed layer writes it once more after the pass has ended.
    std::shared_ptr<RoutingRecord> record;
};

[[nodiscard]] at::Tensor apply(const Linear& linear, const Arithmetic& arithmetic,
                               const at::Tensor& x);
// Over the last dimension, in fp32.
[[nodiscard]] at::Tensor apply(const Norm& norm, const at::Tensor& x);
[[nodiscard]] at::Tensor apply(const Mlp& mlp, const Arithmetic& arithmetic, const at::Tensor& x);
// act(gate) * up, or act(up) where there is no gate; in the working dtype.
[[nodiscard]] at::Tensor activate(model::MlpKind kind, const Arithmetic& arithmetic,
                                  const at::Tensor& gate, const at::Tensor& up);

// Makes parts of one model under one naming.
struct Builder {
    const model::Architecture& architecture;
    const Names& names;
    Parameters& parameters;

    // Weights N(0, 1 / in), scaled; docs/formulas.md#initial-weights.
    Linear linear(const std::string& name, std::int64_t in, std::int64_t out, bool bias,
                  double scale = 1.0);
    Norm norm(const std::string& name, std::int64_t width);
    // What projections back into the residual stream are scaled by.
    [[nodiscard]] double output_scale() const;
};

}  // namespace ascertain::training
