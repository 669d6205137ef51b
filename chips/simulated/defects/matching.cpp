#include "chips/simulated/defects/matching.hpp"

#include <ATen/ops/isnan.h>
#include <torch/csrc/autograd/graph_task.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <limits>

namespace ascertain::simulated::defects {
namespace {

using ascertain::defects::Bound;
using ascertain::defects::Layout;
using ascertain::defects::Phase;
using ascertain::defects::ShapeBound;
using ascertain::defects::Where;

struct DtypeWord {
    std::string_view word;
    at::ScalarType dtype;
};
constexpr std::array kDtypes{DtypeWord{"fp64", at::kDouble},       DtypeWord{"fp32", at::kFloat},
                             DtypeWord{"fp16", at::kHalf},         DtypeWord{"bf16", at::kBFloat16},
                             DtypeWord{"fp8", at::kFloat8_e4m3fn}, DtypeWord{"bool", at::kBool},
                             DtypeWord{"int8", at::kChar},         DtypeWord{"uint8", at::kByte},
                             DtypeWord{"int16", at::kShort},       DtypeWord{"int32", at::kInt},
                             DtypeWord{"int64", at::kLong}};

void append_tensors(const c10::IValue& value, std::vector<at::Tensor>& tensors) {
    const auto append = [&](const at::Tensor& tensor) {
        if (tensor.defined()) tensors.push_back(tensor);
    };
    if (value.isTensor()) append(value.toTensor());
    if (value.isTensorList()) {
        for (const at::Tensor& tensor : value.toTensorVector()) append(tensor);
    }
    if (value.isOptionalTensorList()) {
        for (const std::optional<at::Tensor>& tensor : value.toOptionalTensorVector()) {
            if (tensor) append(*tensor);
        }
    }
}

Product product_of(std::string_view name, const c10::IValue* arguments) {
    Product product;
    if (name == "mm" || name == "bmm") {
        product.left = arguments[0].toTensor();
        product.right = arguments[1].toTensor();
    } else if (name == "addmm" || name == "baddbmm") {
        product.addend = arguments[0].toTensor();
        product.left = arguments[1].toTensor();
        product.right = arguments[2].toTensor();
        product.beta = arguments[3].toScalar().toDouble();
        product.alpha = arguments[4].toScalar().toDouble();
    }
    return product;
}

bool is_floating(const at::Tensor& tensor) {
    return at::isFloatingType(tensor.scalar_type());
}

bool is_transposed(const at::Tensor& tensor) {
    return tensor.dim() >= 2 && !tensor.is_contiguous() && tensor.transpose(-1, -2).is_contiguous();
}
bool is_expanded(const at::Tensor& tensor) {
    for (std::int64_t dim = 0; dim < tensor.dim(); ++dim) {
        if (tensor.stride(dim) == 0 && tensor.size(dim) > 1) return true;
    }
    return false;
}

bool layout_fits(Layout layout, const Call& call) {
    const auto any = [&](auto&& holds) { return std::ranges::any_of(call.tensors, holds); };
    const auto strided = [](const at::Tensor& tensor) { return !tensor.is_contiguous(); };
    switch (layout) {
        case Layout::kAny: return true;
        case Layout::kContiguous: return !any(strided);
        case Layout::kTransposed: return any(is_transposed);
        case Layout::kStrided: return any(strided);
        case Layout::kOffset:
            return any([](const at::Tensor& tensor) { return tensor.storage_offset() != 0; });
        case Layout::kExpanded: return any(is_expanded);
        case Layout::kStridedOutput:
            return std::ranges::any_of(
                call.written, [](const Output& output) { return !output.now.is_contiguous(); });
    }
    return false;
}

bool within(const ShapeBound& bound, std::int64_t value) {
    switch (bound.bound) {
        case Bound::kExactly: return value == bound.value;
        case Bound::kAtLeast: return value >= bound.value;
        case Bound::kAtMost: return value <= bound.value;
        case Bound::kMultipleOf: return value % std::max<std::int64_t>(1, bound.value) == 0;
        case Bound::kNotMultipleOf: return value % std::max<std::int64_t>(1, bound.value) != 0;
    }
    return false;
}

bool shape_fits(const ShapeBound& bound, const at::Tensor& tensor) {
    const std::string& quantity = bound.quantity;
    if (quantity == "any_dim") {
        return std::ranges::any_of(tensor.sizes(),
                                   [&](std::int64_t size) { return within(bound, size); });
    }
    if (quantity == "elements") return within(bound, tensor.numel());
    if (quantity == "ndim") return within(bound, tensor.dim());
    if (tensor.dim() == 0) return false;
    const std::int64_t last = tensor.size(-1);
    if (quantity == "rows") return last > 0 && within(bound, tensor.numel() / last);
    return within(bound, last);  // k, last_dim
}

double number_in(const c10::IValue& value) {
    if (value.isBool()) return value.toBool() ? 1.0 : 0.0;
    if (value.isInt()) return static_cast<double>(value.toInt());
    if (value.isDouble()) return value.toDouble();
    if (value.isScalar()) return value.toScalar().toDouble();
    return std::numeric_limits<double>::quiet_NaN();
}

bool argument_fits(const ascertain::defects::ArgumentIs& wanted, const c10::OperatorHandle& op,
                   const torch::jit::Stack& stack) {
    const auto& arguments = op.schema().arguments();
    const c10::IValue* values = &stack[stack.size() - arguments.size()];
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        if (arguments[i].name() != wanted.name) continue;
        const c10::IValue& value = values[i];
        if (!value.isBool() && !value.isInt() && !value.isDouble() && !value.isScalar()) {
            return wanted.differs;
        }
        const double number = number_in(value);
        const bool equal =
            number == wanted.value || (std::isnan(number) && std::isnan(wanted.value));
        return equal != wanted.differs;
    }
    return false;
}

bool row_fits(const std::vector<std::string>& words, const Call& call) {
    for (const at::Tensor& tensor : call.tensors) {
        if (!is_floating(tensor) || tensor.dim() == 0 || tensor.size(-1) == 0) continue;
        const at::Tensor wide = tensor.to(at::kFloat);
        for (const std::string& word : words) {
            at::Tensor such;
            if (word == "nan") such = at::isnan(wide);
            if (word == "zero") such = wide.eq(0.0);
            if (word == "inf") such = wide.eq(std::numeric_limits<double>::infinity());
            if (word == "-inf") such = wide.eq(-std::numeric_limits<double>::infinity());
            if (such.defined() && such.all(-1).any().item<bool>()) return true;
        }
    }
    return false;
}

bool values_fit(const Where& where, const Call& call) {
    if (where.input_above) {
        const bool above = std::ranges::any_of(call.tensors, [&](const at::Tensor& tensor) {
            return is_floating(tensor) && tensor.numel() > 0 &&
                   tensor.to(at::kFloat).abs().max().item<double>() >= *where.input_above;
        });
        if (!above) return false;
    }
    return where.row_of.empty() || row_fits(where.row_of, call);
}

bool alignment_fits(std::int64_t bytes, const Call& call) {
    return bytes == 0 || std::ranges::any_of(call.tensors, [&](const at::Tensor& tensor) {
               const auto size = static_cast<std::int64_t>(tensor.element_size());
               return tensor.storage_offset() * size % bytes != 0;
           });
}

bool mixed(const Call& call) {
    std::vector<at::ScalarType> seen;
    for (const at::Tensor& tensor : call.tensors) {
        if (is_floating(tensor)) seen.push_back(tensor.scalar_type());
    }
    return std::ranges::any_of(seen, [&](at::ScalarType dtype) { return dtype != seen.front(); });
}

std::int64_t own_rank() {
    const char* rank = std::getenv("RANK");
    return rank == nullptr ? 0 : std::atoll(rank);
}

}  // namespace

std::string base_name(const c10::OperatorHandle& op) {
    const std::string& full = op.schema().name();
    return full.substr(full.find("::") + 2);
}

std::string_view plain_name(std::string_view name) {
    if (name.ends_with('_')) name.remove_suffix(1);
    return name;
}

at::ScalarType dtype_of(std::string_view word) {
    for (const DtypeWord& known : kDtypes) {
        if (known.word == word) return known.dtype;
    }
    return at::kFloat;
}

Call read_call(const c10::OperatorHandle& op, const torch::jit::Stack& stack, std::int64_t device) {
    Call call;
    call.name = base_name(op);
    call.overload = op.schema().overload_name();
    call.device = device;
    const auto& arguments = op.schema().arguments();
    const c10::IValue* values = &stack[stack.size() - arguments.size()];
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        std::vector<at::Tensor> found;
        append_tensors(values[i], found);
        const auto* alias = arguments[i].alias_info();
        if (alias != nullptr && alias->isWrite()) {
            for (const at::Tensor& tensor : found) call.written.push_back({tensor, {}});
        }
        call.tensors.insert(call.tensors.end(), found.begin(), found.end());
    }
    for (const auto& result : op.schema().returns()) {
        const auto* alias = result.alias_info();
        if (alias != nullptr && !alias->isWrite()) call.is_view = true;
    }
    call.product = product_of(plain_name(call.name), values);
    return call;
}

std::optional<at::Tensor> main_tensor(const Call& call) {
    if (call.product.left.defined()) return call.product.left;
    for (const at::Tensor& tensor : call.tensors) {
        if (is_floating(tensor) && tensor.dim() > 0) return tensor;
    }
    return call.tensors.empty() ? std::nullopt : std::optional(call.tensors.front());
}

bool where_fits(const Where& where, const Call& call, const c10::OperatorHandle& op,
                const torch::jit::Stack& stack) {
    if (where.phase != Phase::kAny) {
        const bool backward = torch::autograd::get_current_graph_task_id() != -1;
        if (backward != (where.phase == Phase::kBackward)) return false;
    }
    if (!where.overload.empty() && where.overload != call.overload) return false;
    if (where.in_place && *where.in_place == call.written.empty()) return false;
    if (where.device >= 0 && where.device != call.device) return false;
    if (where.rank >= 0 && where.rank != own_rank()) return false;
    if (!layout_fits(where.layout, call) || !alignment_fits(where.not_aligned_to, call)) {
        return false;
    }
    if (where.mixed_dtypes && !mixed(call)) return false;
    const std::optional<at::Tensor> tensor = main_tensor(call);
    if (!where.dtype.empty() || !where.shape.empty()) {
        if (!tensor) return false;
        if (!where.dtype.empty() && tensor->scalar_type() != dtype_of(where.dtype)) return false;
        for (const ShapeBound& bound : where.shape) {
            if (!shape_fits(bound, *tensor)) return false;
        }
    }
    if (where.argument && !argument_fits(*where.argument, op, stack)) return false;
    return values_fit(where, call);
}

}  // namespace ascertain::simulated::defects
