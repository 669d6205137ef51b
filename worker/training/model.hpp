// A trainable model built from the same description that prices the simulator.
//
//     Model model(architecture, {.arithmetic = {at::kBFloat16}, .device = at::kCPU, .seed = 1});
//     PassResult pass = model.pass(batch, {});
//     backward(pass.loss);
//
// Weights carry their published names, are fp32 and are made on the CPU: same seed, same bits on
// every device.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "model/architecture.hpp"
#include "worker/training/attention.hpp"
#include "worker/training/experts.hpp"
#include "worker/training/layers.hpp"
#include "worker/training/parameters.hpp"

namespace ascertain::training {

// Token numbers, int64 [batch, seq]. Targets are what follows each token; kNoTarget is not learnt.
struct Batch {
    at::Tensor tokens;
    at::Tensor targets;

    [[nodiscard]] Batch to(at::Device device) const {
        return {tokens.to(device), targets.to(device)};
    }
};
inline constexpr std::int64_t kNoTarget = -100;

struct ModelOptions {
    Arithmetic arithmetic = {};
    at::Device device = at::kCPU;
    std::uint64_t seed = 0;
    bool drawn = true;  // false: weights are made but not set; the caller sets every one
};

// What a model says of given text, [batch, seq - 1] each: of every token but the first.
struct TextScores {
    at::Tensor log_probabilities;  // of the token that stands there, fp32, in nats
    at::Tensor likeliest;          // the token the model would have put there, int64
};

struct PassOptions {
    // Expert choices of another pass to use instead of the router's, one per MoE layer.
    const std::vector<at::Tensor>* replayed_choices = nullptr;
    bool recompute = false;              // keep layer inputs only (activation checkpointing)
    std::int64_t loss_chunk_tokens = 0;  // logits of so many tokens at a time; 0: all at once
    double mtp_weight = 0.3;  // of the multi-token-prediction loss, arXiv 2412.19437 §4.2
    bool dropout = false;     // apply the model's dropout
    // Of a model that several ranks share; the tokens are then this rank's, which stand at
    // `position` of sequences of `context_length` tokens.
    const Exchanges* exchanges = nullptr;
    std::int64_t position = 0;
    std::int64_t context_length = 0;  // 0: as many as there are tokens
    // Told the output of every module as the pass goes on: "embedding", "layers.0.attention",
    // "layers.0.mlp" or "layers.0.experts", ... Not called where layers are recomputed.
    std::function<void(const std::string& module, const at::Tensor& output)> observe = {};
};

struct PassResult {
    at::Tensor loss;             // what is minimised: next token + weighted MTP + balance
    at::Tensor next_token_loss;  // mean cross-entropy in nats, the loss that is reported
    RoutingRecord routing;
};

class Model {
public:
    // `architecture` passes model::validate. Cost: one draw per weight, memory for fp32 weights.
    Model(const model::Architecture& architecture, const ModelOptions& options);

    [[nodiscard]] PassResult pass(const Batch& batch, const PassOptions& options) const;
    // A pass in pieces, of a model whose layers are spread over ranks; no routing is recorded, and
    // nothing beyond the next token predicted. Rows are the residual stream, [tokens, hidden].
    [[nodiscard]] at::Tensor embedded(const Batch& batch) const;
    // Layers first .. first + count - 1.
    [[nodiscard]] at::Tensor through_layers(const Batch& batch, const at::Tensor& rows,
                                            std::int64_t first, std::int64_t count) const;
    // Mean cross-entropy of the next token, nats.
    [[nodiscard]] at::Tensor loss_of(const Batch& batch, const at::Tensor& rows) const;
    // tokens [batch, seq] -> [batch, seq, vocab], fp32.
    [[nodiscard]] at::Tensor logits(const at::Tensor& tokens) const;
    // tokens [batch, seq], seq at least 2; the head runs on `chunk_tokens` at a time, so that
    // logits of a large vocabulary need little memory. No gradient.
    [[nodiscard]] TextScores score(const at::Tensor& tokens, std::int64_t chunk_tokens) const;
    // The next tokens of every sequence, [batch, seq], after those that `cache` holds (seq is 1
    // unless it is empty) -> logits after the last of them, [batch, vocab], fp32. No gradient.
    [[nodiscard]] at::Tensor decode(const at::Tensor& tokens, KvCache& cache) const;

    // Moves every router bias against the load: bias += rate * sign(mean load - load), arXiv
    // 2408.15664. `loads` as in PassResult. Does nothing where the model has no such bias.
    void balance_router(const std::vector<at::Tensor>& loads, double rate);

    [[nodiscard]] const model::Architecture& architecture() const { return architecture_; }
    [[nodiscard]] const Arithmetic& arithmetic() const { return options_.arithmetic; }
    [[nodiscard]] at::Device device() const { return options_.device; }
    [[nodiscard]] Parameters& parameters() { return parameters_; }
    [[nodiscard]] const Parameters& parameters() const { return parameters_; }

private:
    struct Layer {
        std::string name;                            // "layers.0"
        Norm attention_norm, attention_output_norm;  // output norms: undefined unless sandwiched
        Attention attention;
        Norm mlp_norm, mlp_output_norm;
        Mlp mlp;
        std::optional<Experts> experts;
    };
    struct MtpModule {
        Norm embedding_norm, hidden_norm, final_norm;
        Linear projection;  // [hidden, 2 hidden]
        Layer layer;
    };

    Layer make_layer(Builder& builder, std::int64_t number, model::LayerKind kind);
    MtpModule make_mtp(Builder& builder, std::int64_t number);
    // `length`: tokens that the tables must reach.
    [[nodiscard]] Pass start(const at::Tensor& tokens, std::int64_t length,
                             const PassOptions& options) const;
    [[nodiscard]] at::Tensor embed(const Pass& pass, const at::Tensor& tokens) const;
    // The residual stream after the layer; a balance loss, where there is one, is its second item.
    [[nodiscard]] std::vector<at::Tensor> run(const Layer& layer, const Pass& pass,
                                              const at::Tensor& x) const;
    [[nodiscard]] at::Tensor run_all(const std::vector<Layer>& layers, const Pass& pass,
                                     bool recompute, at::Tensor x,
                                     std::vector<at::Tensor>& balance_losses) const;
    [[nodiscard]] at::Tensor head_logits(const Norm& norm, const at::Tensor& x) const;
    [[nodiscard]] at::Tensor head_loss(const Norm& norm, const at::Tensor& x,
                                       const at::Tensor& targets, std::int64_t chunk_tokens) const;
    [[nodiscard]] at::Tensor mtp_loss(const Pass& pass, const PassOptions& options, at::Tensor x,
                                      const at::Tensor& targets,
                                      std::vector<at::Tensor>& balance_losses) const;

    model::Architecture architecture_;
    ModelOptions options_;
    Parameters parameters_;
    at::Tensor embedding_;  // [vocab, hidden]
    at::Tensor positions_;  // [length_max, hidden], learned positions only
    std::vector<Layer> layers_;
    std::vector<MtpModule> mtp_;
    std::size_t moe_layers_ = 0;
    Norm final_norm_;
    Linear head_;
    // Tables of the last sequence length asked for; one thread runs a model.
    mutable RopeTable rope_;
    mutable at::Tensor mask_;
    mutable std::int64_t tables_length_ = 0;
};

// Accumulates the gradient of a scalar into the parameters.
void backward(const at::Tensor& loss);

}  // namespace ascertain::training
