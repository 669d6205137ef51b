// A fleet and a job as the plain rates that the cost formulas use.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "predict/catalog/catalog.hpp"
#include "predict/cost/constants.hpp"
#include "predict/cost/job.hpp"

namespace ascertain::cost {

// An input of a prediction and what it rests on.
struct Basis {
    std::string name;
    double value = 0.0;
    std::string unit;
    std::string kind;  // a catalog kind; fitted constants are "published", unfitted ones "guessed"
    std::string source;
    double spread = 0.0;  // one-sided relative
};

// Of a host link's rate that large pinned copies reach: 55 of 63 GB/s in each direction on PCIe 5.0
// (data/networks/pcie5.toml).
inline constexpr double kHostLinkShare = 0.87;

struct Machine {
    // SI, per device, nominal.
    double peak = 0.0;         // of activations' format
    double peak_linear = 0.0;  // of linear layers' format
    double peak_fp32 = 0.0;
    double achieved = 0.8;  // share of the peak that the best matrix product on record reaches
    double memory_bandwidth = 0.0;
    double memory_bytes = 0.0;
    double link = 0.0;  // scale-up, one direction
    double nic = 0.0;   // scale-out, one direction
    double host = 0.0;  // link to the host's memory, one direction; 0: unknown
    double domain = 1.0;
    double one_link_share = 1.0;  // of `link` that one pair can use; 1 on a switch
    bool mesh = false;
    double oversubscription = 1.0;
    double full_bisection_devices = 0.0;  // 0: whole fleet
    double cores = 0.0;                   // 0: unknown
    double devices = 0.0;
    double devices_per_node = 8.0;
    double youth = 0.0;  // 1 when the stack is a year younger than the chip, halving yearly
    Constants constants;
    CostBook::Resolved resolved;

    [[nodiscard]] double c(Constant which) const { return constants[which]; }
    // Rate of a chip inside a group of `members` of one domain.
    [[nodiscard]] double link_rate(double members) const {
        const double share = mesh && members > 1.0 ? (members - 1.0) * one_link_share : 1.0;
        return link * c(Constant::kLinkShare) * (share < 1.0 ? share : 1.0);
    }
    [[nodiscard]] double nic_rate() const { return nic * c(Constant::kNicShare); }
    [[nodiscard]] double host_rate() const { return host * kHostLinkShare; }
    [[nodiscard]] double memory_rate() const {
        return memory_bandwidth * c(Constant::kMemoryShare);
    }
};

// kUnknownValue names the number that the catalog lacks and the job needs (a peak in its format, a
// bandwidth, the capacity; link rates only where more than one device is used).
[[nodiscard]] Result<Machine> resolve_machine(const catalog::Fleet& fleet, const TrainingJob& job,
                                              const CostBook& book);

// Whether a plan that leaves `offload_layers` layers' activations to the host can be priced:
// kUnknownValue when the catalog lacks the chip's host link.
[[nodiscard]] Result<void> need_host_link(const catalog::Fleet& fleet, std::int64_t offload_layers);

// What the rates of `machine` rest on: catalog figures and constants, for people.
[[nodiscard]] std::vector<Basis> basis_of(const catalog::Fleet& fleet, const TrainingJob& job,
                                          const Machine& machine, const CostBook& book);

// The catalog's format for a job's linear layers.
[[nodiscard]] catalog::Format format_of(const TrainingJob& job);

}  // namespace ascertain::cost
