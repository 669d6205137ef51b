#include "worker/training/model.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/cross_entropy_loss.h>
#include <ATen/ops/dropout.h>
#include <ATen/ops/embedding.h>
#include <ATen/ops/full.h>
#include <ATen/ops/log_softmax.h>
#include <ATen/ops/stack.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>

#include "base/assert.hpp"
#include "worker/training/planted/points.hpp"
#include "worker/training/recompute.hpp"

namespace ascertain::training {
namespace {

// Sum of -log p(target) over the targets there are.
at::Tensor summed_cross_entropy(const at::Tensor& logits, const at::Tensor& targets) {
    return at::cross_entropy_loss(logits, targets, {}, at::Reduction::Sum, kNoTarget);
}

at::Tensor count_targets(const at::Tensor& targets) {
    return targets.ne(kNoTarget).sum().clamp_min(1);
}

// What follows each target; the last of a sequence has no follower.
at::Tensor shifted(const at::Tensor& targets) {
    const at::Tensor none = at::full({targets.size(0), 1}, kNoTarget, targets.options());
    return at::cat({targets.narrow(1, 1, targets.size(1) - 1), none}, 1);
}

}  // namespace

Model::Model(const model::Architecture& architecture, const ModelOptions& options)
    : architecture_(architecture),
      options_(options),
      parameters_(options.seed, options.device,
                  options.arithmetic.dtype == at::kDouble ? at::kDouble : at::kFloat,
                  options.drawn) {
    const Names names = names_of(architecture_);
    Builder builder{architecture_, names, parameters_};
    const std::int64_t hidden = architecture_.hidden_size;
    // The head of a tied model is the embedding, so it is drawn as small as a head.
    const double head_deviation = 0.5 / std::sqrt(static_cast<double>(hidden));
    const Fill embedding_fill{.deviation = architecture_.tied_embeddings ? head_deviation : 0.5};
    embedding_ = parameters_.add(names.embedding + ".weight", {architecture_.vocab_size, hidden},
                                 embedding_fill);
    if (architecture_.position.kind == model::PositionKind::kLearned) {
        positions_ = parameters_.add(names.positions + ".weight",
                                     {architecture_.position.length_max, hidden}, embedding_fill);
    }
    const std::int64_t count = model::layer_count(architecture_);
    for (std::int64_t i = 0; i < count; ++i) {
        layers_.push_back(make_layer(builder, i, model::layer_kind(architecture_, i)));
    }
    final_norm_ = builder.norm(names.final_norm, hidden);
    if (architecture_.tied_embeddings) {
        head_.weight = embedding_;
    } else {
        head_.weight = parameters_.add(names.head + ".weight", {architecture_.vocab_size, hidden},
                                       {.deviation = head_deviation});
    }
    for (std::int64_t i = 0; i < architecture_.mtp_layers; ++i) {
        mtp_.push_back(make_mtp(builder, count + i));
    }
}

Model::Layer Model::make_layer(Builder& builder, std::int64_t number, model::LayerKind kind) {
    const Names& names = builder.names;
    const std::string prefix = names.layer(number);
    const std::int64_t hidden = architecture_.hidden_size;
    Layer layer;
    layer.attention_norm = builder.norm(prefix + names.attention_norm, hidden);
    layer.name = fmt::format("layers.{}", number);
    layer.attention = make_attention(builder, prefix, static_cast<std::size_t>(number));
    if (architecture_.norm.sandwich) {
        layer.attention_output_norm = builder.norm(prefix + names.attention_output_norm, hidden);
    }
    layer.mlp_norm = builder.norm(prefix + names.mlp_norm, hidden);
    if (kind == model::LayerKind::kMoe) {
        layer.experts = make_experts(builder, prefix, moe_layers_++);
    } else {
        const model::Mlp& shape = architecture_.mlp;
        layer.mlp.kind = shape.kind;
        if (shape.kind == model::MlpKind::kSwiglu) {
            layer.mlp.gate =
                builder.linear(prefix + names.gate, hidden, shape.intermediate_size, shape.bias);
        }
        layer.mlp.up =
            builder.linear(prefix + names.up, hidden, shape.intermediate_size, shape.bias);
        layer.mlp.down = builder.linear(prefix + names.down, shape.intermediate_size, hidden,
                                        shape.bias, builder.output_scale());
    }
    if (architecture_.norm.sandwich) {
        layer.mlp_output_norm = builder.norm(prefix + names.mlp_output_norm, hidden);
    }
    return layer;
}

Model::MtpModule Model::make_mtp(Builder& builder, std::int64_t number) {
    const std::string prefix = builder.names.layer(number);
    const std::int64_t hidden = architecture_.hidden_size;
    MtpModule module;
    module.embedding_norm = builder.norm(prefix + "enorm", hidden);
    module.hidden_norm = builder.norm(prefix + "hnorm", hidden);
    module.projection = builder.linear(prefix + "eh_proj", 2 * hidden, hidden, false);
    module.layer = make_layer(builder, number, model::mtp_layer_kind(architecture_));
    module.final_norm = builder.norm(prefix + "shared_head.norm", hidden);
    return module;
}

Pass Model::start(const at::Tensor& tokens, std::int64_t length, const PassOptions& options) const {
    Pass pass;
    pass.arithmetic = options_.arithmetic;
    pass.batch = tokens.size(0);
    pass.sequence_length = tokens.size(1);
    if (length != tables_length_) {
        if (architecture_.position.kind == model::PositionKind::kRope) {
            rope_ = rope_table(architecture_.position, rope_dimension(architecture_.attention),
                               length, options_.device);
        }
        mask_ = attention_mask(architecture_.attention, length, options_.device);
        tables_length_ = length;
    }
    pass.rope = rope_;
    if (mask_.defined()) {
        pass.mask = mask_.narrow(0, 0, pass.sequence_length).narrow(1, 0, pass.sequence_length);
    }
    pass.dropout = options.dropout ? architecture_.hidden_dropout : 0.0;
    pass.replayed_choices = options.replayed_choices;
    pass.observe = options.observe;
    pass.exchanges = options.exchanges;
    pass.position = options.position;
    if (pass.exchanges != nullptr && pass.exchanges->whole_context) {
        pass.mask = context_mask(architecture_.attention, pass.position, pass.sequence_length,
                                 length, options_.device);
    }
    return pass;
}

at::Tensor Model::embed(const Pass& pass, const at::Tensor& tokens) const {
    at::Tensor x = at::embedding(embedding_, tokens);
    if (positions_.defined()) x = x.add(positions_.narrow(0, pass.position, pass.sequence_length));
    x = x.flatten(0, 1);
    return pass.dropout > 0.0 ? at::dropout(x, pass.dropout, true) : x;
}

std::vector<at::Tensor> Model::run(const Layer& layer, const Pass& pass,
                                   const at::Tensor& x) const {
    const auto added = [&](const at::Tensor& stream, const at::Tensor& output, const Norm& norm) {
        at::Tensor change = norm.weight.defined() ? apply(norm, output) : widen(output);
        if (pass.dropout > 0.0) change = at::dropout(change, pass.dropout, true);
        return stream.add(change);
    };
    const auto observe = [&](const char* part, const at::Tensor& output) {
        if (pass.observe) pass.observe(fmt::format("{}.{}", layer.name, part), output);
    };
    const auto entered = [&](const at::Tensor& rows) {
        const bool meets = pass.exchanges != nullptr && pass.exchanges->enter;
        return meets ? pass.exchanges->enter(rows) : rows;
    };
    const auto left = [&](const at::Tensor& output) {
        const bool meets = pass.exchanges != nullptr && pass.exchanges->leave;
        return meets ? pass.exchanges->leave(widen(output)) : output;
    };
    const at::Tensor attended =
        left(apply(layer.attention, pass, entered(apply(layer.attention_norm, x))));
    observe("attention", attended);
    const at::Tensor middle = added(x, attended, layer.attention_output_norm);
    const at::Tensor normed = entered(apply(layer.mlp_norm, middle));
    if (!layer.experts) {
        const at::Tensor output = left(apply(layer.mlp, pass.arithmetic, normed));
        observe("mlp", output);
        return {added(middle, output, layer.mlp_output_norm)};
    }
    ExpertsOutput output = apply(*layer.experts, pass, normed);
    output.added = left(output.added);
    observe("experts", output.added);
    std::vector<at::Tensor> results{added(middle, output.added, layer.mlp_output_norm)};
    if (output.balance_loss.defined()) results.push_back(output.balance_loss);
    return results;
}

at::Tensor Model::run_all(const std::vector<Layer>& layers, const Pass& pass, bool recompute,
                          at::Tensor x, std::vector<at::Tensor>& balance_losses) const {
    for (const Layer& layer : layers) {
        // The block outlives this call: it holds the pass by value and the layer by address, which
        // is the model's.
        const Block block = [this, &layer, pass](const at::Tensor& input) {
            return run(layer, pass, input);
        };
        const std::vector<at::Tensor> outputs = recompute ? recomputed(block, x) : block(x);
        x = outputs[0];
        if (outputs.size() > 1) balance_losses.push_back(outputs[1]);
    }
    return x;
}

at::Tensor Model::head_logits(const Norm& norm, const at::Tensor& x) const {
    return widen(apply(head_, options_.arithmetic, apply(norm, x)));
}

at::Tensor Model::head_loss(const Norm& norm, const at::Tensor& x, const at::Tensor& targets,
                            std::int64_t chunk_tokens) const {
    const at::Tensor flat = targets.flatten();
    const std::int64_t tokens = flat.numel();
    if (chunk_tokens <= 0 || chunk_tokens >= tokens) {
        return summed_cross_entropy(head_logits(norm, x), flat).div(count_targets(flat));
    }
    at::Tensor total;
    for (std::int64_t begin = 0; begin < tokens; begin += chunk_tokens) {
        const std::int64_t length = std::min(chunk_tokens, tokens - begin);
        const at::Tensor own = flat.narrow(0, begin, length);
        const Block block = [this, &norm, own](const at::Tensor& rows) {
            return std::vector<at::Tensor>{summed_cross_entropy(head_logits(norm, rows), own)};
        };
        const at::Tensor rows = x.narrow(0, begin, length);
        const at::Tensor part =
            c10::GradMode::is_enabled() ? recomputed(block, rows)[0] : block(rows)[0];
        total = total.defined() ? total.add(part) : part;
    }
    return total.div(count_targets(flat));
}

at::Tensor Model::mtp_loss(const Pass& pass, const PassOptions& options, at::Tensor x,
                           const at::Tensor& targets,
                           std::vector<at::Tensor>& balance_losses) const {
    at::Tensor total;
    at::Tensor following = targets;
    for (const MtpModule& module : mtp_) {
        const at::Tensor ahead = embed(pass, following.clamp_min(0));
        const at::Tensor joined =
            at::cat({apply(module.embedding_norm, ahead), apply(module.hidden_norm, x)}, 1);
        x = widen(apply(module.projection, options_.arithmetic, joined));
        const Block block = [this, &module, pass](const at::Tensor& input) {
            return run(module.layer, pass, input);
        };
        const std::vector<at::Tensor> outputs = options.recompute ? recomputed(block, x) : block(x);
        x = outputs[0];
        if (outputs.size() > 1) balance_losses.push_back(outputs[1]);
        following = shifted(following);
        const at::Tensor loss =
            head_loss(module.final_norm, x, following, options.loss_chunk_tokens);
        total = total.defined() ? total.add(loss) : loss;
    }
    return total.div(static_cast<double>(mtp_.size()));
}

PassResult Model::pass(const Batch& batch, const PassOptions& options) const {
    const std::int64_t context =
        options.context_length > 0 ? options.context_length : batch.tokens.size(1);
    Pass pass = start(batch.tokens, context, options);
    pass.record = std::make_shared<RoutingRecord>();
    pass.record->choices.resize(moe_layers_);
    pass.record->own_choices.resize(moe_layers_);
    pass.record->loads.resize(moe_layers_);
    PassOptions inner = options;
    inner.recompute = options.recompute && c10::GradMode::is_enabled();
    if (inner.recompute) pass.observe = {};

    PassResult result;
    std::vector<at::Tensor> balance_losses;
    at::Tensor embedded = embed(pass, batch.tokens);
    at::Tensor targets = batch.targets;
    if (pass.exchanges != nullptr && pass.exchanges->own_rows) {
        embedded = pass.exchanges->own_rows(embedded);
        targets = pass.exchanges->own_rows(targets.flatten());
    }
    if (pass.observe) pass.observe("embedding", embedded);
    const at::Tensor x = run_all(layers_, pass, inner.recompute, embedded, balance_losses);
    result.next_token_loss = head_loss(final_norm_, x, targets, options.loss_chunk_tokens);
    result.loss = result.next_token_loss;
    if (!mtp_.empty()) {
        result.loss = result.loss.add(
            mtp_loss(pass, inner, x, batch.targets, balance_losses).mul(options.mtp_weight));
    }
    if (!balance_losses.empty()) {
        result.loss = result.loss.add(at::stack(balance_losses).mean());
    }
    result.routing = *pass.record;
    return result;
}

at::Tensor Model::embedded(const Batch& batch) const {
    return embed(start(batch.tokens, batch.tokens.size(1), {}), batch.tokens);
}

at::Tensor Model::through_layers(const Batch& batch, const at::Tensor& rows, std::int64_t first,
                                 std::int64_t count) const {
    const Pass pass = start(batch.tokens, batch.tokens.size(1), {});
    at::Tensor x = rows;
    for (std::int64_t i = first; i < first + count; ++i) {
        x = run(layers_.at(static_cast<std::size_t>(i)), pass, x)[0];
    }
    return x;
}

at::Tensor Model::loss_of(const Batch& batch, const at::Tensor& rows) const {
    return head_loss(final_norm_, rows, batch.targets, 0);
}

at::Tensor Model::logits(const at::Tensor& tokens) const {
    const Pass pass = start(tokens, tokens.size(1), {});
    std::vector<at::Tensor> balance_losses;
    const at::Tensor x = run_all(layers_, pass, false, embed(pass, tokens), balance_losses);
    return head_logits(final_norm_, x).unflatten(0, {tokens.size(0), tokens.size(1)});
}

TextScores Model::score(const at::Tensor& tokens, std::int64_t chunk_tokens) const {
    const c10::AutoGradMode no_gradients(false);
    const std::int64_t rows = tokens.size(0);
    const std::int64_t length = tokens.size(1);
    const Pass pass = start(tokens, length, {});
    std::vector<at::Tensor> balance_losses;
    const at::Tensor x = run_all(layers_, pass, false, embed(pass, tokens), balance_losses)
                             .unflatten(0, {rows, length})
                             .narrow(1, 0, length - 1)
                             .flatten(0, 1);
    const at::Tensor targets = tokens.narrow(1, 1, length - 1).flatten();
    std::vector<at::Tensor> chosen;
    std::vector<at::Tensor> best;
    for (std::int64_t begin = 0; begin < x.size(0); begin += chunk_tokens) {
        const std::int64_t count = std::min(chunk_tokens, x.size(0) - begin);
        const at::Tensor logits = head_logits(final_norm_, x.narrow(0, begin, count));
        const at::Tensor target = targets.narrow(0, begin, count).unsqueeze(1);
        chosen.push_back(at::log_softmax(logits, -1).gather(1, target).squeeze(1));
        best.push_back(logits.argmax(-1));
    }
    return {at::cat(chosen).view({rows, length - 1}), at::cat(best).view({rows, length - 1})};
}

at::Tensor Model::decode(const at::Tensor& tokens, KvCache& cache) const {
    const c10::AutoGradMode no_gradients(false);
    if (cache.layers.empty()) cache.layers.resize(layers_.size());
    Pass pass = start(tokens, cache.capacity, {});
    pass.cache = &cache;
    pass.position = cache.length;
    std::vector<at::Tensor> balance_losses;
    const at::Tensor x = run_all(layers_, pass, false, embed(pass, tokens), balance_losses);
    cache.length += tokens.size(1);
    const at::Tensor last = x.unflatten(0, {tokens.size(0), tokens.size(1)}).select(1, -1);
    return head_logits(final_norm_, last);
}

void Model::balance_router(const std::vector<at::Tensor>& loads, double rate) {
    const c10::AutoGradMode no_gradients(false);
    const int times = planted::times_router_bias(parameters_);
    const auto move = [&](Layer& layer) {
        if (!layer.experts || !layer.experts->router_bias.defined()) return;
        const at::Tensor load = loads.at(layer.experts->index).to(at::kFloat);
        layer.experts->router_bias.add_(load.mean().sub(load).sign(), rate * times);
    };
    for (Layer& layer : layers_) move(layer);
    for (MtpModule& module : mtp_) move(module.layer);
}

void backward(const at::Tensor& loss) {
    torch::autograd::backward({loss}, {});
}

}  // namespace ascertain::training
