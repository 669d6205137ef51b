// How long it takes to read a model's config and to list a step's operators.
#include <benchmark/benchmark.h>

#include <fstream>
#include <sstream>
#include <string>

#include "model/config.hpp"
#include "model/operators.hpp"

namespace {

std::string deepseek_r1() {
    std::ifstream in(ASCERTAIN_DATA_DIR "/models/deepseek-r1.json");
    std::ostringstream text;
    text << in.rdbuf();
    return std::move(text).str();
}

void read_config(benchmark::State& state) {
    const std::string text = deepseek_r1();
    for (auto _ : state)
        benchmark::DoNotOptimize(ascertain::model::read_config(text, "deepseek-r1.json"));
}
BENCHMARK(read_config);

void list_operators(benchmark::State& state) {
    const auto architecture = ascertain::model::read_config(deepseek_r1(), "deepseek-r1.json");
    ascertain::model::Batch batch;
    batch.sequence_length = 4096;
    for (auto _ : state) {
        benchmark::DoNotOptimize(
            ascertain::model::operators(*architecture, ascertain::model::Shard{}, batch));
    }
}
BENCHMARK(list_operators);

}  // namespace

BENCHMARK_MAIN();
