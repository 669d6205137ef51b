// Whole numbers and places: overflow, signs, ties, duplicates.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <array>
#include <limits>

#include "worker/operators/battery/batteries.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators::battery {
namespace {

using T = const at::Tensor&;

struct Whole {
    std::string_view name;
    Tensors (*call)(T a, T b);
};

constexpr std::array kWhole{
    Whole{"add",
          [](T a, T b) {
              return Tensors{a.add(b), a.sub(b), a.mul(b), a.neg()};
          }},
    Whole{"divide",
          [](T a, T b) {
              const at::Tensor d = b.masked_fill(b.eq(0), 3);
              return Tensors{a.floor_divide(d), a.remainder(d), a.fmod(d), a.div(d, "trunc")};
          }},
    Whole{"bits",
          [](T a, T b) {
              return Tensors{a.bitwise_and(b), a.bitwise_or(b), a.bitwise_xor(b),
                             a.bitwise_not(),  a.__lshift__(3), a.__rshift__(2)};
          }},
    Whole{"order",
          [](T a, T b) {
              return Tensors{a.lt(b), a.le(b), a.gt(b),      a.ge(b),
                             a.eq(b), a.ne(b), a.maximum(b), a.minimum(b)};
          }},
    Whole{"sums",
          [](T a, T b) {
              return Tensors{a.sum(), a.sum(0), b.sum(1), a.cumsum(1), a.cumsum(0), a.prod(1)};
          }},
    Whole{"extremes",
          [](T a, T) {
              return Tensors{a.max(),
                             a.min(),
                             a.amax(1),
                             a.amin(0),
                             std::get<0>(a.max(1)),
                             std::get<0>(a.cummax(1))};
          }},
    Whole{"sorted",
          [](T a, T) {
              const auto [v, p] = a.sort(1);
              return Tensors{v, a.gather(1, p), std::get<0>(a.topk(2, 1)), std::get<0>(p.sort(1))};
          }},
    Whole{"abs and clamp",
          [](T a, T) {
              return Tensors{a.abs(), a.clamp(-5, 7), a.sign(), a.square()};
          }},
    Whole{"moved",
          [](T a, T b) {
              return Tensors{at::cat({a, b}, 1),       a.t().contiguous(),        a.flip({0}),
                             at::where(a.gt(b), a, b), a.masked_fill(b.gt(0), 9), a.clone()};
          }},
    Whole{"counted",
          [](T a, T) {
              return Tensors{a.ne(0).sum(), a.nonzero(),
                             a.count_nonzero(std::optional<std::int64_t>(1)),
                             at::bincount(a.remainder(11).flatten())};
          }},
};

// Values at the ends of the range among ordinary ones.
at::Tensor drawn(Bench& bench, at::IntArrayRef shape, c10::ScalarType dtype) {
    at::Tensor values = bench.whole(shape, -100, 100, dtype);
    at::Tensor flat = values.flatten();
    const bool wide = dtype == at::kLong;
    const std::int64_t top =
        wide ? std::numeric_limits<std::int64_t>::max() : std::numeric_limits<std::int32_t>::max();
    const std::array<std::int64_t, 5> edges{top, -top, wide ? (1LL << 53) + 1 : (1LL << 24) + 1,
                                            wide ? (1LL << 32) + 5 : 65537, top - 1};
    for (std::size_t i = 0; i < edges.size(); ++i) {
        const auto place = static_cast<std::int64_t>(i) * 5 % flat.numel();
        flat.narrow(0, place, 1).fill_(edges[i]);
    }
    return flat.view(shape);
}

void ask_whole(Bench& bench, const Whole& whole, c10::ScalarType dtype, std::int64_t rows,
               std::int64_t columns) {
    bench.ask(fmt::format("{} {} {}x{}", whole.name, name_of(dtype), rows, columns), [&] {
        const at::Tensor a = drawn(bench, {rows, columns}, dtype);
        const at::Tensor b = bench.whole({rows, columns}, -9, 9, dtype);
        const Tensors want = whole.call(a, b);
        const Tensors got = whole.call(bench.put(a), bench.put(b));
        for (std::size_t i = 0; i < want.size(); ++i) {
            bench.equal(bench.fetch(got[i]), want[i], fmt::format("result {}", i));
        }
    });
}

// Many additions to one place: none may be lost, whatever the order.
void ask_duplicates(Bench& bench, std::int64_t count, std::int64_t places, c10::ScalarType dtype) {
    bench.ask(fmt::format("{} additions to {} places, {}", count, places, name_of(dtype)), [&] {
        const at::Tensor to = bench.whole({count}, 0, places - 1, at::kLong);
        const at::Tensor values = bench.whole({count, 3}, 0, 2, dtype);
        const at::Tensor start = at::zeros({places, 3}, at::TensorOptions(dtype));
        const bool whole = !at::isFloatingType(dtype);
        const auto want_of = [&](T v) {
            return start.to(at::kLong).index_add(0, to, v.to(at::kLong));
        };
        const at::Tensor want = want_of(values);
        const at::Tensor there = bench.put(values);
        const at::Tensor to_there = bench.put(to);
        const at::Tensor zero = bench.put(start);
        const auto check = [&](T got, std::string_view what) {
            const at::Tensor host = bench.fetch(got);
            bench.equal(whole ? host.to(at::kLong) : host.to(at::kLong), want, what);
        };
        check(zero.index_add(0, to_there, there), "index_add");
        check(zero.index_put({to_there}, there, true), "index_put");
        check(zero.scatter_add(0, to_there.unsqueeze(1).expand({count, 3}), there), "scatter_add");
        bench.equal(bench.fetch(at::bincount(to_there, {}, places)), at::bincount(to, {}, places),
                    "bincount");
        if (!whole) {
            check(at::embedding_dense_backward(there, to_there, places, -1, false),
                  "embedding backward");
        }
    });
}

void ask_places(Bench& bench) {
    bench.ask("negative and repeated places", [&] {
        const at::Tensor x = bench.normal({37, 11}, at::kFloat);
        const at::Tensor rows = bench.whole({50}, -37, 36, at::kLong);
        const at::Tensor columns = bench.whole({50}, -11, 10, at::kLong);
        const at::Tensor there = bench.put(x);
        bench.equal(bench.fetch(there.index({bench.put(rows)})), x.index({rows}), "rows");
        bench.equal(bench.fetch(there.index({bench.put(rows), bench.put(columns)})),
                    x.index({rows, columns}), "pairs");
        const at::Tensor mask = bench.whole({37}, 0, 1, at::kBool);
        bench.equal(bench.fetch(there.index({bench.put(mask)})), x.index({mask}), "mask");
    });
    bench.ask("the first of equal ones", [&] {
        // torch documents that argmax and max give the first place of the largest value.
        for (const std::int64_t width : {3, 64, 100, 1030}) {
            at::Tensor x = bench.whole({5, width}, 0, 1, at::kFloat);
            x.select(1, width - 1).fill_(1.0);
            bench.equal(bench.fetch(x.numel() > 0 ? bench.put(x).argmax(1) : x), x.argmax(1),
                        fmt::format("argmax, width {}", width));
        }
    });
    bench.ask("stable sort of equal ones", [&] {
        const at::Tensor x = bench.whole({4, 1000}, 0, 5, at::kInt);
        bench.equal(bench.fetch(bench.put(x).argsort(true, 1, false)), x.argsort(true, 1, false));
    });
    bench.ask("search and unique", [&] {
        const at::Tensor sorted = std::get<0>(bench.whole({300}, 0, 1000, at::kLong).sort());
        const at::Tensor asked = bench.whole({77}, -5, 1005, at::kLong);
        bench.equal(bench.fetch(at::searchsorted(bench.put(sorted), bench.put(asked))),
                    at::searchsorted(sorted, asked), "searchsorted");
        const at::Tensor many = bench.whole({500}, 0, 40, at::kLong);
        bench.equal(bench.fetch(std::get<0>(at::_unique2(bench.put(many), true, true, true))),
                    std::get<0>(at::_unique2(many, true, true, true)), "unique");
    });
    bench.ask("long running sums", [&] {
        const at::Tensor ones = at::ones({100003}, at::TensorOptions(at::kInt));
        bench.equal(bench.fetch(bench.put(ones).cumsum(0)), ones.cumsum(0), "cumsum");
        bench.equal(bench.fetch(bench.put(ones).sum()), ones.sum(), "sum");
        const at::Tensor floats = at::ones({100003}, at::TensorOptions(at::kFloat));
        bench.equal(bench.fetch(bench.put(floats).sum()), floats.sum(), "fp32 sum");
        bench.equal(bench.fetch(bench.put(floats).cumsum(0)), floats.cumsum(0), "fp32 cumsum");
        bench.equal(bench.fetch(bench.put(floats.to(at::kBFloat16)).sum(at::kFloat)),
                    at::full({}, 100003.0), "bf16 sum");
    });
}

}  // namespace

void indices(Bench& bench) {
    for (const c10::ScalarType dtype : {at::kLong, at::kInt}) {
        for (const Whole& whole : kWhole) {
            ask_whole(bench, whole, dtype, 17, 33);
            ask_whole(bench, whole, dtype, 3, 130);
            if (bench.at_least(Size::kStandard)) ask_whole(bench, whole, dtype, 515, 257);
        }
    }
    ask_places(bench);
    for (const c10::ScalarType dtype : {at::kFloat, at::kLong}) {
        ask_duplicates(bench, 1000, 1, dtype);
        ask_duplicates(bench, 5000, 7, dtype);
        ask_duplicates(bench, 4097, 2048, dtype);
    }
    // Up to 256 whole numbers are exact in bf16.
    ask_duplicates(bench, 100, 1, bench.dtypes().front());
}

}  // namespace ascertain::operators::battery
