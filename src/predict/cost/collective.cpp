#include "predict/cost/collective.hpp"

#include <algorithm>
#include <cmath>

namespace ascertain::cost {
namespace {

using enum Constant;

// The spine divides what leaves a pod when the core is oversubscribed.
double spine_rate(const Machine& machine, double group_devices) {
    const bool inside_pod =
        machine.full_bisection_devices > 0.0 && group_devices <= machine.full_bisection_devices;
    return machine.nic_rate() / (inside_pod ? 1.0 : machine.oversubscription);
}

}  // namespace

GroupShape GroupShape::of(const Machine& machine, double size, double stride) {
    GroupShape group;
    group.size = std::max(1.0, size);
    const double domain = std::min(machine.domain, std::max(1.0, machine.devices));
    group.members = std::clamp(std::floor(domain / std::max(1.0, stride)), 1.0, group.size);
    group.domains = std::max(1.0, std::ceil(group.size / group.members));
    return group;
}

double collective_seconds(const Machine& machine, Collective kind, double bytes,
                          const GroupShape& group) {
    if (group.size <= 1.0) return 0.0;
    const double lanes = group.members;
    double rate = group.members > 1.0 ? machine.link_rate(group.members) : 1e30;
    if (group.domains > 1.0) rate = std::min(rate, lanes * spine_rate(machine, machine.devices));
    const double part = (group.size - 1.0) / group.size;
    const double ring_latency = (group.members - 1.0) * machine.c(kLinkLatency) +
                                (group.domains - 1.0) * machine.c(kNicLatency);
    const auto tree_latency = [&] {
        return std::log2(group.members) * machine.c(kLinkLatency) +
               std::log2(group.domains) * machine.c(kNicLatency);
    };
    switch (kind) {
        case Collective::kAllReduce:
            return 2.0 * part * bytes / rate +
                   2.0 * std::min(ring_latency, tree_latency() + ring_latency * 0.1);
        case Collective::kAllGather:
        case Collective::kReduceScatter: return part * bytes / rate + ring_latency;
        case Collective::kAllToAll: {
            const double outside = 1.0 - group.members / group.size;
            const double inside = part - outside;
            const double link_s =
                group.members > 1.0 ? bytes * inside / machine.link_rate(group.members) : 0.0;
            const double nic_s =
                group.domains > 1.0 ? bytes * outside / spine_rate(machine, machine.devices) : 0.0;
            return std::max(link_s, nic_s) + tree_latency();
        }
        case Collective::kSendReceive: {
            const bool far = group.domains > 1.0;
            return bytes / (far ? spine_rate(machine, machine.devices) : machine.link_rate(2.0)) +
                   machine.c(far ? kNicLatency : kLinkLatency);
        }
    }
    return 0.0;
}

double expert_exchange_seconds(const Machine& machine, const ExpertTraffic& traffic,
                               const GroupShape& group) {
    if (group.size <= 1.0) return 0.0;
    const double bytes = traffic.rows * traffic.row_bytes * traffic.imbalance;
    const double outside = 1.0 - group.members / group.size;  // share of rows that leave the domain
    double nic_bytes = bytes * outside;
    double link_bytes = bytes * (group.members - 1.0) / group.size;
    if (traffic.deduplicated && group.domains > 1.0) {
        // Distinct domains among `choices` uniform ones, at most the limit; each is crossed once
        // and the copies spread inside the domain.
        const double spread =
            group.domains * (1.0 - std::pow(1.0 - 1.0 / group.domains, traffic.choices));
        const double limit =
            traffic.domains_per_token_max > 0.0 ? traffic.domains_per_token_max : spread;
        const double crossings = std::min(spread, limit) * (group.domains - 1.0) / group.domains;
        nic_bytes = std::min(nic_bytes, bytes / traffic.choices * crossings);
        link_bytes = bytes * (group.members - 1.0) / group.members;
    }
    const double link_s = group.members > 1.0 ? link_bytes / machine.link_rate(group.members) : 0.0;
    const double nic_s = group.domains > 1.0 ? nic_bytes / machine.nic_rate() : 0.0;
    const double spine_s =
        group.domains > 1.0 ? nic_bytes / spine_rate(machine, machine.devices) : 0.0;
    const double latency = std::log2(group.members) * machine.c(kLinkLatency) +
                           std::log2(group.domains) * machine.c(kNicLatency);
    return std::max({link_s, nic_s, spine_s}) + latency;
}

}  // namespace ascertain::cost
