// How fast months pass: one history of a large fleet, many of them on two threads, a whole
// projection.
#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <vector>

#include "predict/goodput/ensemble.hpp"
#include "predict/goodput/player.hpp"
#include "predict/goodput/projection.hpp"

namespace {

using namespace ascertain::goodput;

constexpr double kHour = 3600.0;
constexpr double kDay = 86400.0;

double peak_memory_bytes() {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return 1024.0 * static_cast<double>(usage.ru_maxrss);
}

// Llama 3's rate, quick recoveries, a spare for each 250 devices; work for longer than 60 days, so
// that every history plays all 60 of them.
RunSetup sixty_days(std::int64_t devices) {
    RunSetup setup;
    setup.devices = devices;
    setup.spare_nodes = devices / 250;
    setup.stages = {{"pretrain", 70.0 * kDay, 10.0, 0, 0}};
    setup.failure.rate_per_device_s = 1.0 / (50'700.0 * kHour);
    setup.failure.classes = {
        {.name = "chip", .share = 0.6, .replaced_ratio = 0.7},
        {.name = "software", .share = 0.38, .hang_ratio = 0.1},
        {.name = "silent", .share = 0.02, .silent = true, .silent_detection_s = 8.0 * kHour}};
    setup.failure.lemon_ratio = 0.012;
    setup.failure.lemon_multiplier = 20.0;
    setup.failure.infant_multiplier = 2.0;
    setup.recovery = {300.0, 30.0, 60.0, 0.5, 0.1, 300.0};
    setup.checkpoint.stall_s = 5.0;
    setup.straggler = {0.05, 2e-6 / kHour, 0.05, 12.0 * kHour};
    setup.defect = {8.0, 0.05 / kDay, 12.0 * kHour, 0.5, 0.0};
    setup.horizon_s = 60.0 * kDay;
    return setup;
}

void BM_OneHistoryOfSixtyDays(benchmark::State& state) {
    Player player(sixty_days(state.range(0)));
    std::uint64_t index = 0;
    std::int64_t events = 0;
    for (auto _ : state) {
        const History history = player.play(1, index++);
        events += history.events;
        benchmark::DoNotOptimize(history.wall_s);
    }
    state.counters["events_per_history"] =
        static_cast<double>(events) / static_cast<double>(state.iterations());
    state.counters["events_per_s"] =
        benchmark::Counter(static_cast<double>(events), benchmark::Counter::kIsRate);
}
BENCHMARK(BM_OneHistoryOfSixtyDays)
    ->Arg(1'000)
    ->Arg(10'000)
    ->Arg(100'000)
    ->Arg(1'000'000)
    ->Unit(benchmark::kMillisecond);

void BM_ThousandHistoriesOfAHundredThousandDevices(benchmark::State& state) {
    const RunSetup setup = sixty_days(100'000);
    for (auto _ : state) {
        std::vector<double> progress(2);
        in_parallel(2, 2, [&](int half) {
            Player player(setup);
            for (std::uint64_t i = 0; i < 500; ++i) {
                progress[static_cast<std::size_t>(half)] +=
                    player.play(1, static_cast<std::uint64_t>(half) * 500 + i).progress_ratio;
            }
        });
        benchmark::DoNotOptimize(progress);
    }
    state.counters["peak_memory_bytes"] = peak_memory_bytes();
}
BENCHMARK(BM_ThousandHistoriesOfAHundredThousandDevices)->Unit(benchmark::kSecond)->UseRealTime();

Uncertain within(double low, double mid, double high) {
    return {low, mid, high, Kind::kPublished, "bench"};
}

void BM_Project(benchmark::State& state) {
    ProjectionInput input;
    input.devices = state.range(0);
    input.spare_nodes = input.devices / 250;
    input.stages = {
        {.kind = "pretrain", .steps = 60.0 * kDay / 15.0, .step_s = within(13.0, 15.0, 18.0)}};
    input.failure = {{2.83, 97'400.0}, Kind::kPublished, "bench"};
    input.failures = {{.name = "chip", .share = 0.6, .replaced_ratio = 0.7},
                      {.name = "software", .share = 0.38, .hang_ratio = 0.1},
                      {.name = "silent", .share = 0.02, .silent = true}};
    Beliefs& beliefs = input.beliefs;
    beliefs.detection_s = within(5, 60, 600);
    beliefs.hang_detection_s = within(360, 1800, 7200);
    beliefs.silent_detection_s = within(kHour, 8 * kHour, 72 * kHour);
    beliefs.restart_s = within(180, 480, 1800);
    beliefs.restart_failure_ratio = within(0.02, 0.1, 0.5);
    beliefs.swap_s = within(30, 180, 7200);
    beliefs.repair_s = within(4 * kHour, kDay, 5 * kDay);
    beliefs.checkpoint_bytes = certain(8e12, "bench");
    beliefs.write_bytes_per_s = beliefs.read_bytes_per_s = within(2e10, 1e11, 5e11);
    beliefs.straggler_ratio = within(0.01, 0.06, 0.27);
    beliefs.defects_outstanding = within(2, 7, 35);
    beliefs.defect_found_per_day = within(0.02, 0.05, 0.15);
    beliefs.debug_s = within(2 * kHour, 8 * kHour, 36 * kHour);
    input.deadline_s = 90.0 * kDay;
    std::int64_t histories = 0;
    for (auto _ : state) {
        const auto projection = project(input);
        if (!projection) return state.SkipWithError(projection.error().text().c_str());
        histories = projection->histories;
    }
    state.counters["histories"] = static_cast<double>(histories);
    state.counters["peak_memory_bytes"] = peak_memory_bytes();
}
BENCHMARK(BM_Project)->Arg(8)->Arg(8'192)->Arg(100'000)->Unit(benchmark::kSecond)->UseRealTime();

}  // namespace

BENCHMARK_MAIN();
