// A search prices plans by the hundred thousand: pricing one must not touch the heap.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "predict/cost/step.hpp"
#include "predict/cost/test_kit.hpp"

namespace {

std::atomic<long> allocations{0};

}  // namespace

void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
    throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
    std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
    std::free(memory);
}

namespace ascertain::cost {
namespace {

// Bound, period and exact time of a plan that the work space has seen, its memory, and whether it
// is one at all.
TEST(StepSeconds, AllocatesNothingForAPlanOnceItsSpaceHasGrown) {
    const parallel::Plan plan = gpt3_plan();
    const TrainingJob job = gpt3_job();
    const model::Architecture a = padded_for(shipped_model("gpt3-175b"), plan.tp);
    const auto machine = resolve_machine(fleet_of("a100-80gb-sxm", 1024), job, shipped_book());
    ASSERT_TRUE(machine);
    const auto work = shard_work(a, plan, job);
    ASSERT_TRUE(work);
    const BlockTable blocks = block_seconds(*work, plan, job, *machine);
    Workspace space;
    const auto price = [&] {
        double sum = 0.0;
        for (const Precision precision :
             {Precision::kBound, Precision::kPeriod, Precision::kExact}) {
            const auto step = step_seconds(a, job, plan, *machine, *work, blocks, precision, space);
            sum += step ? step->step_s : 0.0;
        }
        sum += parallel::peak_memory(work->facts, plan, job.batch(), space.stages,
                                     memory_constants(job))
                   .total()
                   .count;
        return parallel::plan_is_valid(a, plan, 1024, job.batch()) ? sum : 0.0;
    };
    const double grown = price();
    const long before = allocations;
    const double again = price();
    EXPECT_EQ(allocations - before, 0);
    EXPECT_GT(grown, 0.0);
    EXPECT_EQ(again, grown);
    EXPECT_GT(before, 0);  // the counter counts
}

}  // namespace
}  // namespace ascertain::cost
