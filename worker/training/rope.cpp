#include "worker/training/rope.hpp"

#include <ATen/ops/cat.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace ascertain::training {
namespace {

using model::RopeScaling;
using model::RopeScalingKind;

// Pair whose wave turns `rotations` times over the original length; arXiv 2309.00071 section 3.2.
double yarn_pair(double rotations, double theta, double length, double dim) {
    return dim * std::log(length / (rotations * 2.0 * std::numbers::pi)) / (2.0 * std::log(theta));
}

// arXiv 2309.00071: pairs that turn often keep their frequency, slow ones are interpolated.
double yarn_frequency(const model::Position& position, double frequency, double pair, double dim) {
    const RopeScaling& scaling = position.scaling;
    const auto length = static_cast<double>(scaling.original_length_max);
    const double low =
        std::max(std::floor(yarn_pair(scaling.beta_fast, position.theta, length, dim)), 0.0);
    double high =
        std::min(std::ceil(yarn_pair(scaling.beta_slow, position.theta, length, dim)), dim - 1.0);
    if (high == low) high += 0.001;
    const double interpolated = std::clamp((pair - low) / (high - low), 0.0, 1.0);
    return frequency * (1.0 - interpolated) + frequency / scaling.factor * interpolated;
}

// arXiv 2407.21783 and the published code: long waves are stretched, short ones kept, between them
// a straight blend.
double llama3_frequency(const RopeScaling& scaling, double frequency) {
    const double wavelength = 2.0 * std::numbers::pi / frequency;
    const auto length = static_cast<double>(scaling.original_length_max);
    const double kept =
        std::clamp((length / wavelength - scaling.low_frequency_factor) /
                       (scaling.high_frequency_factor - scaling.low_frequency_factor),
                   0.0, 1.0);
    return (1.0 - kept) * frequency / scaling.factor + kept * frequency;
}

double yarn_mscale(double factor, double mscale) {
    return factor <= 1.0 ? 1.0 : 0.1 * mscale * std::log(factor) + 1.0;
}

}  // namespace

std::vector<double> rope_frequencies(const model::Position& position, std::int64_t dim) {
    const auto width = static_cast<double>(dim);
    std::vector<double> frequencies;
    for (std::int64_t pair = 0; pair < dim / 2; ++pair) {
        const auto index = static_cast<double>(pair);
        double frequency = std::pow(position.theta, -2.0 * index / width);
        switch (position.scaling.kind) {
            case RopeScalingKind::kNone: break;
            case RopeScalingKind::kLinear: frequency /= position.scaling.factor; break;
            case RopeScalingKind::kYarn:
                frequency = yarn_frequency(position, frequency, index, width);
                break;
            case RopeScalingKind::kLlama3:
                frequency = llama3_frequency(position.scaling, frequency);
                break;
        }
        frequencies.push_back(frequency);
    }
    return frequencies;
}

double rope_amplitude(const RopeScaling& scaling) {
    if (scaling.kind != RopeScalingKind::kYarn) return 1.0;
    if (scaling.attention_factor != 0.0) return scaling.attention_factor;
    if (scaling.mscale != 0.0 && scaling.mscale_all_dim != 0.0) {
        return yarn_mscale(scaling.factor, scaling.mscale) /
               yarn_mscale(scaling.factor, scaling.mscale_all_dim);
    }
    return yarn_mscale(scaling.factor, 1.0);
}

double rope_softmax_factor(const RopeScaling& scaling) {
    if (scaling.kind != RopeScalingKind::kYarn || scaling.mscale_all_dim == 0.0) return 1.0;
    const double mscale = yarn_mscale(scaling.factor, scaling.mscale_all_dim);
    return mscale * mscale;
}

RopeTable rope_table(const model::Position& position, std::int64_t dim,
                     std::int64_t sequence_length, at::Device device) {
    const std::vector<double> frequencies = rope_frequencies(position, dim);
    const double amplitude = rope_amplitude(position.scaling);
    const at::TensorOptions options = at::TensorOptions().dtype(at::kFloat);
    at::Tensor cosine = at::empty({sequence_length, dim / 2}, options);
    at::Tensor sine = at::empty({sequence_length, dim / 2}, options);
    float* cosines = cosine.mutable_data_ptr<float>();
    float* sines = sine.mutable_data_ptr<float>();
    for (std::int64_t token = 0; token < sequence_length; ++token) {
        for (const double frequency : frequencies) {
            const double angle = static_cast<double>(token) * frequency;
            *cosines++ = static_cast<float>(amplitude * std::cos(angle));
            *sines++ = static_cast<float>(amplitude * std::sin(angle));
        }
    }
    return {cosine.to(device), sine.to(device), position.interleaved};
}

at::Tensor rotate(const RopeTable& table, const at::Tensor& x, std::int64_t position) {
    const std::int64_t half = x.size(-1) / 2;
    const at::Tensor cosine = table.cosine.narrow(0, position, x.size(1)).unsqueeze(1);
    const at::Tensor sine = table.sine.narrow(0, position, x.size(1)).unsqueeze(1);
    at::Tensor first;
    at::Tensor second;
    if (table.interleaved) {
        const at::Tensor pairs = x.unflatten(-1, {half, 2});
        first = pairs.select(-1, 0);
        second = pairs.select(-1, 1);
    } else {
        first = x.narrow(-1, 0, half);
        second = x.narrow(-1, half, half);
    }
    return at::cat(
        {first.mul(cosine).sub(second.mul(sine)), second.mul(cosine).add(first.mul(sine))}, -1);
}

}  // namespace ascertain::training
