// Every operator on views of larger memory: transposed, with gaps, at odd places, with stride 0.
// The memory around each operand holds canaries: NaN, which shows in the result when it is read and
// is missed when it is written over.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>

#include "worker/operators/battery/batteries.hpp"
#include "worker/operators/battery/rows.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators::battery {
namespace {

enum class Layout { kTransposed, kSlice, kStrided, kExpanded };
constexpr std::array<std::string_view, 4> kNames{"transposed", "slice", "strided", "expanded"};

// Odd, so that no vector load is aligned.
constexpr std::int64_t kMargin = 3;
constexpr double kCanary = 1024.0;

struct Placed {
    at::Tensor host;   // the whole memory, flat
    at::Tensor there;  // the same on the device
    at::Tensor view;   // the operand in it
};

struct Strides {
    std::vector<std::int64_t> strides;
    std::int64_t length = 0;
};

Strides strides_of(at::IntArrayRef sizes, Layout layout) {
    Strides result;
    result.strides.assign(sizes.size(), 1);
    std::int64_t step = layout == Layout::kStrided ? 2 : 1;
    const auto dims = static_cast<std::int64_t>(sizes.size());
    for (std::int64_t i = 0; i < dims; ++i) {
        // The fastest dimension comes last, unless the operand is transposed.
        const bool swapped = layout == Layout::kTransposed && i < 2 && dims > 1;
        const std::int64_t dim = swapped ? dims - 2 + i : dims - 1 - i;
        result.strides[static_cast<std::size_t>(dim)] = step;
        step *= std::max<std::int64_t>(sizes[static_cast<std::size_t>(dim)], 1);
        // Rows of a wider buffer.
        if (layout == Layout::kSlice && i == 0) step += kMargin;
    }
    if (layout == Layout::kExpanded && dims > 1) result.strides[0] = 0;
    result.length = 1;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        result.length += (std::max<std::int64_t>(sizes[i], 1) - 1) * result.strides[i];
    }
    return result;
}

Placed placed(const Bench& bench, const at::Tensor& values, Layout layout) {
    const Strides strides = strides_of(values.sizes(), layout);
    Placed result;
    result.host = at::empty({strides.length + 2 * kMargin}, values.options());
    if (at::isFloatingType(values.scalar_type())) {
        result.host.fill_(kCanary);
    } else {
        result.host.zero_();  // a canary that is an index out of range would end the process
    }
    const auto view_of = [&](const at::Tensor& flat) {
        return flat.as_strided(values.sizes(), strides.strides, kMargin);
    };
    at::Tensor inside = view_of(result.host);
    if (layout == Layout::kExpanded && values.dim() > 1 && values.size(0) > 0) {
        inside[0].copy_(values[0]);
    } else {
        inside.copy_(values);
    }
    result.there = bench.put(result.host);
    result.view = view_of(result.there);
    return result;
}

// What lies outside of the operand, or all of it when the operator only reads, must be as it was.
void check_around(Bench& bench, const Placed& operand, bool may_write, std::size_t number) {
    const at::Tensor after = operand.there.cpu();
    at::Tensor outside = at::ones({after.numel()}, at::TensorOptions(at::kBool));
    if (may_write) {
        outside.as_strided(operand.view.sizes(), operand.view.strides(), kMargin).fill_(false);
    }
    bench.equal(after.masked_select(outside), operand.host.masked_select(outside),
                fmt::format("memory around operand {}", number));
}

bool fits(const Row& row, Layout layout) {
    // Memory that stands for several elements cannot be written.
    return layout != Layout::kExpanded || !row.writes;
}

void ask_layout(Bench& bench, const Row& row, const Shape& shape, c10::ScalarType dtype,
                Layout layout) {
    const std::string name = fmt::format("{} {}", question_of(row, shape, dtype),
                                         kNames[static_cast<std::size_t>(layout)]);
    if (!fits(row, layout) || !bench.wants(name)) return;
    bench.ask(name, [&] {
        std::vector<Placed> operands;
        Tensors host;
        Tensors views;
        for (const at::Tensor& input : inputs_of(bench, row, shape, dtype)) {
            // A permutation that is expanded along rows stays one; expanded places of rows do not.
            const bool keep = input.dim() < 2 && layout == Layout::kExpanded;
            operands.push_back(placed(bench, input, keep ? Layout::kSlice : layout));
            const Placed& operand = operands.back();
            host.push_back(
                operand.host.as_strided(operand.view.sizes(), operand.view.strides(), kMargin)
                    .contiguous());
            views.push_back(operand.view);
        }
        const Tensors want = reference_of(row, host);
        judge(bench, row, host, row.call(views), want);
        for (std::size_t i = 0; i < operands.size(); ++i) {
            check_around(bench, operands[i], row.writes, i);
        }
    });
}

}  // namespace

void layouts(Bench& bench) {
    std::vector<Shape> shapes{{5, 7, 3}, {33, 70, 17}};
    if (bench.at_least(Size::kStandard)) {
        shapes.push_back({64, 128, 64});
        shapes.push_back({130, 257, 65});
    }
    const std::vector<Row> rows = all_rows();
    for (const c10::ScalarType dtype : bench.dtypes()) {
        for (const Shape& shape : shapes) {
            for (const Layout layout :
                 {Layout::kTransposed, Layout::kSlice, Layout::kStrided, Layout::kExpanded}) {
                for (const Row& row : rows) ask_layout(bench, row, shape, dtype, layout);
            }
        }
    }
}

}  // namespace ascertain::operators::battery
