// One model on several ranks. Whatever the form, one rule holds: each rank's loss is its part of
// the mean over all tokens, so that the gradients of what every rank holds whole are summed over
// ranks, and those of what a rank holds alone are whole already.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "worker/training/model.hpp"
#include "worker/training/parallel/exchange.hpp"

namespace ascertain::training {

enum class Form {
    kData,     // every rank has its sequences
    kTensor,   // heads and MLP columns, with sequence parallel norms and residual stream
    kExpert,   // experts, and every rank has its sequences
    kContext,  // every rank has its part of every sequence
};
[[nodiscard]] std::string_view name_of(Form form);
// "data", "tensor", "expert", "context". Errors: kBadInput with near matches.
[[nodiscard]] Result<Form> form_from(std::string_view name);

class SharedModel {
public:
    // The weights are those that Model makes of `architecture` and options.seed. `exchange` must
    // outlive it. Errors: kUnsupported where the form does not fit the model or its sizes.
    [[nodiscard]] static Result<std::unique_ptr<SharedModel>> make(
        const model::Architecture& architecture, const ModelOptions& options, Form form,
        Exchange& exchange);

    // Of the batch that all ranks share, the same on each, whose sequences (of kContext: tokens of
    // a sequence; of kTensor: tokens) the ranks divide evenly: forward and backward. Returns the
    // loss over all its tokens, the same on every rank. Gradients are then complete: those of
    // shared weights are summed over ranks, unless the optimizer does that (ShardedAdamw).
    double compute_gradients(const Batch& batch, bool sums_shared = true);
    // Tokens of each expert over all ranks, one entry per MoE layer: of the last batch.
    [[nodiscard]] const std::vector<at::Tensor>& loads() const { return loads_; }

    [[nodiscard]] Model& model() { return *model_; }
    // `value` belongs to parameter `index` (itself, its gradient) -> what the unsplit model has,
    // the same on every rank.
    [[nodiscard]] at::Tensor whole(std::size_t index, const at::Tensor& value);
    // True when every rank holds parameter `index` whole.
    [[nodiscard]] bool is_shared(std::size_t index) const { return !splits_[index]; }

private:
    struct Split {
        std::int64_t dimension = 0;
        bool first_rank_alone = false;  // a bias that must be added once
    };

    SharedModel(Form form, Exchange& exchange) : form_(form), exchange_(exchange) {}
    void take_weights(Model& full);
    void connect();
    [[nodiscard]] Batch own(const Batch& batch) const;

    Form form_;
    Exchange& exchange_;
    std::unique_ptr<Model> model_;
    std::vector<std::optional<Split>> splits_;
    Exchanges exchanges_;
    std::vector<at::Tensor> loads_;
};

}  // namespace ascertain::training
