// The words by which documents and messages call the closed sets of this room; private to it.
#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.hpp"
#include "model/architecture.hpp"

namespace ascertain::model::names {

template <typename T>
struct Name {
    T value;
    std::string_view text;
};
template <typename T>
Name(T, const char*) -> Name<T>;  // clang deduces no aggregate before version 17

inline constexpr std::array kFamilies{
    Name{Family::kLlama, "llama"},
    Name{Family::kQwen2, "qwen2"},
    Name{Family::kQwen3, "qwen3"},
    Name{Family::kQwen3Moe, "qwen3_moe"},
    Name{Family::kMixtral, "mixtral"},
    Name{Family::kDeepseekV2, "deepseek_v2"},
    Name{Family::kDeepseekV3, "deepseek_v3"},
    Name{Family::kKimiK2, "kimi_k2"},
    Name{Family::kGpt2, "gpt2"},
    Name{Family::kPanguUltraMoe, "pangu_ultra_moe"},
};
inline constexpr std::array kDtypes{
    Name{Dtype::kFp32, "fp32"},
    Name{Dtype::kBf16, "bf16"},
    Name{Dtype::kFp16, "fp16"},
    Name{Dtype::kFp8, "fp8"},
};
inline constexpr std::array kLayerKinds{
    Name{LayerKind::kDense, "dense"},
    Name{LayerKind::kMoe, "moe"},
};
inline constexpr std::array kAttentionKinds{
    Name{AttentionKind::kGqa, "gqa"},
    Name{AttentionKind::kMla, "mla"},
};
inline constexpr std::array kMlpKinds{
    Name{MlpKind::kSwiglu, "swiglu"},
    Name{MlpKind::kGelu, "gelu"},
    Name{MlpKind::kGeluTanh, "gelu_tanh"},
};
inline constexpr std::array kRouterKinds{
    Name{RouterKind::kSoftmax, "softmax"},
    Name{RouterKind::kSigmoid, "sigmoid"},
};
inline constexpr std::array kNormKinds{
    Name{NormKind::kRms, "rms"},
    Name{NormKind::kLayer, "layer"},
};
inline constexpr std::array kPositionKinds{
    Name{PositionKind::kRope, "rope"},
    Name{PositionKind::kLearned, "learned"},
};
inline constexpr std::array kRopeScalingKinds{
    Name{RopeScalingKind::kNone, "none"},
    Name{RopeScalingKind::kLinear, "linear"},
    Name{RopeScalingKind::kYarn, "yarn"},
    Name{RopeScalingKind::kLlama3, "llama3"},
};

template <typename Names, typename T>
[[nodiscard]] std::string_view text(const Names& names, T value) {
    for (const auto& name : names) {
        if (name.value == value) return name.text;
    }
    ASCERTAIN_ASSERT(!"a value without a name");
    return {};
}

template <typename T, std::size_t N>
[[nodiscard]] std::optional<T> value(const std::array<Name<T>, N>& names, std::string_view text) {
    for (const auto& name : names) {
        if (name.text == text) return name.value;
    }
    return std::nullopt;
}

template <typename Names>
[[nodiscard]] std::vector<std::string> all(const Names& names) {
    std::vector<std::string> texts;
    for (const auto& name : names) texts.emplace_back(name.text);
    return texts;
}

}  // namespace ascertain::model::names
