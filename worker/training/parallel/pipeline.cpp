#include "worker/training/parallel/pipeline.hpp"

#include <ATen/ops/zeros.h>
#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/assert.hpp"

namespace ascertain::training {
namespace {

using Key = std::pair<std::int64_t, std::int64_t>;  // stage, micro-batch

// Which work is done, as every rank knows without being told.
class Board {
public:
    Board(std::int64_t ranks, std::int64_t stages, std::int64_t micro_batches)
        : ranks_(ranks), stages_(stages), micro_batches_(micro_batches) {}

    [[nodiscard]] bool done() const { return std::ssize(backward_) == stages_ * micro_batches_; }
    [[nodiscard]] std::optional<PipelineWork> next(std::int64_t rank) const {
        for (std::int64_t micro = 0; micro < micro_batches_; ++micro) {
            for (std::int64_t stage = last_of(rank); stage >= 0; stage -= ranks_) {
                if (may_go_back(stage, micro)) return PipelineWork{false, stage, micro};
            }
        }
        for (std::int64_t micro = 0; micro < micro_batches_; ++micro) {
            for (std::int64_t stage = rank; stage < stages_; stage += ranks_) {
                if (may_go_forward(stage, micro)) return PipelineWork{true, stage, micro};
            }
        }
        return std::nullopt;
    }
    void add(const PipelineWork& work) {
        (work.forward ? forward_ : backward_).insert({work.stage, work.micro_batch});
    }

private:
    [[nodiscard]] std::int64_t last_of(std::int64_t rank) const {
        return rank + (stages_ / ranks_ - 1) * ranks_;
    }
    [[nodiscard]] bool may_go_back(std::int64_t stage, std::int64_t micro) const {
        if (!forward_.contains({stage, micro}) || backward_.contains({stage, micro})) return false;
        return stage + 1 == stages_ || backward_.contains({stage + 1, micro});
    }
    [[nodiscard]] bool may_go_forward(std::int64_t stage, std::int64_t micro) const {
        if (forward_.contains({stage, micro})) return false;
        if (stage > 0 && !forward_.contains({stage - 1, micro})) return false;
        std::int64_t held = 0;
        for (std::int64_t other = 0; other < micro_batches_; ++other) {
            const Key key{stage, other};
            held += forward_.contains(key) && !backward_.contains(key) ? 1 : 0;
        }
        return held < stages_ - stage;
    }

    std::int64_t ranks_;
    std::int64_t stages_;
    std::int64_t micro_batches_;
    std::set<Key> forward_;
    std::set<Key> backward_;
};

// One rank's part of the work.
class Pipeline {
public:
    Pipeline(Model& model, const Batch& batch, std::int64_t stages, std::int64_t micro_batches,
             Exchange& exchange)
        : model_(model),
          exchange_(exchange),
          stages_(stages),
          micro_batches_(micro_batches),
          layers_(model::layer_count(model.architecture())) {
        const std::int64_t rows = batch.tokens.size(0) / micro_batches;
        for (std::int64_t i = 0; i < micro_batches; ++i) {
            batches_.push_back({batch.tokens.narrow(0, i * rows, rows).contiguous(),
                                batch.targets.narrow(0, i * rows, rows).contiguous()});
        }
        const at::Tensor& weight = model.parameters().all().front().value;
        piece_ = {rows * batch.tokens.size(1), model.architecture().hidden_size};
        nothing_ = at::zeros({exchange.ranks() * piece_[0], piece_[1]},
                             weight.options().requires_grad(false));
    }

    void run() {
        const auto schedule = pipeline_schedule(exchange_.ranks(), stages_, micro_batches_);
        for (const auto& tick : schedule) {
            at::Tensor sent = nothing_.clone();
            const auto& own = tick[static_cast<std::size_t>(exchange_.rank())];
            if (own) work(*own, sent);
            // All ranks meet in every tick; each knows from the schedule what comes from whom.
            const at::Tensor received = exchange_.all_to_all(sent);
            for (std::int64_t from = 0; from < exchange_.ranks(); ++from) {
                const auto& theirs = tick[static_cast<std::size_t>(from)];
                if (theirs) receive(*theirs, received.narrow(0, from * piece_[0], piece_[0]));
            }
        }
    }
    [[nodiscard]] double loss() const { return loss_; }

private:
    [[nodiscard]] std::int64_t rank_of(std::int64_t stage) const {
        return stage % exchange_.ranks();
    }
    // Earlier stages take the layers that do not divide evenly.
    [[nodiscard]] std::int64_t first_layer(std::int64_t stage) const {
        return stage * (layers_ / stages_) + std::min(stage, layers_ % stages_);
    }

    void send(at::Tensor& sent, std::int64_t stage, const at::Tensor& rows) const {
        sent.narrow(0, rank_of(stage) * piece_[0], piece_[0]).copy_(rows);
    }

    void work(const PipelineWork& work, at::Tensor& sent) {
        const Key key{work.stage, work.micro_batch};
        const Batch& batch = batches_[static_cast<std::size_t>(work.micro_batch)];
        const bool last = work.stage + 1 == stages_;
        if (work.forward) {
            const bool first = work.stage == 0;
            const at::Tensor input =
                first ? model_.embedded(batch) : arrived_.at(key).detach().requires_grad_(true);
            const std::int64_t begin = first_layer(work.stage);
            at::Tensor output =
                model_.through_layers(batch, input, begin, first_layer(work.stage + 1) - begin);
            if (last) {
                output = model_.loss_of(batch, output).div(static_cast<double>(micro_batches_));
                loss_ += output.detach().to(at::kCPU).item<double>();
            } else {
                const c10::AutoGradMode no_gradients(false);
                send(sent, work.stage + 1, output);
            }
            inputs_[key] = input;
            outputs_[key] = output;
            return;
        }
        const at::Tensor gradient = last ? at::Tensor() : returned_.at(key);
        torch::autograd::backward({outputs_.at(key)}, {gradient});
        if (work.stage > 0) send(sent, work.stage - 1, inputs_.at(key).grad());
        outputs_.erase(key);
        inputs_.erase(key);
    }

    void receive(const PipelineWork& work, const at::Tensor& rows) {
        const std::int64_t to = work.forward ? work.stage + 1 : work.stage - 1;
        if (to < 0 || to >= stages_ || rank_of(to) != exchange_.rank()) return;
        (work.forward ? arrived_ : returned_)[{to, work.micro_batch}] = rows.clone();
    }

    Model& model_;
    Exchange& exchange_;
    std::int64_t stages_;
    std::int64_t micro_batches_;
    std::int64_t layers_;
    std::vector<Batch> batches_;
    std::vector<std::int64_t> piece_;  // rows, width of what is sent
    at::Tensor nothing_;
    std::map<Key, at::Tensor> arrived_, returned_, inputs_, outputs_;
    double loss_ = 0.0;
};

}  // namespace

PipelineSchedule pipeline_schedule(std::int64_t ranks, std::int64_t stages,
                                   std::int64_t micro_batches) {
    ASCERTAIN_ASSERT(ranks >= 1 && stages >= ranks && stages % ranks == 0 && micro_batches >= 1);
    Board board(ranks, stages, micro_batches);
    PipelineSchedule schedule;
    while (!board.done()) {
        std::vector<std::optional<PipelineWork>> tick;
        for (std::int64_t rank = 0; rank < ranks; ++rank) tick.push_back(board.next(rank));
        for (const auto& work : tick) {
            if (work) board.add(*work);
        }
        schedule.push_back(std::move(tick));
    }
    return schedule;
}

Result<double> pipelined_gradients(Model& model, const Batch& batch, std::int64_t stages,
                                   std::int64_t micro_batches, Exchange& exchange) {
    const auto unfit = [](std::string why) {
        return Error{ErrorCode::kUnsupported, std::move(why), "pipeline parallel"};
    };
    const std::int64_t layers = model::layer_count(model.architecture());
    if (layers < stages)
        return unfit(fmt::format("{} layers are fewer than {} stages", layers, stages));
    if (model.architecture().mtp_layers > 0) {
        return unfit("heads for tokens further ahead are not spread here");
    }
    if (batch.tokens.size(0) % micro_batches != 0) {
        return unfit(fmt::format("{} sequences cannot be divided among {} micro-batches",
                                 batch.tokens.size(0), micro_batches));
    }
    model.parameters().clear_gradients();
    Pipeline pipeline(model, batch, stages, micro_batches, exchange);
    pipeline.run();
    const c10::AutoGradMode no_gradients(false);
    // A weight is used by one rank alone, but for an embedding that is the head too: the sum over
    // ranks is its whole gradient.
    for (const Parameter& parameter : model.parameters().all()) {
        if (!parameter.trained) continue;
        at::Tensor& gradient = parameter.value.mutable_grad();
        if (!gradient.defined()) gradient = at::zeros_like(parameter.value);
        gradient.copy_(exchange.all_reduce(gradient.contiguous()));
    }
    const at::Tensor own =
        at::zeros({1}, at::TensorOptions().dtype(at::kFloat)).fill_(pipeline.loss());
    return exchange.all_reduce(own).item<double>();
}

}  // namespace ascertain::training
