#include "worker/operators/reference.hpp"

#include <ATen/ops/empty_like.h>
#include <ATen/ops/matmul.h>
#include <ATen/ops/ones.h>
#include <ATen/ops/ones_like.h>
#include <ATen/ops/zeros.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <string>

#include "worker/operators/dtype.hpp"
#include "worker/operators/fill.hpp"

namespace ascertain::operators {
namespace {

template <typename Change>
c10::IValue with_tensors(const c10::IValue& value, Change change) {
    if (value.isTensor()) {
        return value.toTensor().defined() ? c10::IValue(change(value.toTensor())) : value;
    }
    if (value.isTensorList()) {
        c10::List<at::Tensor> changed;
        for (const at::Tensor& item : value.toTensorVector()) changed.push_back(change(item));
        return changed;
    }
    if (value.isOptionalTensorList()) {
        c10::List<std::optional<at::Tensor>> changed;
        for (const std::optional<at::Tensor>& item : value.toOptionalTensorVector()) {
            changed.push_back(item && item->defined() ? std::optional(change(*item))
                                                      : std::nullopt);
        }
        return changed;
    }
    return value;
}

bool is_real(const at::Tensor& tensor) {
    return at::isFloatingType(tensor.scalar_type());
}

at::Tensor rounded(const at::Tensor& values, c10::ScalarType dtype) {
    const FloatFormat format = format_of(dtype);
    at::Tensor result = at::empty_like(values, at::MemoryFormat::Contiguous);
    const at::Tensor source = values.contiguous();
    const double* from = source.const_data_ptr<double>();
    double* to = result.mutable_data_ptr<double>();
    for (std::int64_t i = 0; i < source.numel(); ++i) to[i] = rounded_to(from[i], format);
    return result;
}

double rms(const at::Tensor& values) {
    return std::sqrt(values.square().mean().item<double>());
}

std::int64_t place(const c10::OperatorHandle& op, std::string_view argument) {
    return op.schema().argumentIndexWithName(argument).value_or(-1);
}

at::Tensor tensor_at(const c10::OperatorHandle& op, const Stack& stack, std::string_view argument) {
    const std::int64_t index = place(op, argument);
    if (index < 0 || !stack[static_cast<std::size_t>(index)].isTensor()) return {};
    return stack[static_cast<std::size_t>(index)].toTensor();
}

// --- attention ---

struct AttentionInputs {
    at::Tensor q, k, v, mask;
    bool causal = false;
    double scale = 1.0;
    std::int64_t key_groups = 1;  // query heads per key head
};

at::Tensor repeated_heads(const at::Tensor& heads, std::int64_t times) {
    return times == 1 ? heads : heads.repeat_interleave(times, 1);
}

AttentionInputs attention_inputs(const c10::OperatorHandle& op, const Stack& stack) {
    AttentionInputs inputs;
    inputs.q = tensor_at(op, stack, "query");
    inputs.k = tensor_at(op, stack, "key");
    inputs.v = tensor_at(op, stack, "value");
    inputs.mask = tensor_at(op, stack, "attn_mask");
    inputs.causal = stack[static_cast<std::size_t>(place(op, "is_causal"))].toBool();
    const c10::IValue& scale = stack[static_cast<std::size_t>(place(op, "scale"))];
    inputs.scale =
        scale.isNone() ? 1.0 / std::sqrt(static_cast<double>(inputs.q.size(-1))) : scale.toDouble();
    if (inputs.q.dim() == 4 && inputs.k.size(1) > 0) {
        inputs.key_groups = inputs.q.size(1) / inputs.k.size(1);
        inputs.k = repeated_heads(inputs.k, inputs.key_groups);
        inputs.v = repeated_heads(inputs.v, inputs.key_groups);
    }
    return inputs;
}

at::Tensor scores_of(const AttentionInputs& inputs) {
    at::Tensor scores = at::matmul(inputs.q, inputs.k.transpose(-2, -1)).mul(inputs.scale);
    const double hidden = -std::numeric_limits<double>::infinity();
    if (inputs.causal) {
        const at::Tensor visible =
            at::ones({scores.size(-2), scores.size(-1)}, at::TensorOptions().dtype(at::kBool))
                .tril();
        scores = scores.masked_fill(visible.logical_not(), hidden);
    }
    if (!inputs.mask.defined()) return scores;
    if (inputs.mask.scalar_type() == at::kBool) {
        return scores.masked_fill(inputs.mask.logical_not(), hidden);
    }
    return scores.add(inputs.mask);
}

// sqrt(a^2 b^2): how far independent rounding errors of a's elements move the product a b, in units
// of one relative rounding error.
at::Tensor root_of_squares(const at::Tensor& a, const at::Tensor& b) {
    return at::matmul(a.square(), b.square()).sqrt();
}

// out = softmax(q k^T scale) v. Fast kernels round the probabilities to the working dtype, because
// matrix units take no wider operand.
Reference attention_reference(const Case&, const c10::OperatorHandle& op, const Stack& stack,
                              c10::ScalarType working) {
    const AttentionInputs inputs = attention_inputs(op, stack);
    const at::Tensor scores = scores_of(inputs);
    const at::Tensor probabilities = scores.softmax(-1).nan_to_num(0.0);
    Reference reference;
    reference.kind = "composite";
    reference.values.push_back(at::matmul(probabilities, inputs.v));
    if (working == at::kFloat || working == at::kDouble) {
        reference.spread.emplace_back();
        reference.spread_rms.push_back(0.0);
    } else {
        const at::Tensor emulated = at::matmul(rounded(probabilities, working), inputs.v);
        reference.spread.push_back(root_of_squares(probabilities, inputs.v));
        reference.spread_rms.push_back(rms(rounded(emulated, working).sub(reference.values[0])));
    }
    if (op.schema().returns().size() > 1) {
        reference.values.push_back(scores.logsumexp(-1));
        reference.spread.emplace_back();
        reference.spread_rms.push_back(0.0);
    }
    return reference;
}

at::Tensor summed_groups(const at::Tensor& heads, std::int64_t groups) {
    return groups == 1 ? heads : heads.unflatten(1, {-1, groups}).sum(2);
}

// The gradients of the above, arXiv 2205.14135 appendix B.4: P = exp(S - logsumexp),
// dV = P^T dO, dS = P (dO V^T - rowsum(dO O)), dQ = dS K scale, dK = dS^T Q scale. Fast kernels
// round P and dS.
Reference attention_backward_reference(const Case&, const c10::OperatorHandle& op,
                                       const Stack& stack, c10::ScalarType working) {
    const AttentionInputs inputs = attention_inputs(op, stack);
    const at::Tensor d_out = tensor_at(op, stack, "grad_out");
    const at::Tensor out = tensor_at(op, stack, "out");
    const at::Tensor logsumexp = tensor_at(op, stack, "logsumexp");
    const at::Tensor p = scores_of(inputs).sub(logsumexp.unsqueeze(-1)).exp();
    const at::Tensor d_p = at::matmul(d_out, inputs.v.transpose(-2, -1));
    const at::Tensor d_s = p.mul(d_p.sub(d_out.mul(out).sum(-1, true)));
    const auto gradients = [&](const at::Tensor& p_used, const at::Tensor& d_s_used) {
        return std::array{
            at::matmul(d_s_used, inputs.k).mul(inputs.scale),
            summed_groups(at::matmul(d_s_used.transpose(-2, -1), inputs.q).mul(inputs.scale),
                          inputs.key_groups),
            summed_groups(at::matmul(p_used.transpose(-2, -1), d_out), inputs.key_groups)};
    };
    Reference reference;
    reference.kind = "composite";
    for (const at::Tensor& gradient : gradients(p, d_s)) reference.values.push_back(gradient);
    if (working == at::kFloat || working == at::kDouble) {
        reference.spread.resize(3);
        reference.spread_rms.resize(3, 0.0);
        return reference;
    }
    const auto emulated = gradients(rounded(p, working), rounded(d_s, working));
    const std::array spread = {
        root_of_squares(d_s, inputs.k).mul(inputs.scale),
        summed_groups(root_of_squares(d_s.transpose(-2, -1), inputs.q).mul(inputs.scale),
                      inputs.key_groups),
        summed_groups(root_of_squares(p.transpose(-2, -1), d_out), inputs.key_groups)};
    for (std::size_t i = 0; i < 3; ++i) {
        reference.spread.push_back(spread[i]);
        reference.spread_rms.push_back(rms(rounded(emulated[i], working).sub(reference.values[i])));
    }
    return reference;
}

// --- grouped matrix product ---

// Group g ends where offs[g] says. 2-d by 3-d: rows of the left side belong to groups; 3-d by 2-d:
// columns of the right side; 2-d by 2-d: the inner dimension; 3-d by 3-d: a plain batch.
Reference grouped_mm_reference(const Case&, const c10::OperatorHandle& op, const Stack& stack,
                               c10::ScalarType) {
    const at::Tensor left = stack[0].toTensor();
    const at::Tensor right = stack[1].toTensor();
    const at::Tensor ends = tensor_at(op, stack, "offs");
    Reference reference;
    reference.kind = "composite";
    reference.spread.emplace_back();
    reference.spread_rms.push_back(0.0);
    if (!ends.defined()) {
        reference.values.push_back(at::matmul(left, right));
        return reference;
    }
    const std::int64_t groups = ends.numel();
    const at::Tensor bounds = ends.to(at::kLong).contiguous();
    const std::int64_t* end = bounds.const_data_ptr<std::int64_t>();
    const auto options = left.options();
    at::Tensor result = left.dim() == 2 && right.dim() == 2
                            ? at::zeros({groups, left.size(0), right.size(1)}, options)
                            : (left.dim() == 2 ? at::zeros({left.size(0), right.size(2)}, options)
                                               : at::zeros({left.size(1), right.size(1)}, options));
    std::int64_t begin = 0;
    for (std::int64_t group = 0; group < groups; ++group) {
        const std::int64_t length = end[group] - begin;
        if (left.dim() == 2 && right.dim() == 2) {
            result.select(0, group).copy_(
                left.narrow(1, begin, length).mm(right.narrow(0, begin, length)));
        } else if (left.dim() == 2) {
            result.narrow(0, begin, length)
                .copy_(left.narrow(0, begin, length).mm(right.select(0, group)));
        } else {
            result.narrow(1, begin, length)
                .copy_(left.select(0, group).mm(right.narrow(1, begin, length)));
        }
        begin = end[group];
    }
    reference.values.push_back(result);
    return reference;
}

// --- sums in the output's dtype ---

// Every one of n additions may round by half an ulp of a partial sum, and no partial sum exceeds
// the sum of sizes: |error| <= n/2 ulp(sum |x|). n and the sum come from the operator itself, fed
// with ones and with absolute values.
void add_scatter_spread(const Case& operator_case, const c10::OperatorHandle& op,
                        const Stack& stack, c10::ScalarType working, Reference& reference) {
    if (working == at::kFloat || working == at::kDouble) return;
    Stack ones, sizes;
    for (const c10::IValue& value : stack) {
        ones.push_back(with_tensors(value, [](const at::Tensor& tensor) {
            return is_real(tensor) ? at::ones_like(tensor) : tensor;
        }));
        sizes.push_back(with_tensors(value, [](const at::Tensor& tensor) {
            return is_real(tensor) ? tensor.abs() : tensor;
        }));
    }
    const std::vector<Output> counts = call(operator_case, op, ones);
    const std::vector<Output> sums = call(operator_case, op, sizes);
    const double half_ulp = std::ldexp(1.0, -format_of(working).precision);
    for (std::size_t i = 0; i < reference.values.size(); ++i) {
        reference.spread[i] = counts[i].value.mul(sums[i].value);
        // Independent roundings add up like a random walk.
        reference.spread_rms[i] = half_ulp * rms(counts[i].value.sqrt().mul(sums[i].value));
    }
}

// Sums of all elements (or of their squares, under a root) as a kernel with one vector register of
// fp32 accumulators makes them. Errors of one sign pile up there, a thousandth of the sum and more
// beyond ten million elements, and that is legal.
double lanes_error(const Case& operator_case, const Stack& stack, const Reference& reference) {
    const bool norm = operator_case.op == "aten::linalg_vector_norm";
    if ((!norm && operator_case.op != "aten::sum") || reference.values.size() != 1 ||
        reference.values[0].numel() != 1 || !is_real(reference.values[0]) || !stack[0].isTensor() ||
        (norm && stack[1].toScalar().toDouble() != 2.0)) {
        return 0.0;
    }
    const at::Tensor values = stack[0].toTensor().contiguous();
    if (values.scalar_type() != at::kDouble) return 0.0;
    const double* data = values.const_data_ptr<double>();
    std::array<float, kLanes> lanes{};
    for (std::int64_t begin = 0; begin < values.numel(); begin += kLanes) {
        const std::int64_t count = std::min(kLanes, values.numel() - begin);
        for (std::int64_t lane = 0; lane < count; ++lane) {
            const auto value = static_cast<float>(data[begin + lane]);
            lanes[static_cast<std::size_t>(lane)] += norm ? value * value : value;
        }
    }
    float sum = 0.0F;
    for (const float lane : lanes) sum += lane;
    const float result = norm ? std::sqrt(sum) : sum;
    return std::abs(static_cast<double>(result) - reference.values[0].item<double>());
}

Reference lifted_reference(const Case& operator_case, const c10::OperatorHandle& op,
                           const Stack& stack, c10::ScalarType working) {
    Reference reference;
    reference.kind = "fp64";
    for (const Output& output :
         call(operator_case, op, operator_case.writes.empty() ? stack : own_copy(stack))) {
        reference.values.push_back(is_real(output.value) ? output.value.to(at::kDouble)
                                                         : output.value);
    }
    reference.spread.resize(reference.values.size());
    reference.spread_rms.resize(reference.values.size(), 0.0);
    const Family family = family_of(operator_case.op);
    if (family == Family::kScatter) {
        add_scatter_spread(operator_case, op, stack, working, reference);
    }
    if (family == Family::kReduction) {
        reference.lanes_error = lanes_error(operator_case, stack, reference);
    }
    return reference;
}

using Composite = Reference (*)(const Case&, const c10::OperatorHandle&, const Stack&,
                                c10::ScalarType);
struct Entry {
    std::string_view op;
    Composite reference;
};

// Operators whose fp64 form torch does not have, or would compute in the device's own way.
constexpr std::array kComposites = {
    Entry{"aten::scaled_dot_product_attention", attention_reference},
    Entry{"aten::_scaled_dot_product_flash_attention_for_cpu", attention_reference},
    Entry{"aten::_scaled_dot_product_flash_attention_for_cpu_backward",
          attention_backward_reference},
    Entry{"aten::_grouped_mm", grouped_mm_reference},
};

}  // namespace

Stack lifted(const c10::FunctionSchema& schema, const Stack& stack) {
    Stack result;
    for (std::size_t i = 0; i < stack.size(); ++i) {
        c10::TypePtr type = schema.arguments()[i].real_type();
        if (const auto optional = type->cast<c10::OptionalType>())
            type = optional->getElementType();
        if (type->kind() == c10::TypeKind::ScalarTypeType && stack[i].isInt()) {
            const auto dtype = static_cast<c10::ScalarType>(stack[i].toInt());
            result.emplace_back(
                static_cast<std::int64_t>(c10::isFloatingType(dtype) ? at::kDouble : dtype));
            continue;
        }
        result.push_back(with_tensors(stack[i], [](const at::Tensor& tensor) {
            return is_real(tensor) ? tensor.to(at::kDouble) : tensor;
        }));
    }
    return result;
}

Stack own_copy(const Stack& stack) {
    Stack own;
    for (const c10::IValue& value : stack) {
        own.push_back(with_tensors(value, [](const at::Tensor& tensor) { return tensor.clone(); }));
    }
    return own;
}

Stack perturbed(const Stack& lifted_stack, std::uint64_t seed) {
    const double unit = std::ldexp(1.0, -24);
    const Fill fill{.family = FillFamily::kUniform, .low = 1.0 - unit, .high = 1.0 + unit};
    std::uint64_t stream = 1000;
    Stack result;
    for (const c10::IValue& value : lifted_stack) {
        result.push_back(with_tensors(value, [&](const at::Tensor& tensor) {
            if (!is_real(tensor)) return tensor;
            return tensor.mul(make_values(fill, tensor.sizes(), at::kDouble, seed, stream++));
        }));
    }
    return result;
}

Reference reference_of(const Case& operator_case, const c10::OperatorHandle& op, const Stack& stack,
                       c10::ScalarType working) {
    const c10::AutoGradMode no_gradients(false);
    for (const Entry& entry : kComposites) {
        if (entry.op == operator_case.op) return entry.reference(operator_case, op, stack, working);
    }
    return lifted_reference(operator_case, op, stack, working);
}

std::int64_t index_mismatches(const at::Tensor& values, std::int64_t dimension,
                              const at::Tensor& got, const at::Tensor& expected, bool distinct) {
    if (got.lt(0).any().item<bool>() || got.ge(values.size(dimension)).any().item<bool>()) {
        return got.lt(0).logical_or(got.ge(values.size(dimension))).sum().item<std::int64_t>();
    }
    const at::Tensor differ = values.gather(dimension, got).ne(values.gather(dimension, expected));
    std::int64_t count = differ.sum().item<std::int64_t>();
    const std::int64_t length = got.size(dimension);
    if (distinct && length > 1) {
        const at::Tensor ordered = std::get<0>(got.sort(dimension));
        count += ordered.narrow(dimension, 1, length - 1)
                     .eq(ordered.narrow(dimension, 0, length - 1))
                     .sum()
                     .item<std::int64_t>();
    }
    return count;
}

}  // namespace ascertain::operators
