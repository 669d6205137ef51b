#include "worker/training/model.hpp"

#include <ATen/ops/arange.h>
#include <c10/core/GradMode.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "base/random.hpp"
#include "model/config.hpp"
#include "model/parameters.hpp"
#include "model/trial.hpp"
#include "worker/training/test_architectures.hpp"

namespace ascertain::training {
namespace {

Batch made_batch(const model::Architecture& architecture, std::int64_t batch, std::int64_t length) {
    at::Tensor tokens =
        at::arange(batch * (length + 1)).mul(7).add(3).remainder(architecture.vocab_size);
    tokens = tokens.view({batch, length + 1});
    return {tokens.narrow(1, 0, length).contiguous(), tokens.narrow(1, 1, length).contiguous()};
}

Model double_model(const model::Architecture& architecture) {
    return Model(architecture, {.arithmetic = {.dtype = at::kDouble}, .seed = 5});
}

// Largest difference between the gradient and a central difference over a few elements of every
// parameter, relative to the largest gradient of that parameter.
double gradient_error(const model::Architecture& architecture, const PassOptions& options) {
    Model model = double_model(architecture);
    const Batch batch = made_batch(architecture, 2, 12);
    const PassResult base = model.pass(batch, options);
    backward(base.loss);
    PassOptions fixed = options;  // a step must not flip a routing choice
    fixed.replayed_choices = &base.routing.choices;
    const c10::AutoGradMode no_gradients(false);
    double worst = 0.0;
    Random random(1, 2);
    for (const Parameter& parameter : model.parameters().all()) {
        if (!parameter.trained) continue;
        const at::Tensor gradient = parameter.value.grad();
        EXPECT_TRUE(gradient.defined()) << parameter.name;
        const double scale = gradient.abs().max().item<double>();
        double* values = parameter.value.mutable_data_ptr<double>();
        for (int probe = 0; probe < 2; ++probe) {
            const auto place = static_cast<std::int64_t>(
                random.below(static_cast<std::uint64_t>(parameter.value.numel())));
            constexpr double kStep = 1e-5;
            const double kept = values[place];
            values[place] = kept + kStep;
            const double above = model.pass(batch, fixed).loss.item<double>();
            values[place] = kept - kStep;
            const double below = model.pass(batch, fixed).loss.item<double>();
            values[place] = kept;
            const double expected = (above - below) / (2.0 * kStep);
            const double got = gradient.contiguous().const_data_ptr<double>()[place];
            worst = std::max(worst, std::abs(got - expected) / (scale + 1e-6));
        }
    }
    return worst;
}

TEST(Model, GradientOfGroupedAttentionMatchesFiniteDifferences) {
    EXPECT_LT(gradient_error(dense_architecture(), {}), 1e-5);
}

TEST(Model, GradientOfLatentAttentionAndExpertsMatchesFiniteDifferences) {
    model::Architecture architecture = deepseek_architecture();
    architecture.attention.q_lora_rank = 24;
    architecture.mtp_layers = 1;
    architecture.moe.auxiliary_loss_coefficient = 0.01;
    EXPECT_LT(gradient_error(architecture, {}), 1e-5);
}

TEST(Model, GradientOfLearnedPositionsAndLayerNormMatchesFiniteDifferences) {
    model::Architecture architecture = dense_architecture();
    architecture.family = model::Family::kGpt2;
    architecture.attention.qk_norm = false;
    architecture.attention.kv_heads = 4;
    architecture.attention.qkv_bias = true;
    architecture.attention.output_bias = true;
    architecture.mlp.kind = model::MlpKind::kGeluTanh;
    architecture.mlp.bias = true;
    architecture.norm.kind = model::NormKind::kLayer;
    architecture.position.kind = model::PositionKind::kLearned;
    architecture.tied_embeddings = true;
    EXPECT_LT(gradient_error(architecture, {}), 1e-5);
}

TEST(Model, RecomputedLayersAndChunkedLossGiveTheSameLossAndGradients) {
    model::Architecture architecture = deepseek_architecture();
    architecture.mtp_layers = 1;
    Model plain = double_model(architecture);
    Model saving = double_model(architecture);
    const Batch batch = made_batch(architecture, 2, 12);
    const PassResult one = plain.pass(batch, {});
    const PassResult other = saving.pass(batch, {.recompute = true, .loss_chunk_tokens = 5});
    backward(one.loss);
    backward(other.loss);
    EXPECT_NEAR(one.loss.item<double>(), other.loss.item<double>(), 1e-12);
    for (std::size_t i = 0; i < plain.parameters().all().size(); ++i) {
        const Parameter& parameter = plain.parameters().all()[i];
        if (!parameter.trained) continue;
        const at::Tensor difference =
            parameter.value.grad().sub(saving.parameters().all()[i].value.grad());
        EXPECT_LT(difference.abs().max().item<double>(), 1e-12) << parameter.name;
    }
}

TEST(Model, SameSeedSameWeightsOtherSeedOtherWeights) {
    const model::Architecture architecture = deepseek_architecture();
    const Model one(architecture, {.seed = 1});
    const Model same(architecture, {.seed = 1});
    const Model other(architecture, {.seed = 2});
    for (std::size_t i = 0; i < one.parameters().all().size(); ++i) {
        const Parameter& parameter = one.parameters().all()[i];
        EXPECT_TRUE(parameter.value.equal(same.parameters().all()[i].value)) << parameter.name;
    }
    EXPECT_FALSE(one.parameters().all()[0].value.equal(other.parameters().all()[0].value));
}

TEST(Model, RouterBiasMovesByTheRateAgainstTheLoad) {
    model::Architecture architecture = deepseek_architecture();
    Model model(architecture, {.seed = 1});
    const at::Tensor load = at::arange(4).mul(10);  // mean 15: two experts below, two above
    model.balance_router({load, load}, 0.01);
    for (const Parameter& parameter : model.parameters().all()) {
        if (parameter.trained) continue;
        const float* bias = parameter.value.const_data_ptr<float>();
        EXPECT_FLOAT_EQ(bias[0], 0.01F);
        EXPECT_FLOAT_EQ(bias[1], 0.01F);
        EXPECT_FLOAT_EQ(bias[2], -0.01F);
        EXPECT_FLOAT_EQ(bias[3], -0.01F);
    }
}

// Rounding at the same places: the emulation must differ from real bf16 kernels by far less than
// either differs from fp32 (2^-8 is one bf16 rounding).
TEST(Model, EmulatedBf16RoundsWhereBf16KernelsDo) {
    const model::Architecture architecture = dense_architecture();
    const Batch batch = made_batch(architecture, 4, 32);
    const Model exact(architecture, {.seed = 3});
    const Model native(architecture, {.arithmetic = {.dtype = at::kBFloat16}, .seed = 3});
    const Model emulated(architecture,
                         {.arithmetic = {.dtype = at::kBFloat16, .emulated = true}, .seed = 3});
    const c10::AutoGradMode no_gradients(false);
    const at::Tensor reference = exact.logits(batch.tokens);
    const double native_error = native.logits(batch.tokens).sub(reference).norm().item<double>();
    const double emulated_error =
        emulated.logits(batch.tokens).sub(reference).norm().item<double>();
    const double scale = reference.norm().item<double>();
    EXPECT_GT(native_error / scale, 1e-3);
    EXPECT_NEAR(native_error / emulated_error, 1.0, 0.2);
}

TEST(Model, HasTheParametersThatItsArchitectureCounts) {
    const std::filesystem::path folder =
        std::filesystem::path(ASCERTAIN_SOURCE_DIR) / "data/models";
    int seen = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
        if (entry.path().extension() != ".json") continue;
        std::ostringstream text;
        text << std::ifstream(entry.path()).rdbuf();
        const auto large = model::read_config(text.str(), entry.path().filename().string());
        ASSERT_TRUE(large.ok()) << large.error().text();
        const auto small = model::trial_scale(*large, {});
        ASSERT_TRUE(small.ok()) << small.error().text();
        const Model model(*small, {.seed = 1});
        std::int64_t elements = 0;
        for (const Parameter& parameter : model.parameters().all()) {
            elements += parameter.value.numel();
        }
        const model::ParameterCounts expected = model::count_parameters(*small);
        EXPECT_EQ(elements, expected.total + expected.mtp_extra) << entry.path();
        ++seen;
    }
    EXPECT_GT(seen, 0) << "no model in " << folder;
}

}  // namespace
}  // namespace ascertain::training
