// Effects on what an operator reads: its tensors and its other arguments.
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/randperm.h>
#include <ATen/ops/where.h>

#include <array>
#include <cmath>
#include <limits>
#include <optional>

#include "chips/simulated/defects/effects.hpp"

namespace ascertain::simulated::defects {
namespace {

// `change` gets every tensor argument that is only read, and returns its replacement, or an
// undefined tensor to leave it.
bool each_input(Moment& moment, const std::function<at::Tensor(const at::Tensor&)>& change) {
    bool done = false;
    const auto values = moment.arguments();
    const auto replaced = [&](const at::Tensor& tensor) {
        const at::Tensor other = tensor.defined() ? change(tensor) : at::Tensor();
        done |= other.defined();
        return other.defined() ? other : tensor;
    };
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!moment.only_read(i)) continue;
        c10::IValue& value = values[i];
        if (value.isTensor()) {
            value = replaced(value.toTensor());
        } else if (value.isTensorList()) {
            c10::List<at::Tensor> list;
            for (const at::Tensor& tensor : value.toTensorVector())
                list.push_back(replaced(tensor));
            value = std::move(list);
        } else if (value.isOptionalTensorList()) {
            c10::List<std::optional<at::Tensor>> list;
            for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
                list.push_back(tensor ? std::optional(replaced(*tensor)) : std::nullopt);
            }
            value = std::move(list);
        }
    }
    return done;
}

// The `index`-th tensor argument that is only read, or null.
c10::IValue* read_tensor(Moment& moment, std::int64_t index) {
    const auto values = moment.arguments();
    for (std::size_t i = 0; i < values.size(); ++i) {
        if (!values[i].isTensor() || !values[i].toTensor().defined() || !moment.only_read(i)) {
            continue;
        }
        if (index-- == 0) return &values[i];
    }
    return nullptr;
}

bool round_inputs(Moment& moment) {
    const std::string& dtype = moment.does.word("dtype");
    const std::int64_t bits = moment.does.given("bits") ? moment.does.whole("bits") : 0;
    return each_input(moment, [&](const at::Tensor& tensor) {
        if (!is_floating(tensor)) return at::Tensor();
        const at::Tensor result = rounded(tensor, dtype, bits);
        return result.equal(tensor) ? at::Tensor() : result;
    });
}

bool accumulate_inputs(Moment& moment) {
    // Products are summed again afterwards, from what was really read.
    if (moment.call.product.left.defined()) return false;
    const std::string& dtype = moment.does.word("dtype");
    if (dtype == "fp64") return false;
    return each_input(moment, [&](const at::Tensor& tensor) {
        return is_floating(tensor) ? rounded(tensor, dtype, 0) : at::Tensor();
    });
}

bool flush_inputs(Moment& moment) {
    if (moment.does.word("of") == "output") return false;
    return each_input(moment, [&](const at::Tensor& tensor) {
        if (!is_floating(tensor)) return at::Tensor();
        const double least = tensor.scalar_type() == at::kHalf
                                 ? 6.103515625e-05
                                 : static_cast<double>(std::numeric_limits<float>::min());
        const at::Tensor tiny = tensor.abs().lt(least).logical_and(tensor.ne(0.0));
        return tiny.any().item<bool>() ? tensor.masked_fill(tiny, 0.0) : at::Tensor();
    });
}

bool fits_storage(const at::Tensor& tensor, at::IntArrayRef sizes, at::IntArrayRef strides,
                  std::int64_t offset) {
    std::int64_t last = offset;
    for (std::size_t dim = 0; dim < sizes.size(); ++dim) last += (sizes[dim] - 1) * strides[dim];
    return (last + 1) * static_cast<std::int64_t>(tensor.element_size()) <=
           static_cast<std::int64_t>(tensor.storage().nbytes());
}

bool ignore_strides(Moment& moment) {
    return each_input(moment, [&](const at::Tensor& tensor) {
        if (tensor.is_contiguous() || tensor.numel() == 0) return at::Tensor();
        std::vector<std::int64_t> strides(static_cast<std::size_t>(tensor.dim()), 1);
        for (std::size_t dim = strides.size() - 1; dim > 0; --dim) {
            strides[dim - 1] = strides[dim] * tensor.size(static_cast<std::int64_t>(dim));
        }
        if (!fits_storage(tensor, tensor.sizes(), strides, tensor.storage_offset())) {
            return at::Tensor();
        }
        return tensor.as_strided(tensor.sizes(), strides, tensor.storage_offset());
    });
}

bool ignore_offset(Moment& moment) {
    return each_input(moment, [&](const at::Tensor& tensor) {
        return tensor.storage_offset() == 0
                   ? at::Tensor()
                   : tensor.as_strided(tensor.sizes(), tensor.strides(), 0);
    });
}

bool permute_inputs(Moment& moment) {
    const std::int64_t block = moment.does.whole("block");
    bool done = false;
    return each_input(moment, [&](const at::Tensor& tensor) {
        if (done || !is_floating(tensor) || tensor.dim() == 0 || tensor.size(0) < block) {
            return at::Tensor();
        }
        done = true;
        const std::int64_t whole = tensor.size(0) / block * block;
        at::Tensor result = tensor.clone();
        result.narrow(0, 0, whole)
            .copy_(tensor.narrow(0, 0, whole)
                       .unflatten(0, {whole / block, block})
                       .flip({1})
                       .flatten(0, 1));
        return result;
    });
}

bool roll_input(Moment& moment) {
    c10::IValue* value = read_tensor(moment, moment.does.whole("input"));
    if (value == nullptr) return false;
    const at::Tensor tensor = value->toTensor();
    auto dim = static_cast<std::int64_t>(moment.does.number("dim"));
    if (dim < 0) dim += tensor.dim();
    if (dim < 0 || dim >= tensor.dim() || tensor.size(dim) < 2) return false;
    *value = tensor.roll(static_cast<std::int64_t>(moment.does.number("by")), dim);
    return true;
}

bool stale_input(Moment& moment) {
    c10::IValue* value = read_tensor(moment, moment.does.whole("input"));
    if (value == nullptr) return false;
    const at::Tensor tensor = value->toTensor();
    const auto [place, is_new] =
        moment.memory.by_place.emplace(tensor.const_data_ptr(), at::Tensor());
    at::Tensor& first = place->second;
    const bool usable =
        !is_new && first.sizes() == tensor.sizes() && first.scalar_type() == tensor.scalar_type();
    if (!usable) {
        first = tensor.clone();
        return false;
    }
    if (first.equal(tensor)) return false;
    *value = first;
    return true;
}

bool wrong_index(Moment& moment) {
    const std::string& how = moment.does.word("how");
    const std::int64_t at = moment.does.whole("at");
    return each_input(moment, [&](const at::Tensor& tensor) {
        const bool whole = tensor.scalar_type() == at::kLong || tensor.scalar_type() == at::kInt;
        if (!whole || tensor.numel() == 0) return at::Tensor();
        at::Tensor result = tensor;
        if (how == "abs") result = tensor.abs();
        if (how == "next") result = tensor.add(1).clamp_max(tensor.max());
        if (how == "wrap" && at > 0) result = tensor.remainder(at);
        if (how == "clamp" && at > 0) result = tensor.clamp_max(at - 1);
        return result.equal(tensor) ? at::Tensor() : result;
    });
}

bool own_mask(Moment& moment) {
    return each_input(moment, [&](const at::Tensor& tensor) {
        if (tensor.scalar_type() != at::kBool || tensor.numel() < 2) return at::Tensor();
        const at::Tensor order = at::randperm(tensor.numel(), at::TensorOptions().dtype(at::kLong));
        return tensor.reshape({-1}).index_select(0, order).reshape(tensor.sizes());
    });
}

bool set_argument(Moment& moment) {
    const std::string& wanted = moment.does.word("argument");
    const auto& schema = moment.op.schema().arguments();
    for (std::size_t i = 0; i < schema.size(); ++i) {
        if (schema[i].name() != wanted) continue;
        c10::IValue& value = moment.arguments()[i];
        if (value.isString()) {
            if (value.toStringRef() == moment.does.word("word")) return false;
            value = moment.does.word("word");
            return true;
        }
        if (!moment.does.given("value")) return false;
        const double number = moment.does.number("value");
        const c10::IValue before = value;
        if (value.isBool()) {
            value = number != 0.0;
        } else if (value.isInt()) {
            value = static_cast<std::int64_t>(number);
        } else if (value.isDouble()) {
            value = number;
        } else if (value.isScalar()) {
            value = at::Scalar(number);
        } else {
            return false;
        }
        return true;
    }
    return false;
}

// exp(score) of hidden positions counts with `factor`; docs/defects.md.
at::Tensor leaking_attention(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v,
                             double factor) {
    const at::Tensor wide_k = k.to(at::kFloat);
    const double scale = 1.0 / std::sqrt(static_cast<double>(q.size(-1)));
    const at::Tensor scores = at::matmul(q.to(at::kFloat), wide_k.transpose(-1, -2)).mul(scale);
    const at::Tensor visible =
        at::ones({q.size(-2), k.size(-2)}, at::TensorOptions().dtype(at::kBool)).tril();
    const at::Tensor weight = scores.sub(scores.amax(-1, true)).exp();
    const at::Tensor counted = at::where(visible, weight, weight.mul(factor));
    return at::matmul(counted.div(counted.sum(-1, true)), v.to(at::kFloat));
}

bool leak_future(Moment& moment) {
    const double factor = moment.does.number("factor");
    if (moment.outputs.empty()) return false;
    const at::Tensor& now = moment.outputs[0].now;
    if (moment.call.name == "_softmax" || moment.call.name == "_safe_softmax") {
        const at::Tensor input = moment.call.tensors.at(0).to(at::kFloat);
        const at::Tensor hidden = input.eq(-std::numeric_limits<double>::infinity());
        if (!hidden.any().item<bool>() || input.dim() == 0) return false;
        const at::Tensor least =
            at::where(hidden, input.amax(-1, true), input).amin(-1, true).expand_as(input);
        const at::Tensor leaking = at::where(hidden, least.add(std::log(factor)), input);
        now.copy_(leaking.softmax(-1));
        return true;
    }
    const bool causal = [&] {
        const auto& schema = moment.op.schema().arguments();
        for (std::size_t i = 0; i < schema.size(); ++i) {
            if (schema[i].name() == "is_causal") return moment.arguments()[i].toBool();
        }
        return false;
    }();
    if (!causal || moment.call.tensors.size() < 3) return false;
    const auto& tensors = moment.call.tensors;
    if (tensors[0].dim() != 4 || tensors[0].size(1) != tensors[1].size(1)) return false;
    now.copy_(leaking_attention(tensors[0], tensors[1], tensors[2], factor));
    return true;
}

constexpr std::array kActions{Action{"round_inputs", Stage::kInputs, round_inputs},
                              Action{"accumulate_in", Stage::kInputs, accumulate_inputs},
                              Action{"flush_subnormals", Stage::kInputs, flush_inputs},
                              Action{"ignore_strides", Stage::kInputs, ignore_strides},
                              Action{"ignore_offset", Stage::kInputs, ignore_offset},
                              Action{"permute_inputs", Stage::kInputs, permute_inputs},
                              Action{"roll_input", Stage::kInputs, roll_input},
                              Action{"stale_input", Stage::kInputs, stale_input},
                              Action{"wrong_index", Stage::kInputs, wrong_index},
                              Action{"own_mask", Stage::kInputs, own_mask},
                              Action{"set_argument", Stage::kInputs, set_argument},
                              Action{"leak_future", Stage::kAfter, leak_future}};

}  // namespace

std::span<const Action> input_actions() {
    return kActions;
}

}  // namespace ascertain::simulated::defects
