// What one plan costs: closed-form pricing inside a search, and one exact step of the plan that the
// field compares on (GPT-3 175B, 1,024 A100, TP8 PP8 DP16, 96 micro-batches).
#include <benchmark/benchmark.h>

#include <fstream>
#include <iterator>
#include <string>

#include "model/config.hpp"
#include "predict/catalog/load.hpp"
#include "predict/cost/search.hpp"

namespace {

using namespace ascertain;

std::string read_text(const std::string& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

struct Setup {
    catalog::Catalog catalog = *catalog::load_catalog(ASCERTAIN_DATA_DIR, {});
    cost::CostBook book = *cost::CostBook::parse(
        read_text(ASCERTAIN_DATA_DIR "/cost/constants.toml"), "constants.toml");

    [[nodiscard]] static model::Architecture architecture(const std::string& name) {
        return *model::read_config(read_text(ASCERTAIN_DATA_DIR "/models/" + name + ".json"), name);
    }
    [[nodiscard]] catalog::Fleet fleet(const std::string& chip, std::int64_t count,
                                       const std::string& net) const {
        return *catalog::resolve_fleet(catalog, chip, count, 8, net, 0);
    }
    [[nodiscard]] static cost::TrainingJob job(std::int64_t length, std::int64_t sequences) {
        cost::TrainingJob job;
        job.sequence_length = length;
        job.global_batch_sequences = sequences;
        return job;
    }
};

void search(benchmark::State& state, const std::string& model, const std::string& chip,
            std::int64_t count, const std::string& net, std::int64_t length,
            std::int64_t sequences) {
    const Setup setup;
    const model::Architecture architecture = Setup::architecture(model);
    const catalog::Fleet fleet = setup.fleet(chip, count, net);
    const cost::TrainingJob job = Setup::job(length, sequences);
    std::int64_t costed = 0;
    for (auto _ : state) {
        const auto result = cost::find_plans(architecture, fleet, job, setup.book, {});
        costed += result->costed;
    }
    state.counters["plans_costed"] =
        benchmark::Counter(static_cast<double>(costed), benchmark::Counter::kIsRate);
}

void search_gpt3_on_1024_a100(benchmark::State& state) {
    search(state, "gpt3-175b", "a100-80gb-sxm", 1024, "ib-hdr", 2048, 1536);
}
void search_r1_on_8192_ascend(benchmark::State& state) {
    search(state, "deepseek-r1", "ascend-910b2", 8192, "roce-200", 4096, 15360);
}

struct OnePlan {
    Setup setup;
    model::Architecture architecture = Setup::architecture("gpt3-175b");
    cost::TrainingJob job = Setup::job(2048, 1536);
    parallel::Plan plan;
    cost::Machine machine;
    cost::ShardWork work;
    cost::BlockTable blocks;
    cost::Workspace space;

    explicit OnePlan(std::int64_t vpp) {
        plan.tp = 8;
        plan.pp = 8;
        plan.dp = 16;
        plan.vpp = vpp;
        plan.schedule =
            vpp > 1 ? parallel::ScheduleKind::kInterleaved : parallel::ScheduleKind::k1F1B;
        plan.sequence_parallel = true;
        architecture = cost::padded_for(architecture, plan.tp);
        machine =
            *cost::resolve_machine(setup.fleet("a100-80gb-sxm", 1024, "ib-hdr"), job, setup.book);
        work = *cost::shard_work(architecture, plan, job);
        blocks = cost::block_seconds(work, plan, job, machine);
    }
    double price(cost::Precision precision) {
        return cost::step_seconds(architecture, job, plan, machine, work, blocks, precision, space)
            ->step_s;
    }
};

void closed_form_step(benchmark::State& state) {
    OnePlan one(state.range(0));
    for (auto _ : state) benchmark::DoNotOptimize(one.price(cost::Precision::kBound));
    state.SetItemsProcessed(state.iterations());
}
void exact_step_of_96_micro_batches(benchmark::State& state) {
    OnePlan one(state.range(0));
    for (auto _ : state) benchmark::DoNotOptimize(one.price(cost::Precision::kExact));
}

BENCHMARK(search_gpt3_on_1024_a100)->Unit(benchmark::kMillisecond);
BENCHMARK(search_r1_on_8192_ascend)->Unit(benchmark::kMillisecond);
BENCHMARK(closed_form_step)->Arg(1)->Arg(6);
BENCHMARK(exact_step_of_96_micro_batches)->Arg(1)->Arg(6)->Unit(benchmark::kMicrosecond);

}  // namespace

BENCHMARK_MAIN();
