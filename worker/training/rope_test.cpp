#include "worker/training/rope.hpp"

#include <ATen/ops/arange.h>
#include <ATen/ops/ones.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace ascertain::training {
namespace {

using model::RopeScalingKind;

model::Position with_theta(double theta) {
    model::Position position;
    position.theta = theta;
    return position;
}

TEST(Rope, TableHoldsCosineAndSineOfPositionTimesFrequency) {
    const model::Position position = with_theta(10000.0);
    const RopeTable table = rope_table(position, 8, 16, at::kCPU);
    for (int token : {0, 1, 15}) {
        for (int pair = 0; pair < 4; ++pair) {
            const double angle = token * std::pow(10000.0, -2.0 * pair / 8.0);
            EXPECT_FLOAT_EQ(table.cosine[token][pair].item<float>(),
                            static_cast<float>(std::cos(angle)));
            EXPECT_FLOAT_EQ(table.sine[token][pair].item<float>(),
                            static_cast<float>(std::sin(angle)));
        }
    }
}

TEST(Rope, ProductsDependOnTheDistanceAlone) {
    // The defining property: <R(a) q, R(b) k> is the same for every pair of positions b - a apart.
    for (const bool interleaved : {false, true}) {
        model::Position position = with_theta(100.0);
        position.interleaved = interleaved;
        const RopeTable table = rope_table(position, 8, 12, at::kCPU);
        const at::Tensor x = at::arange(8, at::kFloat).sin().expand({1, 12, 1, 8});
        const at::Tensor turned = rotate(table, x).squeeze(2).squeeze(0);
        const at::Tensor products = turned.matmul(turned.t());
        for (int distance = 1; distance < 5; ++distance) {
            const at::Tensor diagonal = products.diagonal(distance);
            EXPECT_LT(diagonal.sub(diagonal[0]).abs().max().item<float>(), 1e-5F);
        }
    }
}

TEST(Rope, LinearScalingDividesEveryFrequency) {
    model::Position position = with_theta(10000.0);
    const std::vector<double> plain = rope_frequencies(position, 16);
    position.scaling = {.kind = RopeScalingKind::kLinear, .factor = 4.0};
    const std::vector<double> scaled = rope_frequencies(position, 16);
    for (std::size_t i = 0; i < plain.size(); ++i) EXPECT_DOUBLE_EQ(scaled[i], plain[i] / 4.0);
}

TEST(Rope, YarnAndLlama3KeepShortWavesAndStretchLongOnes) {
    model::Position position = with_theta(500000.0);
    const std::vector<double> plain = rope_frequencies(position, 64);
    for (const RopeScalingKind kind : {RopeScalingKind::kYarn, RopeScalingKind::kLlama3}) {
        position.scaling = {.kind = kind, .factor = 8.0, .original_length_max = 8192};
        const std::vector<double> scaled = rope_frequencies(position, 64);
        EXPECT_DOUBLE_EQ(scaled.front(), plain.front());
        EXPECT_NEAR(scaled.back(), plain.back() / 8.0, 1e-15);
        for (std::size_t i = 0; i < plain.size(); ++i) {
            EXPECT_LE(scaled[i], plain[i] * (1 + 1e-12));
            EXPECT_GE(scaled[i], plain[i] / 8.0 * (1 - 1e-12));
        }
    }
}

TEST(Rope, DeepseekYarnScalesTheSoftmaxAndNotTheTable) {
    // DeepSeek-V3's config: factor 40, mscale = mscale_all_dim = 1; m = 0.1 ln 40 + 1.
    const model::RopeScaling scaling{.kind = RopeScalingKind::kYarn,
                                     .factor = 40.0,
                                     .original_length_max = 4096,
                                     .mscale = 1.0,
                                     .mscale_all_dim = 1.0};
    EXPECT_DOUBLE_EQ(rope_amplitude(scaling), 1.0);
    EXPECT_NEAR(rope_softmax_factor(scaling), std::pow(0.1 * std::log(40.0) + 1.0, 2), 1e-12);
}

}  // namespace
}  // namespace ascertain::training
