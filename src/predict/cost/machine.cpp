#include "predict/cost/machine.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace ascertain::cost {
namespace {

using catalog::Format;

constexpr double kAchievedUnknown = 0.8;  // median of the catalog's measured chips

Format activation_format(model::Dtype dtype) {
    switch (dtype) {
        case model::Dtype::kFp32: return Format::kFp32;
        case model::Dtype::kFp16: return Format::kFp16;
        case model::Dtype::kFp8: return Format::kFp8;
        case model::Dtype::kBf16: break;
    }
    return Format::kBf16;
}

// The kind of scale-out fabric that the fitted fabrics are named by.
std::string fabric_of(const catalog::Fleet& fleet, const TrainingJob& job) {
    if (!job.fabric.empty()) return job.fabric;
    const std::string& id = fleet.scale_out.id;
    if (id.starts_with("ib-")) return "infiniband";
    if (id.starts_with("roce")) return "roce";
    if (id.starts_with("efa")) return "efa";
    if (id.starts_with("omnipath")) return "omni-path";
    return {};
}

std::string chip_place(const catalog::Fleet& fleet, std::string_view field) {
    return fmt::format("chip {}: {}", fleet.chip.id, field);
}

}  // namespace

Format format_of(const TrainingJob& job) {
    switch (job.linear) {
        case LinearFormat::kSame: return activation_format(job.dtype);
        case LinearFormat::kFp4: return Format::kFp4;
        default: return Format::kFp8;
    }
}

Result<Machine> resolve_machine(const catalog::Fleet& fleet, const TrainingJob& job,
                                const CostBook& book) {
    const catalog::Chip chip = catalog::per_device(fleet.chip);
    Machine machine;
    const auto take = [&](const auto& figure, std::string_view field,
                          double& into) -> Result<void> {
        const auto value = catalog::need(figure, chip_place(fleet, field));
        if (!value) return value.error();
        if constexpr (requires { value->count; })
            into = value->count;
        else
            into = *value;
        return {};
    };
    const Format activations = activation_format(job.dtype);
    const Format linear = format_of(job);
    const auto peak_name = [](Format format) {
        return fmt::format("peak_dense.{}", catalog::name_of(format));
    };
    if (const auto r = take(chip.peak(activations), peak_name(activations), machine.peak); !r)
        return r.error();
    if (const auto r = take(chip.peak(linear), peak_name(linear), machine.peak_linear); !r)
        return r.error();
    if (const auto r = take(chip.memory_bandwidth, "memory.bandwidth", machine.memory_bandwidth);
        !r)
        return r.error();
    if (const auto r = take(chip.memory, "memory.capacity", machine.memory_bytes); !r)
        return r.error();
    // Only the router multiplies in fp32, and may do so in TF32; without a figure a quarter of the
    // 16-bit rate is taken.
    machine.peak_fp32 =
        std::max(chip.peak(Format::kFp32).value.value_or(FlopsPerSecond{0.0}).count,
                 chip.peak(Format::kTf32).value.value_or(FlopsPerSecond{0.0}).count);
    if (machine.peak_fp32 <= 0.0) machine.peak_fp32 = machine.peak / 4.0;
    // The best product somebody measured tells dies apart before any step was measured on them.
    machine.achieved = std::min(1.0, chip.achieved.fraction.value.value_or(kAchievedUnknown));
    machine.devices = static_cast<double>(fleet.count);
    machine.devices_per_node = static_cast<double>(fleet.chips_per_node);
    // A fleet within one node never leaves its domain, whatever the catalog knows of the fabric.
    machine.domain = std::max(1.0, chip.scale_up_domain.value.value_or(machine.devices_per_node));
    if (fleet.count > 1) {
        if (const auto r =
                take(chip.scale_up_per_direction, "scale_up.per_direction", machine.link);
            !r)
            return r.error();
        if (machine.devices > machine.domain) {
            // A fabric slower than the chip's ports limits them, and the other way round.
            const auto& fabric = fleet.scale_out.per_direction_per_chip;
            if (const auto r = take(fabric, "network.per_direction_per_chip", machine.nic); !r)
                return r.error();
        }
    }
    machine.host = chip.host_link_per_direction.value.value_or(BytesPerSecond{0.0}).count;
    const catalog::Network& up = fleet.scale_up;
    machine.mesh = catalog::usable_link_share(up, 2.0) < 1.0;
    if (machine.mesh) machine.one_link_share = catalog::usable_link_share(up, 2.0);
    machine.oversubscription = std::max(1.0, fleet.scale_out.oversubscription.value.value_or(1.0));
    machine.full_bisection_devices = static_cast<double>(fleet.full_bisection_devices);
    std::vector<std::string> names{chip.id};
    names.insert(names.end(), chip.aliases.begin(), chip.aliases.end());
    machine.resolved = book.resolve(names, engine_name(job.framework, job.sharded_weights),
                                    job.software_year, fabric_of(fleet, job));
    machine.constants = machine.resolved.constants;
    machine.cores = static_cast<double>(machine.resolved.cores);
    // Kernels of a new die get better for some years. docs/formulas.md#young-software
    double launched = static_cast<double>(machine.resolved.launched);
    if (launched == 0.0) launched = chip.year.value.value_or(0.0);
    if (job.software_year > 0 && launched > 0.0) {
        const double age = std::max(0.0, static_cast<double>(job.software_year) - launched);
        machine.youth = std::exp2(1.0 - age);
    }
    return machine;
}

Result<void> need_host_link(const catalog::Fleet& fleet, std::int64_t offload_layers) {
    if (offload_layers <= 0) return {};
    const auto rate = catalog::need(fleet.chip.host_link_per_direction,
                                    chip_place(fleet, "host_link.per_direction"));
    if (!rate) return rate.error();
    return {};
}

std::vector<Basis> basis_of(const catalog::Fleet& fleet, const TrainingJob& job,
                            const Machine& machine, const CostBook& book) {
    const catalog::Chip chip = catalog::per_device(fleet.chip);
    std::vector<Basis> list;
    const auto figure = [&](std::string name, const auto& entry, std::string_view unit) {
        if (!entry.known()) return;
        double value = 0.0;
        if constexpr (requires { entry.value->count; })
            value = entry.value->count;
        else
            value = *entry.value;
        list.push_back({std::move(name), value, std::string(unit),
                        std::string(catalog::name_of(entry.kind)), entry.source, entry.spread()});
    };
    const Format linear = format_of(job);
    figure(fmt::format("chip.peak_{}", catalog::name_of(linear)), chip.peak(linear), "FLOP/s");
    figure("chip.bf16_matmul_achieved", chip.achieved.fraction, "ratio");
    figure("chip.memory_bandwidth", chip.memory_bandwidth, "B/s");
    figure("chip.memory", chip.memory, "B");
    figure("chip.host_link_per_direction", chip.host_link_per_direction, "B/s");
    if (fleet.count > 1) {
        figure("chip.scale_up_per_direction", chip.scale_up_per_direction, "B/s");
        figure("chip.scale_up_domain", chip.scale_up_domain, "count");
        if (machine.nic > 0.0)
            figure("network.per_direction_per_chip", fleet.scale_out.per_direction_per_chip, "B/s");
    }
    const std::string fitted = book.rows > 0 ? "fitted on " + book.fitted_on : book.fitted_on;
    for (const ConstantRow& row : constant_table()) {
        const auto i = static_cast<std::size_t>(row.which);
        const bool by_die = row.die_spread > 0.0;
        const bool measured = book.rows > 0 && (!by_die || machine.resolved.die_known);
        list.push_back({fmt::format("constant.{}", row.name), machine.constants.value[i],
                        std::string(row.unit), measured ? "published" : "guessed",
                        measured ? fitted : "prior of its class", machine.resolved.spread[i]});
    }
    return list;
}

}  // namespace ascertain::cost
