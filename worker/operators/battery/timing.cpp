// Calls that take longer than any kernel would: work that went back to the host, or waits.
#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <thread>

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

}  // namespace

void timing(Bench& bench) {
    struct Timed {
        std::string name;
        double seconds = 0.0;
    };
    const std::int64_t times = bench.count(5, 20);
    const c10::ScalarType dtype = bench.dtypes().front();
    const Shape shape{24, 40, 16};
    std::vector<Timed> all;
    for (const Row& row : all_rows()) {
        if (row.writes) continue;
        bench.measure(fmt::format("{} {}", row.name, name_of(dtype)), [&] {
            Tensors inputs;
            for (const at::Tensor& one : inputs_of(bench, row, shape, dtype)) {
                inputs.push_back(bench.put(one));
            }
            all.push_back({std::string(row.name), shortest_s(bench, row, inputs, times)});
        });
    }
    if (all.empty()) return;
    std::vector<double> sorted;
    for (const Timed& one : all) sorted.push_back(one.seconds);
    std::ranges::sort(sorted);
    const double median = sorted[sorted.size() / 2];
    bench.note("median_s", median);
    // A call this small is launch and little else; the slowest row makes a dozen calls. Below two
    // milliseconds nothing is worth a word.
    constexpr double kTimes = 100.0;
    constexpr double kFloor_s = 2e-3;
    const double limit = std::max(kFloor_s, kTimes * median);
    for (const Timed& one : all) {
        bench.ask(fmt::format("time of {}", one.name),
                  [&] { bench.ratio((one.seconds + bench.delay_s()) / limit, "too slow"); });
    }
}

}  // namespace ascertain::operators::battery
