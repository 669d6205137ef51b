#include "worker/operators/reordering.hpp"

#include <ATen/ops/ones_like.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/host/declared.hpp"
#include "worker/operators/dtype.hpp"
#include "worker/operators/family.hpp"
#include "worker/operators/reference.hpp"

namespace ascertain::operators {
namespace {

// The lifted stack with every floating tensor changed.
template <typename Change>
Stack with_real_tensors(const Stack& lifted_stack, const Change& change) {
    Stack changed = lifted_stack;
    for (c10::IValue& value : changed) {
        if (!value.isTensor() || !value.toTensor().defined()) continue;
        if (at::isFloatingType(value.toTensor().scalar_type())) value = change(value.toTensor());
    }
    return changed;
}

std::vector<at::Tensor> values_of(const std::vector<Output>& outputs) {
    std::vector<at::Tensor> values;
    for (const Output& output : outputs) values.push_back(output.value.to(at::kDouble));
    return values;
}

}  // namespace

bool may_come_in_any_order(const Case& operator_case) {
    // Whole numbers add up to the same in any order.
    const bool floating =
        std::ranges::any_of(operator_case.arguments, [](const Argument& argument) {
            const auto* spec = std::get_if<TensorSpec>(&argument);
            return spec != nullptr && at::isFloatingType(spec->dtype);
        });
    return floating && worker::declares_unordered_index_sums() &&
           family_of(operator_case.op) == Family::kScatter;
}

std::vector<at::Tensor> reordering_bounds(const Case& operator_case, const c10::OperatorHandle& op,
                                          const Stack& host) {
    c10::ScalarType working = at::kFloat;
    for (const c10::IValue& value : host) {
        if (value.isTensor() && value.toTensor().defined() &&
            at::isFloatingType(value.toTensor().scalar_type())) {
            working = value.toTensor().scalar_type();
            break;
        }
    }
    const Stack real = lifted(op.schema(), own_copy(host));
    const auto ones = [](const at::Tensor& tensor) { return at::ones_like(tensor); };
    const auto sizes = [](const at::Tensor& tensor) { return tensor.abs(); };
    const std::vector<at::Tensor> counts =
        values_of(call(operator_case, op, with_real_tensors(real, ones)));
    const std::vector<at::Tensor> sums =
        values_of(call(operator_case, op, with_real_tensors(real, sizes)));
    // Each order errs by at most n half units in the last place of the sum of sizes.
    const double unit = std::ldexp(1.0, -format_of(working).precision);
    std::vector<at::Tensor> bounds;
    for (std::size_t i = 0; i < sums.size(); ++i) {
        bounds.push_back(counts[i].mul(sums[i]).mul(2.0 * unit));
    }
    return bounds;
}

double reordering_ratio(const std::vector<at::Tensor>& bounds, const std::vector<at::Tensor>& one,
                        const std::vector<at::Tensor>& other) {
    constexpr double kInfinite = std::numeric_limits<double>::infinity();
    if (bounds.size() != one.size() || one.size() != other.size()) return kInfinite;
    double worst = 0.0;
    for (std::size_t i = 0; i < bounds.size(); ++i) {
        if (one[i].sizes() != other[i].sizes() || one[i].sizes() != bounds[i].sizes()) {
            return kInfinite;
        }
        const at::Tensor a = one[i].to(at::kDouble);
        const at::Tensor b = other[i].to(at::kDouble);
        const at::Tensor same = a.eq(b).logical_or(a.isnan().logical_and(b.isnan()));
        if (same.all().item<bool>()) continue;
        // 0 where nothing differs, so that 0 / 0 is no ratio.
        const at::Tensor ratio = a.sub(b).abs().div(bounds[i]).masked_fill(same, 0.0);
        worst = std::max(worst, ratio.nan_to_num(kInfinite, kInfinite).max().item<double>());
    }
    return worst;
}

}  // namespace ascertain::operators
