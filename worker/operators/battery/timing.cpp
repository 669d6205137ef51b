// Calls that take longer than any kernel would: work that went back to the host, or waits.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "worker/operators/battery/batteries.hpp"
#include "worker/operators/battery/rows.hpp"
#include "worker/operators/dtype.hpp"
#include "worker/operators/prepare.hpp"

namespace ascertain::operators::battery {
namespace {

using Clock = std::chrono::steady_clock;

// The shortest of several calls: what else the machine does only makes calls longer.
double shortest_s(const Bench& bench, const Row& row, const Tensors& inputs, std::int64_t times) {
    double best = 1e30;
    for (std::int64_t i = 0; i < times; ++i) {
        synchronise(bench.device());
        const Clock::time_point start = Clock::now();
        static_cast<void>(row.call(inputs));
        synchronise(bench.device());
        best = std::min(best, std::chrono::duration<double>(Clock::now() - start).count());
    }
    return best;
}

struct Timed {
    const Row* row = nullptr;
    double seconds = 0.0;  // the shortest call seen
};

std::string label(const Row& row, c10::ScalarType dtype) {
    return fmt::format("{} {}", row.name, name_of(dtype));
}

Tensors put_inputs(Bench& bench, const Row& row, c10::ScalarType dtype) {
    Tensors inputs;
    for (const at::Tensor& one : inputs_of(bench, row, Shape{24, 40, 16}, dtype)) {
        inputs.push_back(bench.put(one));
    }
    return inputs;
}

// On a busy host every one of a few calls in a row may have waited for a core. A call that is slow
// by itself stays slow, so what looks slow is called again, after pauses, until one call is quick
// or the time for all such doubts is over.
void ask_again(Bench& bench, std::vector<Timed>& all, double limit_s, c10::ScalarType dtype) {
    constexpr std::chrono::seconds kForAllDoubts{5};
    constexpr std::chrono::milliseconds kPause{20};
    const Clock::time_point end = Clock::now() + kForAllDoubts;
    for (Timed& one : all) {
        if (one.seconds <= limit_s) continue;
        bench.measure(label(*one.row, dtype), [&] {
            const Tensors inputs = put_inputs(bench, *one.row, dtype);
            while (one.seconds > limit_s && Clock::now() < end) {
                std::this_thread::sleep_for(kPause);
                one.seconds = std::min(one.seconds, shortest_s(bench, *one.row, inputs, 1));
            }
        });
    }
}

double median_s(const std::vector<Timed>& all) {
    std::vector<double> sorted;
    for (const Timed& one : all) sorted.push_back(one.seconds);
    std::ranges::sort(sorted);
    return sorted[sorted.size() / 2];
}

}  // namespace

void timing(Bench& bench) {
    const std::int64_t times = bench.count(5, 20);
    const c10::ScalarType dtype = bench.dtypes().front();
    const std::vector<Row> rows = all_rows();
    std::vector<Timed> all;
    for (const Row& row : rows) {
        if (row.writes) continue;
        bench.measure(label(row, dtype), [&] {
            const Tensors inputs = put_inputs(bench, row, dtype);
            all.push_back({&row, shortest_s(bench, row, inputs, times)});
        });
    }
    if (all.empty()) return;
    const double median = median_s(all);
    bench.note("median_s", median);
    // A call this small is launch and little else; the slowest row makes a dozen calls. Below two
    // milliseconds nothing is worth a word.
    constexpr double kTimes = 100.0;
    constexpr double kFloor_s = 2e-3;
    const double limit_s = std::max(kFloor_s, kTimes * median);
    ask_again(bench, all, limit_s, dtype);
    for (const Timed& one : all) {
        bench.ask(fmt::format("time of {}", one.row->name),
                  [&] { bench.ratio((one.seconds + bench.delay_s()) / limit_s, "too slow"); });
    }
}

}  // namespace ascertain::operators::battery
