// What one question to a worker costs: the floor under every check. The worker answers at once
// (tests/selftest), so this is the protocol and the two process switches alone.
#include <benchmark/benchmark.h>

#include <string>

#include "measure/device/pool.hpp"

namespace {

using namespace ascertain;

device::LaunchSpec healthy_worker() {
    return {.executable = ASCERTAIN_SELFTEST_WORKER,
            .arguments = {"--behaviour", "healthy"},
            .device = "cpu",
            .environment = {},
            .directory = {},
            .stderr_path = {},
            .threads = 1};
}

// One request of `range(0)` payload bytes, echoed back.
void round_trip(benchmark::State& state) {
    const device::SteadyClock clock;
    device::Pool pool(clock, {healthy_worker()}, {});
    const Json params{{"payload", std::string(static_cast<std::size_t>(state.range(0)), 'x')}};
    const auto never = [] { return false; };
    for (auto _ : state) {
        const auto reply = device::call(pool, 0, {"describe", params, Seconds{20.0}}, never);
        if (!reply || reply->ending != device::Ending::kResult) state.SkipWithError("no answer");
    }
}
BENCHMARK(round_trip)
    ->Arg(0)
    ->Arg(4096)
    ->Arg(1 << 20)
    ->UseRealTime()
    ->Unit(benchmark::kMicrosecond);

// From the start of the process to the first answer, and its end.
void start_and_stop(benchmark::State& state) {
    const device::SteadyClock clock;
    for (auto _ : state) {
        device::Pool pool(clock, {healthy_worker()}, {});
        const auto reply =
            device::call(pool, 0, {"describe", {}, Seconds{20.0}}, [] { return false; });
        if (!reply || reply->ending != device::Ending::kResult) state.SkipWithError("no answer");
    }
}
BENCHMARK(start_and_stop)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
