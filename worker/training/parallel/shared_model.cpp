#include "worker/training/parallel/shared_model.hpp"

#include <ATen/ops/full.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>

#include <array>

#include "base/assert.hpp"
#include "base/text.hpp"
#include "model/shard.hpp"

namespace ascertain::training {
namespace {

constexpr std::array<std::pair<Form, std::string_view>, 4> kForms{{{Form::kData, "data"},
                                                                   {Form::kTensor, "tensor"},
                                                                   {Form::kExpert, "expert"},
                                                                   {Form::kContext, "context"}}};

// What a rank builds. The vocabulary stays whole: the trial's is tiny.
Result<model::Architecture> own_architecture(const model::Architecture& whole, Form form,
                                             std::int64_t ranks) {
    model::Shard shard;
    if (form == Form::kTensor) shard.tp = ranks;
    if (form == Form::kExpert) shard.ep = ranks;
    auto own = model::shard_architecture(whole, shard);
    if (!own) return Error{ErrorCode::kUnsupported, own.error().message, own.error().where};
    own->vocab_size = whole.vocab_size;
    return own;
}

std::string unfit(const model::Architecture& architecture, Form form, std::int64_t ranks) {
    const bool has_experts = architecture.moe.experts > 0;
    if (form == Form::kTensor && has_experts) return "experts are not split by columns here";
    if (form == Form::kTensor && names_of(architecture).qkv != "") {
        return "a joint matrix of queries, keys and values is not split here";
    }
    if (form == Form::kTensor && architecture.attention.kv_heads % ranks != 0) {
        return "there are fewer key-value heads than ranks";
    }
    if (form == Form::kExpert && !has_experts) return "the model has no experts";
    const bool splits_tokens = form == Form::kContext || form == Form::kTensor;
    if (splits_tokens && architecture.mtp_layers > 0) {
        return "multi-token prediction looks beyond the rank's part of the tokens";
    }
    if (architecture.moe.auxiliary_loss_coefficient > 0.0) {
        return "an auxiliary balance loss is no mean over tokens";
    }
    return {};
}

// Rows of every rank -> those sent to and received from each, where a token's experts live.
at::Tensor run_far_experts(Exchange& exchange, const Experts& experts, const Arithmetic& arithmetic,
                           const at::Tensor& rows, const Choice& choice) {
    const std::int64_t ranks = exchange.ranks();
    const std::int64_t local = experts.up.size(0);
    const std::int64_t topk = choice.experts.size(1);
    const std::int64_t sent = choice.experts.numel();
    const at::Tensor flat = choice.experts.flatten();
    const at::Tensor owner = flat.floor_divide(local);
    // Every rank has room for all rows that another one could send: place = owner * sent + row.
    const at::Tensor place = owner.mul(sent).add(at::ones({sent}, flat.options()).cumsum(0).sub(1));
    const at::Tensor expert =
        at::full({ranks * sent}, -1, flat.options()).scatter(0, place, flat.remainder(local));
    const at::Tensor far_expert = exchange.all_to_all(expert);
    const at::Tensor token = at::ones({sent}, flat.options()).cumsum(0).sub(1).floor_divide(topk);
    const at::Tensor packed =
        at::zeros({ranks * sent, rows.size(1)}, rows.options().dtype(at::kFloat))
            .index_copy(0, place, widen(rows.index_select(0, token)));
    const at::Tensor arrived = traded(exchange, packed);
    const at::Tensor used = far_expert.ge(0).nonzero().flatten();
    Experts one_each = experts;
    one_each.shape.topk = 1;
    Choice near;
    near.experts = far_expert.index_select(0, used).unsqueeze(1);
    near.weights = at::ones({used.size(0), 1}, arrived.options());
    const at::Tensor made = run_experts(one_each, arithmetic,
                                        round_to(arithmetic, arrived.index_select(0, used)), near);
    const at::Tensor unpacked = at::zeros_like(arrived).index_copy(0, used, made);
    const at::Tensor home = traded(exchange, unpacked).index_select(0, place);
    return home.unflatten(0, {-1, topk}).mul(choice.weights.unsqueeze(2)).sum(1);
}

}  // namespace

std::string_view name_of(Form form) {
    for (const auto& [known, name] : kForms) {
        if (known == form) return name;
    }
    return {};
}

Result<Form> form_from(std::string_view name) {
    std::vector<std::string> names;
    for (const auto& [form, known] : kForms) {
        if (known == name) return form;
        names.emplace_back(known);
    }
    return Error{ErrorCode::kBadInput,
                 fmt::format("no form of parallelism is called \"{}\"{}", shortened(name, 40),
                             did_you_mean(name, names)),
                 "params: form"};
}

Result<std::unique_ptr<SharedModel>> SharedModel::make(const model::Architecture& architecture,
                                                       const ModelOptions& options, Form form,
                                                       Exchange& exchange) {
    const std::string why = unfit(architecture, form, exchange.ranks());
    if (!why.empty()) {
        return Error{ErrorCode::kUnsupported, why, fmt::format("{} parallel", name_of(form))};
    }
    const auto own = own_architecture(architecture, form, exchange.ranks());
    if (!own) return own.error();
    std::unique_ptr<SharedModel> shared(new SharedModel(form, exchange));
    Model full(architecture, options);
    ModelOptions undrawn = options;
    undrawn.drawn = false;
    shared->model_ = std::make_unique<Model>(*own, undrawn);
    shared->take_weights(full);
    shared->connect();
    return shared;
}

// A parameter that is narrower here than there is this rank's slice of it.
void SharedModel::take_weights(Model& full) {
    const c10::AutoGradMode no_gradients(false);
    const auto& there = full.parameters().all();
    const auto& here = model_->parameters().all();
    ASCERTAIN_ASSERT(there.size() == here.size());
    for (std::size_t i = 0; i < here.size(); ++i) {
        at::Tensor value = there[i].value;
        std::optional<Split> split;
        for (std::int64_t d = 0; d < value.dim(); ++d) {
            const std::int64_t size = here[i].value.size(d);
            if (size == value.size(d)) continue;
            split = Split{.dimension = d};
            value = value.narrow(d, exchange_.rank() * size, size);
        }
        here[i].value.copy_(value);
        splits_.push_back(split);
    }
    if (form_ != Form::kTensor) return;
    // The output of a matrix that is split by its inputs is summed over ranks, and its bias with
    // it.
    const Names names = names_of(model_->architecture());
    for (std::size_t i = 0; i < here.size(); ++i) {
        const bool summed = here[i].name.ends_with(names.o + ".bias") ||
                            here[i].name.ends_with(names.down + ".bias");
        if (!summed) continue;
        splits_[i] = Split{.dimension = 0, .first_rank_alone = true};
        if (exchange_.rank() != 0) here[i].value.zero_();
    }
}

void SharedModel::connect() {
    Exchange& exchange = exchange_;
    if (form_ == Form::kTensor) {
        exchanges_.own_rows = [&exchange](const at::Tensor& rows) {
            const std::int64_t own = rows.size(0) / exchange.ranks();
            return rows.narrow(0, exchange.rank() * own, own);
        };
        exchanges_.enter = [&exchange](const at::Tensor& rows) { return gathered(exchange, rows); };
        exchanges_.leave = [&exchange](const at::Tensor& rows) {
            return scattered(exchange, rows);
        };
    }
    if (form_ == Form::kExpert) {
        exchanges_.run_experts = [&exchange](const Experts& experts, const Arithmetic& arithmetic,
                                             const at::Tensor& rows, const Choice& choice) {
            return run_far_experts(exchange, experts, arithmetic, rows, choice);
        };
    }
    if (form_ == Form::kContext) {
        // [batch, heads, own seq, d]: tokens first, so that pieces are along the first dimension.
        exchanges_.whole_context = [&exchange](const at::Tensor& part) {
            return gathered(exchange, widen(part).permute({2, 0, 1, 3}))
                .permute({1, 2, 0, 3})
                .to(part.scalar_type());
        };
    }
}

Batch SharedModel::own(const Batch& batch) const {
    const std::int64_t dimension = form_ == Form::kContext ? 1 : 0;
    if (form_ == Form::kTensor) return batch;
    const std::int64_t size = batch.tokens.size(dimension) / exchange_.ranks();
    ASCERTAIN_ASSERT(size * exchange_.ranks() == batch.tokens.size(dimension));
    const auto part = [&](const at::Tensor& whole) {
        return whole.narrow(dimension, exchange_.rank() * size, size).contiguous();
    };
    return {part(batch.tokens), part(batch.targets)};
}

double SharedModel::compute_gradients(const Batch& batch, bool sums_shared) {
    model_->parameters().clear_gradients();
    const Batch part = own(batch);
    PassOptions options;
    options.mtp_weight = 0.3;
    options.exchanges = &exchanges_;
    if (form_ == Form::kContext) {
        options.position = exchange_.rank() * part.tokens.size(1);
        options.context_length = batch.tokens.size(1);
    }
    const PassResult pass = model_->pass(part, options);
    // Each rank's loss is the mean over equally many tokens.
    const double share = 1.0 / static_cast<double>(exchange_.ranks());
    backward(pass.loss.mul(share));
    const c10::AutoGradMode no_gradients(false);
    const auto& all = model_->parameters().all();
    for (std::size_t i = 0; i < all.size(); ++i) {
        if (!all[i].trained) continue;
        at::Tensor& gradient = all[i].value.mutable_grad();
        if (!gradient.defined()) gradient = at::zeros_like(all[i].value);
        const bool foreign = splits_[i] && splits_[i]->first_rank_alone && exchange_.rank() != 0;
        if (foreign) gradient.zero_();
        if (sums_shared && is_shared(i))
            gradient.copy_(exchange_.all_reduce(gradient.contiguous()));
    }
    loads_.clear();
    for (const at::Tensor& load : pass.routing.loads) {
        loads_.push_back(exchange_.all_reduce(load.contiguous()));
    }
    const at::Tensor mine = pass.next_token_loss.detach().to(at::kFloat).mul(share).reshape({1});
    return exchange_.all_reduce(mine).to(at::kCPU).item<double>();
}

at::Tensor SharedModel::whole(std::size_t index, const at::Tensor& value) {
    const c10::AutoGradMode no_gradients(false);
    if (!splits_[index]) return value;
    if (splits_[index]->first_rank_alone) return exchange_.all_reduce(value.contiguous());
    const std::int64_t dimension = splits_[index]->dimension;
    const at::Tensor first = value.transpose(0, dimension).contiguous();
    return exchange_.all_gather(first).transpose(0, dimension).contiguous();
}

}  // namespace ascertain::training
