#include "worker/training/layers.hpp"

#include <ATen/ops/gelu.h>
#include <ATen/ops/layer_norm.h>
#include <ATen/ops/rms_norm.h>
#include <ATen/ops/silu.h>

#include <cmath>

namespace ascertain::training {

at::Tensor apply(const Linear& linear_part, const Arithmetic& arithmetic, const at::Tensor& x) {
    const at::Tensor weight = linear_part.input_major ? linear_part.weight.t() : linear_part.weight;
    return linear(arithmetic, x, weight, linear_part.bias);
}

at::Tensor apply(const Norm& norm, const at::Tensor& x) {
    const std::int64_t width = x.size(-1);
    if (norm.kind == model::NormKind::kRms) {
        return at::rms_norm(widen(x), {width}, norm.weight, norm.epsilon);
    }
    return at::layer_norm(widen(x), {width}, norm.weight, norm.bias, norm.epsilon);
}

at::Tensor activate(model::MlpKind kind, const Arithmetic& arithmetic, const at::Tensor& gate,
                    const at::Tensor& up) {
    switch (kind) {
        case model::MlpKind::kSwiglu:
            return round_to(arithmetic, round_to(arithmetic, at::silu(gate)).mul(up));
        case model::MlpKind::kGelu: return round_to(arithmetic, at::gelu(up));
        case model::MlpKind::kGeluTanh: return round_to(arithmetic, at::gelu(up, "tanh"));
    }
    return {};
}

at::Tensor apply(const Mlp& mlp, const Arithmetic& arithmetic, const at::Tensor& x) {
    const at::Tensor rounded = round_to(arithmetic, x);
    const at::Tensor gate =
        mlp.kind == model::MlpKind::kSwiglu ? apply(mlp.gate, arithmetic, rounded) : at::Tensor();
    const at::Tensor up = apply(mlp.up, arithmetic, rounded);
    return apply(mlp.down, arithmetic, activate(mlp.kind, arithmetic, gate, up));
}

Linear Builder::linear(const std::string& name, std::int64_t in, std::int64_t out, bool bias,
                       double scale) {
    const Fill fill{.deviation = scale / std::sqrt(static_cast<double>(in))};
    Linear made;
    made.input_major = names.input_major;
    made.weight = names.input_major ? parameters.add(name + ".weight", {in, out}, fill)
                                    : parameters.add(name + ".weight", {out, in}, fill);
    if (bias) made.bias = parameters.add(name + ".bias", {out}, {});
    return made;
}

Norm Builder::norm(const std::string& name, std::int64_t width) {
    Norm made;
    made.kind = architecture.norm.kind;
    made.epsilon = architecture.norm.epsilon;
    made.weight = parameters.add(name + ".weight", {width}, {.mean = 1.0});
    if (made.kind == model::NormKind::kLayer)
        made.bias = parameters.add(name + ".bias", {width}, {});
    return made;
}

double Builder::output_scale() const {
    return 1.0 / std::sqrt(2.0 * static_cast<double>(model::layer_count(architecture)));
}

}  // namespace ascertain::training
