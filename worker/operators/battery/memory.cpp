// Memory and copies: patterns that show stuck or shared bits, every way to and from the host, and
// sizes beyond which offsets overflow.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <unistd.h>

#include "worker/operators/battery/batteries.hpp"
#include "worker/operators/dtype.hpp"

namespace ascertain::operators::battery {
namespace {

// Odd, with bits everywhere: makes every place a number of its own.
constexpr std::int64_t kSpread = -7046029254386353131;

void ask_patterns(Bench& bench, std::int64_t words) {
    const at::TensorOptions options = at::TensorOptions(at::kLong).device(bench.device());
    const auto check = [&](const at::Tensor& memory, const at::Tensor& want,
                           std::string_view what) {
        // Compared there and here: a device that compares wrongly does not hide its memory.
        bench.faults(bench.fetch(memory.ne(want).sum()).item<std::int64_t>(), what);
        const std::int64_t part = std::min<std::int64_t>(memory.numel(), 1 << 18);
        const std::int64_t from = memory.numel() - part;
        const at::Tensor here =
            want.dim() == 0 ? want.cpu().expand({part}) : want.narrow(0, from, part).cpu();
        bench.equal(bench.fetch(memory.narrow(0, from, part)), here, what);
    };
    for (const std::int64_t pattern : {0x5555555555555555LL, -0x5555555555555556LL, 0LL, -1LL}) {
        bench.ask(fmt::format("pattern {:016x}", static_cast<std::uint64_t>(pattern)), [&] {
            const at::Tensor memory = at::full({words}, pattern, options);
            check(memory, at::full({}, pattern, options), "pattern");
        });
    }
    bench.ask("every place its own number", [&] {
        const at::Tensor places = at::arange(words, options);
        at::Tensor memory = places.mul(kSpread);
        check(memory.bitwise_xor(memory.mul(3)).bitwise_xor(memory.mul(3)), memory, "places");
        at::Tensor second = memory.clone();
        memory.zero_();
        check(second, places.mul(kSpread), "copy after the first was cleared");
    });
}

at::Tensor bytes_of(Bench& bench, std::int64_t count, c10::ScalarType dtype) {
    if (dtype == at::kBool) return bench.whole({count}, 0, 1, at::kBool);
    const auto size = static_cast<std::int64_t>(c10::elementSize(dtype));
    return bench.whole({count * size}, 0, 255, at::kByte).view(dtype);
}

void ask_copies(Bench& bench, c10::ScalarType dtype) {
    bench.ask(fmt::format("copies of {}", name_of(dtype)), [&] {
        for (const std::int64_t count : {0, 1, 3, 1000, 65537}) {
            const at::Tensor host = bytes_of(bench, count, dtype);
            const at::Tensor there = bench.put(host);
            bench.equal(bench.fetch(there), host, "there and back");
            bench.equal(bench.fetch(there.clone()), host, "copied there");
            if (count < 3) continue;
            const at::Tensor part = host.narrow(0, 1, count - 2);
            bench.equal(bench.fetch(bench.put(part)), part.contiguous(), "from an odd place");
            bench.equal(bench.fetch(there.narrow(0, 1, count - 2)), part.contiguous(),
                        "to the host from an odd place");
            const at::Tensor gaps = host.slice(0, 0, count, 3);
            bench.equal(bench.fetch(there.slice(0, 0, count, 3)), gaps.contiguous(), "with gaps");
            at::Tensor target = at::zeros_like(there);
            target.slice(0, 0, count, 3).copy_(gaps);
            at::Tensor want = at::zeros_like(host);
            want.slice(0, 0, count, 3).copy_(gaps);
            bench.equal(bench.fetch(target), want, "from the host into gaps");
        }
        const at::Tensor square = bytes_of(bench, 60 * 70, dtype).view({60, 70});
        bench.equal(bench.fetch(bench.put(square).t()), square.t().contiguous(), "transposed");
        const at::Tensor turned = bench.put(square.t());
        bench.equal(bench.fetch(turned), square.t().contiguous(), "transposed on the host");
        const at::Tensor cube = bytes_of(bench, 6 * 7 * 8, dtype).view({6, 7, 8});
        bench.equal(bench.fetch(bench.put(cube.permute({2, 0, 1}))),
                    cube.permute({2, 0, 1}).contiguous(), "permuted on the host");
        bench.equal(bench.fetch(bench.put(square.narrow(0, 0, 1).expand({5, 70}))),
                    square.narrow(0, 0, 1).expand({5, 70}).contiguous(), "expanded on the host");
    });
}

// Copies that do not wait: what is read after the next wait must be complete, and a source that
// changes after it must not show.
void ask_flights(Bench& bench) {
    bench.ask("copies that do not wait", [&] {
        constexpr std::int64_t kFlights = 24;
        Tensors sources;
        Tensors there;
        for (std::int64_t i = 0; i < kFlights; ++i) {
            at::Tensor source = bench.whole({20000 + i}, -1000, 1000, at::kInt);
            if (!bench.device().is_cpu()) {
                try {
                    source = source.pin_memory(bench.device());
                } catch (const c10::Error&) {
                    // A device without pinned memory copies from plain memory.
                }
            }
            sources.push_back(source);
            there.push_back(source.to(bench.device(), /*non_blocking=*/true).mul(2));
        }
        for (std::size_t i = 0; i < there.size(); ++i) {
            bench.equal(bench.fetch(there[i]), sources[i].mul(2), "flight");
        }
    });
}

// Whether a host that is the device has memory for the tensors of `count` elements that ask_large
// holds at a time; other devices say themselves that they have not.
bool host_has_room(const Bench& bench, std::int64_t count) {
    constexpr double kBytesPerElement = 48.0;
    const double available = static_cast<double>(::sysconf(_SC_AVPHYS_PAGES)) *
                             static_cast<double>(::sysconf(_SC_PAGESIZE));
    return !bench.device().is_cpu() || static_cast<double>(count) * kBytesPerElement < available;
}

// Work beyond `count` elements, coded by position, checked at the edges of what 16, 24 and 31 bits
// count and in full by a sum there.
void ask_large(Bench& bench, std::int64_t count) {
    if (!host_has_room(bench, count)) return;
    bench.ask(fmt::format("{} elements", count), [&] {
        const at::TensorOptions options = at::TensorOptions(at::kInt).device(bench.device());
        const at::Tensor places =
            at::arange(count, options.dtype(at::kLong)).remainder(65521).to(at::kInt);
        const auto want_at = [](const at::Tensor& where) {
            return where.remainder(65521).to(at::kInt);
        };
        std::vector<std::int64_t> edges{0, 1, count / 2, count - 2, count - 1};
        for (const int bits : {8, 15, 16, 20, 24, 28, 30, 31, 32}) {
            for (const std::int64_t d : {-1, 0, 1}) {
                const std::int64_t place = (std::int64_t{1} << bits) + d;
                if (place < count) edges.push_back(place);
            }
        }
        const at::Tensor where =
            at::cat({at::tensor(edges), bench.whole({4096}, 0, count - 1, at::kLong)});
        const at::Tensor there = bench.put(where);
        const at::Tensor want = want_at(where);
        bench.equal(bench.fetch(places.index_select(0, there)), want, "index_select");
        const at::Tensor doubled = places.add(places);
        bench.equal(bench.fetch(doubled.index_select(0, there)), want.mul(2), "add");
        const at::Tensor copy = places.clone();
        bench.equal(bench.fetch(copy.index_select(0, there)), want, "clone");
        bench.equal(
            bench.fetch(places.flip({0}).index_select(0, bench.put(where.neg().add(count - 1)))),
            want, "flip");
        const std::int64_t full = count / 65521;
        const std::int64_t rest = count % 65521;
        const std::int64_t sum = full * (65521LL * 65520 / 2) + rest * (rest - 1) / 2;
        bench.equal(bench.fetch(places.sum()), at::full({}, sum, at::TensorOptions(at::kLong)),
                    "sum");
        const at::Tensor ones = at::ones({count}, options.dtype(at::kChar));
        bench.equal(bench.fetch(ones.sum()), at::full({}, count, at::TensorOptions(at::kLong)),
                    "ones");
        const at::Tensor marks =
            at::zeros({count}, options.dtype(at::kChar)).index_fill(0, there, 1);
        const auto distinct =
            static_cast<std::int64_t>(std::get<0>(at::_unique2(where, true, false, false)).numel());
        bench.equal(bench.fetch(marks.sum()), at::full({}, distinct, at::TensorOptions(at::kLong)),
                    "index_fill");
        const at::Tensor real = places.to(at::kFloat);
        bench.equal(bench.fetch(real.mul(0.5).index_select(0, there)), want.to(at::kFloat).mul(0.5),
                    "mul fp32");
        bench.equal(bench.fetch(real.gt(100.0).sum()),
                    at::full({}, count - full * 101 - std::min<std::int64_t>(rest, 101),
                             at::TensorOptions(at::kLong)),
                    "compare");
        const std::int64_t half = count / 2;
        const at::Tensor joined =
            at::cat({places.narrow(0, half, count - half), places.narrow(0, 0, half)});
        bench.equal(
            bench.fetch(joined.index_select(0, bench.put(where.sub(half).remainder(count)))), want,
            "cat");
    });
}

// Rows and columns in numbers that overrun the launch limits of grids (65,535 and 2^16).
void ask_many_rows(Bench& bench, std::int64_t rows, std::int64_t columns) {
    bench.ask(fmt::format("{} rows of {}", rows, columns), [&] {
        const c10::ScalarType dtype = bench.dtypes().front();
        const at::Tensor x = bench.whole({rows, columns}, -3, 3, dtype);
        const at::Tensor there = bench.put(x);
        const at::Tensor wide = x.to(at::kDouble);
        bench.within(bench.fetch(there.sum(1)), wide.sum(1), {.ulps = 0.5}, "sum");
        bench.within(bench.fetch(there.softmax(1)), wide.softmax(1),
                     {.ulps = dtype == at::kFloat ? 64.0 : 1.0}, "softmax");
        bench.equal(bench.fetch(there.t().contiguous()), x.t().contiguous(), "transpose");
        const at::Tensor weight = bench.whole({columns, 3}, -3, 3, dtype);
        bench.within(bench.fetch(there.mm(bench.put(weight))), wide.mm(weight.to(at::kDouble)),
                     {.ulps = 0.5}, "mm");
        const at::Tensor order = bench.permutation(rows);
        bench.equal(bench.fetch(there.index_select(0, bench.put(order))), x.index_select(0, order),
                    "index_select");
        bench.equal(bench.fetch(there.amax(1)), x.amax(1), "amax");
    });
}

}  // namespace

void memory(Bench& bench) {
    for (const c10::ScalarType dtype :
         {at::kFloat, at::kBFloat16, at::kHalf, at::kLong, at::kInt, at::kShort, at::kByte,
          at::kChar, at::kBool, at::kDouble, at::kFloat8_e4m3fn, at::kFloat8_e5m2}) {
        ask_copies(bench, dtype);
    }
    ask_flights(bench);
    ask_patterns(bench, bench.count(1 << 20, 1 << 25));
}

void large(Bench& bench) {
    ask_large(bench, (1 << 16) + 3);
    ask_many_rows(bench, 65537, 4);
    ask_many_rows(bench, 2, 66000);
    ask_large(bench, (1 << 21) + 5);
    if (bench.at_least(Size::kStandard)) ask_large(bench, (1 << 25) + 7);
    if (bench.at_least(Size::kFull)) ask_large(bench, (std::int64_t{1} << 31) + 9);
}

}  // namespace ascertain::operators::battery
