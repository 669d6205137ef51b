#include <ATen/ops/zeros_like.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <mutex>
#include <tuple>

#include "worker/training/parallel/pipeline.hpp"
#include "worker/training/parallel/sharded_optimizer.hpp"
#include "worker/training/parallel/shared_model.hpp"
#include "worker/training/parallel/testing.hpp"
#include "worker/training/task.hpp"
#include "worker/training/test_architectures.hpp"
#include "worker/training/trainer.hpp"

namespace ascertain::training {
namespace {

using testing::on_ranks;

// The limit of the forced comparison for healthy fp32 in another order of summation.
constexpr double kTensorLimit = 3e-5;

model::Architecture latent_architecture() {
    model::Architecture made = deepseek_architecture();
    made.layers = {{model::LayerKind::kDense, 3}};
    made.moe = {};
    return made;
}

Batch batch_of(std::int64_t index) {
    return pretraining_batch(5, Split::kTraining, index, 12, 32);
}

double relative_error(const at::Tensor& got, const at::Tensor& expected) {
    const double scale = expected.abs().max().item<double>();
    return got.sub(expected).abs().max().item<double>() / std::max(scale, 1e-30);
}

struct Difference {
    double loss = 0.0;
    double tensor = 0.0;
    std::string worst;
};

// One rank's answer against the model that is on one rank.
Difference difference(const model::Architecture& architecture, Form form, std::int64_t ranks,
                      std::int64_t lost = -1) {
    const Batch batch = batch_of(0);
    Model serial(architecture, {.seed = 5});
    const PassResult pass = compute_gradients(serial, batch, {});
    const double loss = pass.next_token_loss.item<double>();
    Difference worst;
    std::mutex mutex;
    on_ranks(
        ranks,
        [&](Exchange& exchange) {
            auto shared = SharedModel::make(architecture, {.seed = 5}, form, exchange);
            ASSERT_TRUE(shared.ok()) << shared.error().text();
            const double own = (*shared)->compute_gradients(batch);
            const auto& here = (*shared)->model().parameters().all();
            for (std::size_t i = 0; i < here.size(); ++i) {
                if (!here[i].trained) continue;
                const at::Tensor whole = (*shared)->whole(i, here[i].value.grad());
                const at::Tensor expected = serial.parameters().all()[i].value.grad();
                const std::scoped_lock lock(mutex);
                EXPECT_EQ(whole.sizes(), expected.sizes()) << here[i].name;
                const double error = relative_error(whole, expected);
                if (error > worst.tensor) {
                    worst.tensor = error;
                    worst.worst = here[i].name;
                }
                worst.loss = std::max(worst.loss, std::abs(own / loss - 1.0));
            }
        },
        lost);
    return worst;
}

TEST(SharedModel, InEveryFormEqualsTheModelOnOneRank) {
    const auto dense = dense_architecture();
    const auto experts = deepseek_architecture();
    const auto check = [](const model::Architecture& architecture, Form form, std::int64_t ranks) {
        const Difference found = difference(architecture, form, ranks);
        EXPECT_LT(found.loss, 1e-6) << name_of(form) << " " << ranks;
        EXPECT_LT(found.tensor, kTensorLimit)
            << name_of(form) << " " << ranks << " " << found.worst;
        EXPECT_GT(found.tensor, 0.0) << "nothing was compared";
    };
    check(dense, Form::kData, 2);
    check(dense, Form::kData, 4);
    check(experts, Form::kData, 2);
    check(dense, Form::kTensor, 2);
    check(latent_architecture(), Form::kTensor, 2);
    check(latent_architecture(), Form::kTensor, 4);
    check(experts, Form::kExpert, 2);
    check(experts, Form::kExpert, 4);
    check(dense, Form::kContext, 2);
    check(latent_architecture(), Form::kContext, 4);
}

TEST(SharedModel, ALostRankIsSeen) {
    EXPECT_GT(difference(dense_architecture(), Form::kData, 2, 1).tensor, 0.1);
    EXPECT_GT(difference(dense_architecture(), Form::kTensor, 2, 1).tensor, 0.1);
    EXPECT_GT(difference(deepseek_architecture(), Form::kExpert, 2, 1).tensor, 0.1);
    EXPECT_GT(difference(dense_architecture(), Form::kContext, 2, 1).tensor, 0.1);
}

TEST(SharedModel, SaysWhatItCannotSplit) {
    on_ranks(2, [](Exchange& exchange) {
        const auto refused = [&](const model::Architecture& architecture, Form form) {
            const auto made = SharedModel::make(architecture, {}, form, exchange);
            return !made && made.error().code == ErrorCode::kUnsupported;
        };
        EXPECT_TRUE(refused(dense_architecture(), Form::kExpert));
        EXPECT_TRUE(refused(deepseek_architecture(), Form::kTensor));
        model::Architecture ahead = dense_architecture();
        ahead.mtp_layers = 1;
        EXPECT_TRUE(refused(ahead, Form::kContext));
    });
    EXPECT_EQ(*form_from("tensor"), Form::kTensor);
    EXPECT_FALSE(form_from("tenser").ok());
}

TEST(PipelineSchedule, DoesAllWorkOnceInAnOrderThatCanBe) {
    for (const auto& [ranks, stages, micro_batches] :
         {std::tuple{2, 2, 4}, std::tuple{3, 3, 2}, std::tuple{2, 4, 4}, std::tuple{4, 8, 8}}) {
        std::map<std::tuple<bool, std::int64_t, std::int64_t>, std::size_t> when;
        const auto schedule = pipeline_schedule(ranks, stages, micro_batches);
        for (std::size_t tick = 0; tick < schedule.size(); ++tick) {
            for (std::size_t rank = 0; rank < schedule[tick].size(); ++rank) {
                const auto& work = schedule[tick][rank];
                if (!work) continue;
                EXPECT_EQ(work->stage % ranks, static_cast<std::int64_t>(rank));
                const bool is_new =
                    when.emplace(std::tuple{work->forward, work->stage, work->micro_batch}, tick)
                        .second;
                EXPECT_TRUE(is_new);
            }
        }
        EXPECT_EQ(when.size(), static_cast<std::size_t>(2 * stages * micro_batches));
        for (const auto& [work, tick] : when) {
            const auto [forward, stage, micro] = work;
            if (!forward) {
                EXPECT_LT(when.at({true, stage, micro}), tick);
            }
            if (forward && stage > 0) {
                EXPECT_LT(when.at({true, stage - 1, micro}), tick);
            }
            if (!forward && stage + 1 < stages) {
                EXPECT_LT(when.at({false, stage + 1, micro}), tick);
            }
        }
    }
}

// 1F1B on two ranks: the first holds two micro-batches, the last one (arXiv 2104.04473, figure 4).
TEST(PipelineSchedule, IsOneForwardOneBackward) {
    std::vector<std::string> orders(2);
    for (const auto& tick : pipeline_schedule(2, 2, 4)) {
        for (std::size_t rank = 0; rank < 2; ++rank) {
            if (tick[rank]) {
                orders[rank] +=
                    (tick[rank]->forward ? 'F' : 'B') + std::to_string(tick[rank]->micro_batch);
            }
        }
    }
    EXPECT_EQ(orders[0], "F0F1B0F2B1F3B2B3");
    EXPECT_EQ(orders[1], "F0B0F1B1F2B2F3B3");
}

TEST(Pipeline, EqualsTheModelOnOneRank) {
    struct Row {
        model::Architecture architecture;
        std::int64_t ranks, stages, micro_batches;
    };
    model::Architecture deep = dense_architecture();
    deep.layers = {{model::LayerKind::kDense, 4}};
    model::Architecture tied = dense_architecture();
    tied.tied_embeddings = true;
    for (const Row& row :
         {Row{dense_architecture(), 2, 2, 4}, Row{deepseek_architecture(), 3, 3, 2},
          Row{deep, 2, 4, 4}, Row{tied, 2, 2, 3}}) {
        const Batch batch = batch_of(0);
        Model serial(row.architecture, {.seed = 5});
        const PassResult pass = compute_gradients(serial, batch, {});
        const double loss = pass.next_token_loss.item<double>();
        on_ranks(row.ranks, [&](Exchange& exchange) {
            Model own(row.architecture, {.seed = 5});
            const auto found =
                pipelined_gradients(own, batch, row.stages, row.micro_batches, exchange);
            ASSERT_TRUE(found.ok()) << found.error().text();
            EXPECT_NEAR(*found / loss, 1.0, 1e-6);
            for (std::size_t i = 0; i < own.parameters().all().size(); ++i) {
                const Parameter& parameter = own.parameters().all()[i];
                if (!parameter.trained) continue;
                const at::Tensor expected = serial.parameters().all()[i].value.grad();
                EXPECT_LT(relative_error(parameter.value.grad(), expected), kTensorLimit)
                    << parameter.name;
            }
        });
    }
}

// Three steps of ZeRO-1 on `ranks` ranks against three of one optimizer that holds everything.
double weights_apart(std::int64_t ranks, std::int64_t lost = -1) {
    const auto architecture = dense_architecture();
    const AdamwOptions options;
    Model serial(architecture, {.seed = 5});
    Adamw whole(serial.parameters(), options);
    std::vector<double> norms;
    for (int step = 0; step < 3; ++step) {
        static_cast<void>(compute_gradients(serial, batch_of(step), {}));
        norms.push_back(clip_gradients(serial.parameters(), 1.0).item<double>());
        whole.step(1e-3);
    }
    double apart = 0.0;
    std::mutex mutex;
    on_ranks(
        ranks,
        [&](Exchange& exchange) {
            auto shared = SharedModel::make(architecture, {.seed = 5}, Form::kData, exchange);
            ASSERT_TRUE(shared.ok());
            ShardedAdamw sharded((*shared)->model().parameters(), options, exchange);
            for (int step = 0; step < 3; ++step) {
                (*shared)->compute_gradients(batch_of(step), false);
                const double norm = sharded.step(1e-3, 1.0);
                if (lost < 0) {
                    EXPECT_NEAR(norm / norms[static_cast<std::size_t>(step)], 1.0, 1e-5);
                }
            }
            const auto& here = (*shared)->model().parameters().all();
            const std::scoped_lock lock(mutex);
            double moved = 0.0;
            double total = 0.0;
            for (std::size_t i = 0; i < here.size(); ++i) {
                const at::Tensor expected = serial.parameters().all()[i].value;
                moved += here[i].value.sub(expected).square().sum().item<double>();
                total += expected.square().sum().item<double>();
            }
            apart = std::max(apart, std::sqrt(moved / total));
        },
        lost);
    return apart;
}

TEST(ShardedAdamw, MovesTheWeightsAsOneOptimizerDoes) {
    const double two = weights_apart(2);
    EXPECT_LT(two, 1e-6);
    EXPECT_LT(weights_apart(3), 1e-6);  // shares with padding
    EXPECT_GT(weights_apart(2, 1), 100.0 * two + 1e-5);
}

}  // namespace
}  // namespace ascertain::training
