// Everything about one plan that a person asks for: interval, basis, tornado.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "model/operators.hpp"
#include "predict/cost/step.hpp"

namespace ascertain::cost {

using model::Architecture;
using parallel::Plan;

model::Architecture padded_for(const Architecture& architecture, std::int64_t tp) {
    return architecture.vocab_size % tp == 0 ? architecture
                                             : model::pad_vocabulary(architecture, 128 * tp);
}

double interval_width(const Machine& machine, const CostBook& book, bool experts, bool assumed) {
    double width = book.widths.known;
    if (!machine.resolved.framework_known) width = std::max(width, book.widths.framework_unknown);
    if (!machine.resolved.die_known) width = std::max(width, book.widths.die_unknown);
    if (experts) width = std::max(width, book.widths.experts);
    constexpr double kAssumed = 1.4;
    return assumed ? width * kAssumed : width;
}

namespace {

struct Priced {
    const Architecture& architecture;
    const TrainingJob& job;
    const Plan& plan;
    const ShardWork& work;
    Workspace& space;

    [[nodiscard]] Result<StepSeconds> at(const Machine& machine, Precision precision) const {
        return step_seconds(architecture, job, plan, machine, work,
                            block_seconds(work, plan, job, machine), precision, space);
    }
};

// Every uncertain input, moved by one standard deviation each way. The closed form says by how much
// the step changes, the exact schedule (`step_s`) from where: a hundred relaxations would cost more
// than the whole search that this plan comes from.
Result<std::vector<Influence>> tornado_of(const Priced& priced, const Machine& machine,
                                          const catalog::Fleet& fleet, double step_s) {
    std::vector<Influence> list;
    const Result<StepSeconds> base = priced.at(machine, Precision::kBound);
    if (!base) return base.error();
    const double scale = step_s / base->step_s;
    std::optional<Error> failed;
    const auto move = [&](std::string name, double spread, auto change) {
        if (spread <= 0.0 || failed) return;
        double sides[2] = {0.0, 0.0};
        for (int side = 0; side < 2; ++side) {
            Machine moved = machine;
            change(moved, std::exp(side == 0 ? -spread : spread));
            const Result<StepSeconds> result = priced.at(moved, Precision::kBound);
            if (!result) {
                failed = result.error();
                return;
            }
            sides[side] = result->step_s * scale;
        }
        list.push_back(
            {std::move(name), std::min(sides[0], sides[1]), std::max(sides[0], sides[1])});
    };
    for (const ConstantRow& row : constant_table()) {
        const auto i = static_cast<std::size_t>(row.which);
        move(fmt::format("constant.{}", row.name), machine.resolved.spread[i],
             [i](Machine& m, double f) { m.constants.value[i] *= f; });
    }
    const catalog::Chip& chip = fleet.chip;
    // A fitted die's constants have absorbed the errors of its printed rates.
    if (!machine.resolved.die_known) {
        move("chip.peak", chip.peak(format_of(priced.job)).spread(), [](Machine& m, double f) {
            m.peak *= f;
            m.peak_linear *= f;
        });
        move("chip.memory_bandwidth", chip.memory_bandwidth.spread(),
             [](Machine& m, double f) { m.memory_bandwidth *= f; });
        move("chip.scale_up_per_direction", chip.scale_up_per_direction.spread(),
             [](Machine& m, double f) { m.link *= f; });
    }
    if (machine.nic > 0.0)
        move("network.per_direction_per_chip", fleet.scale_out.per_direction_per_chip.spread(),
             [](Machine& m, double f) { m.nic *= f; });
    if (failed) return *failed;
    std::sort(list.begin(), list.end(), [](const Influence& a, const Influence& b) {
        return a.high_s - a.low_s > b.high_s - b.low_s;
    });
    return list;
}

}  // namespace

Result<StepCost> step_cost(const Architecture& given, const catalog::Fleet& fleet,
                           const TrainingJob& asked, const Plan& plan, const CostBook& book) {
    TrainingJob job = asked;
    job.sharded_weights = parallel::shards_weights(plan);
    const Architecture architecture = padded_for(given, plan.tp);
    if (const auto valid = parallel::check_plan(architecture, plan, fleet.count, job.batch());
        !valid)
        return valid.error();
    if (const auto link = need_host_link(fleet, plan.offload_layers); !link) return link.error();
    const Result<Machine> machine = resolve_machine(fleet, job, book);
    if (!machine) return machine.error();
    const Result<ShardWork> work = shard_work(architecture, plan, job);
    if (!work) return work.error();
    Workspace space;
    const Priced priced{architecture, job, plan, *work, space};
    const Result<StepSeconds> seconds = priced.at(*machine, Precision::kExact);
    if (!seconds) return seconds.error();

    StepCost cost;
    cost.step_s = seconds->step_s;
    cost.parts = seconds->parts;
    const auto largest = std::max_element(cost.parts.begin(), cost.parts.end());
    cost.bound_by = std::string(name_of(static_cast<Part>(largest - cost.parts.begin())));
    const parallel::MemoryConstants memory = memory_constants(job);
    cost.memory = parallel::peak_memory(work->facts, plan, job.batch(), space.stages, memory);
    cost.memory_bytes = cost.memory.total().count;
    cost.memory_low_bytes = cost.memory_bytes * (1.0 - memory.spread);
    cost.memory_high_bytes = cost.memory_bytes * (1.0 + memory.spread);
    const double tokens = static_cast<double>(job.global_batch_sequences * job.sequence_length);
    cost.tokens_per_s = tokens / cost.step_s;
    cost.mfu_ratio = tokens * model::flops_per_token(architecture, job.sequence_length).causal /
                     (cost.step_s * machine->devices * machine->peak_linear);
    cost.basis = basis_of(fleet, job, *machine, book);
    Result<std::vector<Influence>> tornado = tornado_of(priced, *machine, fleet, seconds->step_s);
    if (!tornado) return tornado.error();
    cost.tornado = std::move(tornado).value();

    // What the fit has seen gives the width; inputs it has not seen widen it.
    double width = interval_width(*machine, book, architecture.moe.experts > 0, false);
    if (!machine->resolved.die_known) {
        constexpr double kTenth = 1.2816;
        double variance = 0.0;
        for (const Influence& one : cost.tornado) {
            const double half = 0.5 * std::log(one.high_s / one.low_s);
            variance += half * half;
        }
        width = std::max(width, kTenth * std::sqrt(variance));
    }
    cost.low_s = cost.step_s * std::exp(-width);
    cost.high_s = cost.step_s * std::exp(width);
    return cost;
}

}  // namespace ascertain::cost
