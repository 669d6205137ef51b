// The sweeps over the table of operators: awkward sizes, the backward pass, many small calls.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "worker/host/failure.hpp"
#include "worker/operators/battery/batteries.hpp"
#include "worker/operators/battery/rows.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators::battery {
namespace {

Tensors put_all(const Bench& bench, const Tensors& host) {
    Tensors device;
    for (const at::Tensor& one : host) device.push_back(bench.put(one));
    return device;
}

// Leaves NaN in the memory that the next results will be given, so that what is never written is
// seen. Whole numbers get the smallest one.
void poison(const Bench& bench, const Tensors& like) {
    Tensors held;
    for (const at::Tensor& one : like) {
        const at::TensorOptions options = one.options().device(bench.device());
        if (at::isFloatingType(one.scalar_type())) {
            // The device gives its own dtype, not the reference's fp64: both sizes are poisoned.
            held.push_back(at::full(one.sizes(), NAN, options.dtype(at::kFloat)));
            held.push_back(at::full(one.sizes(), NAN, options.dtype(at::kBFloat16)));
        } else {
            held.push_back(at::full(one.sizes(), 1, options));
        }
    }
}

void ask_row(Bench& bench, const Row& row, const Shape& shape, c10::ScalarType dtype) {
    const std::string name = question_of(row, shape, dtype);
    if (!bench.wants(name)) return;
    bench.ask(name, [&] {
        const Tensors inputs = inputs_of(bench, row, shape, dtype);
        // What torch refuses on the CPU too (an empty maximum) is no question.
        const Result<Tensors> want =
            worker::guarded(name, [&] { return reference_of(row, inputs); });
        if (!want) return;
        const Tensors device = put_all(bench, inputs);
        poison(bench, *want);
        judge(bench, row, inputs, row.call(device), *want);
    });
}

std::vector<Shape> awkward_shapes(const Bench& bench) {
    std::vector<Shape> shapes{
        {17, 33, 15},  {1, 1, 1},    {1, 7, 3},    {2, 192, 5},    {3, 1, 2},     {0, 5, 3},
        {5, 0, 2},     {7, 13, 11},  {16, 16, 16}, {31, 127, 65},  {32, 128, 64}, {33, 129, 66},
        {65, 257, 31}, {1, 4097, 1}, {4097, 1, 1}, {255, 63, 127}, {2049, 40, 3}};
    if (bench.at_least(Size::kStandard)) {
        const std::vector<Shape> more{{128, 128, 128}, {127, 511, 129}, {513, 255, 257},
                                      {1, 65537, 1},   {65537, 2, 1},   {1023, 1025, 3},
                                      {66000, 3, 2},   {3, 33000, 2}};
        shapes.insert(shapes.end(), more.begin(), more.end());
    }
    return shapes;
}

// Every remainder by 64, where kernels have their tails; a few beyond the larger tiles.
std::vector<std::int64_t> tails(const Bench& bench) {
    std::vector<std::int64_t> widths;
    const std::int64_t dense = bench.at_least(Size::kStandard) ? 260 : 66;
    for (std::int64_t width = 2; width <= dense; ++width) widths.push_back(width);
    for (const std::int64_t width : {95, 96, 97, 127, 129, 160, 191, 193, 255, 256}) {
        if (width > dense) widths.push_back(width);
    }
    return widths;
}

std::vector<c10::ScalarType> swept_dtypes(const Bench& bench) {
    std::vector<c10::ScalarType> dtypes = bench.dtypes();
    if (bench.at_least(Size::kStandard)) {
        for (const c10::ScalarType more : {at::kHalf, at::kBFloat16}) {
            if (std::ranges::find(dtypes, more) == dtypes.end()) dtypes.push_back(more);
        }
    }
    return dtypes;
}

// Gradients of the floating inputs. Undefined ones are zeros.
Tensors gradients_of(const Row& row, const Tensors& inputs, const Tensors& weights) {
    const c10::AutoGradMode with_gradients(true);
    Tensors leaves;
    Tensors all;
    for (const at::Tensor& input : inputs) {
        at::Tensor leaf = input.detach();
        if (at::isFloatingType(leaf.scalar_type())) {
            leaf.requires_grad_(true);
            leaves.push_back(leaf);
        }
        all.push_back(leaf);
    }
    Tensors roots;
    Tensors into;
    const Tensors outputs = row.call(all);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
        if (!outputs[i].requires_grad()) continue;
        roots.push_back(outputs[i]);
        into.push_back(weights[i].to(outputs[i].options()));
    }
    if (roots.empty()) return {};
    Tensors gradients = torch::autograd::grad(roots, leaves, into, std::nullopt, false, true);
    for (std::size_t i = 0; i < gradients.size(); ++i) {
        if (!gradients[i].defined()) gradients[i] = at::zeros_like(leaves[i]);
    }
    return gradients;
}

// `terms`: how many elements of the outputs add to one of the gradient.
Tolerance gradient_tolerance(const Row& row, const at::Tensor& want, double terms,
                             c10::ScalarType dtype) {
    const double half_ulp = std::ldexp(1.0, -format_of(dtype).precision);
    // A backward pass works from saved results that were rounded; a handful of roundings at the
    // size of the largest gradient. In fp32 also a few hundred operations.
    constexpr double kRoundings = 8.0;
    constexpr double kOperations = 256.0;
    const bool wide = dtype == at::kFloat;
    Tolerance tolerance{.ulps = 1.0};
    if (wide && (row.rule == Rule::kMoved || row.rule == Rule::kWhole)) return tolerance;
    // Partial sums over rows may be kept in the dtype: the walk of their roundings.
    const double legal = wide ? std::max(kOperations, sum_operations(terms))
                              : std::max(kRoundings, std::sqrt(terms));
    tolerance.spread = legal * half_ulp * largest_of(want);
    return tolerance;
}

void ask_gradient(Bench& bench, const Row& row, const Shape& shape, c10::ScalarType dtype) {
    // Equal values at a maximum share or win by the kernel's order: asked where they are rare.
    const bool ties = row.rule == Rule::kMoved && row.inputs[0].fill == Fill::kNormal;
    if (!row.has_gradient || (ties && dtype != at::kFloat)) return;
    const std::string name = question_of(row, shape, dtype);
    if (!bench.wants(name)) return;
    bench.ask(name, [&] {
        const Tensors inputs = inputs_of(bench, row, shape, dtype);
        Tensors wide;
        for (const at::Tensor& input : inputs) {
            wide.push_back(at::isFloatingType(input.scalar_type()) ? input.to(at::kDouble) : input);
        }
        Tensors weights;
        Tensors device_weights;
        for (const at::Tensor& output : row.call(wide)) {
            weights.push_back(bench.whole(output.sizes(), -4, 4, at::kDouble));
            device_weights.push_back(bench.put(weights.back().to(dtype)));
        }
        const Tensors want = gradients_of(row, wide, weights);
        if (want.empty()) return;
        const Tensors got = gradients_of(row, put_all(bench, inputs), device_weights);
        if (got.size() != want.size()) {
            bench.faults(1, "number of gradients");
            return;
        }
        for (std::size_t i = 0; i < got.size(); ++i) {
            const double terms = ratio_of_sizes(weights[0], want[i]);
            bench.within(bench.fetch(got[i]), want[i],
                         gradient_tolerance(row, want[i], terms, dtype),
                         fmt::format("gradient of operand {}", i));
        }
    });
}

// The same call over and over, among others and without waiting for any of them; only then are the
// results looked at.
void ask_again(Bench& bench, const Row& row, const Shape& shape, std::int64_t times) {
    const c10::ScalarType dtype = bench.dtypes().front();
    bench.ask(question_of(row, shape, dtype), [&] {
        constexpr std::int64_t kInFlight = 64;
        const Tensors inputs = inputs_of(bench, row, shape, dtype);
        const Tensors want = reference_of(row, inputs);
        const Tensors device = put_all(bench, inputs);
        const at::Tensor other = bench.put(bench.normal({48, 48}, dtype));
        Tensors first;
        std::int64_t different = 0;
        for (std::int64_t done = 0; done < times; done += kInFlight) {
            std::vector<Tensors> flight;
            for (std::int64_t i = 0; i < std::min(kInFlight, times - done); ++i) {
                if (i % 16 == 0) static_cast<void>(other.mm(other));
                flight.push_back(row.call(device));
            }
            for (const Tensors& outputs : flight) {
                if (first.empty()) {
                    judge(bench, row, inputs, outputs, want);
                    for (const at::Tensor& one : outputs) first.push_back(one.cpu().contiguous());
                    continue;
                }
                bool same = outputs.size() == first.size();
                for (std::size_t i = 0; same && i < outputs.size(); ++i) {
                    same = bench.same_bits(outputs[i], first[i]);
                }
                if (!same) ++different;
            }
        }
        bench.faults(different, "calls whose result differs from the first one's");
    });
}

}  // namespace

void shapes(Bench& bench) {
    const std::vector<Row> rows = all_rows();
    for (const c10::ScalarType dtype : swept_dtypes(bench)) {
        for (const Shape& shape : awkward_shapes(bench)) {
            for (const Row& row : rows) ask_row(bench, row, shape, dtype);
        }
    }
    for (const std::int64_t width : tails(bench)) {
        for (const Row& row : rows) {
            if (!row.writes) ask_row(bench, row, {3, width, 5}, bench.dtypes().front());
        }
        for (const Row& row : product_rows()) {
            ask_row(bench, row, {width, 32, 67 - std::min<std::int64_t>(width, 66)},
                    bench.dtypes().front());
        }
    }
}

void gradients(Bench& bench) {
    std::vector<Shape> shapes{{5, 7, 3}, {33, 65, 17}, {2, 192, 4}};
    if (bench.at_least(Size::kStandard)) {
        const std::vector<Shape> more{{1, 17, 1}, {64, 128, 32}, {127, 129, 33}, {1025, 40, 3}};
        shapes.insert(shapes.end(), more.begin(), more.end());
    }
    const std::vector<Row> rows = all_rows();
    for (const c10::ScalarType dtype : swept_dtypes(bench)) {
        for (const Shape& shape : shapes) {
            for (const Row& row : rows) ask_gradient(bench, row, shape, dtype);
        }
    }
}

void endurance(Bench& bench) {
    const std::int64_t times = bench.count(640, 6400);
    for (const Row& row : all_rows()) {
        if (!row.writes) ask_again(bench, row, {5, 24, 7}, times);
    }
}

}  // namespace ascertain::operators::battery
