// Collectives to seconds: hierarchical latency and bandwidth over scale-up domain, network ports
// and spine. docs/formulas.md#collective-time
#pragma once

#include "predict/cost/machine.hpp"

namespace ascertain::cost {

enum class Collective { kAllReduce, kAllGather, kReduceScatter, kAllToAll, kSendReceive };

// How a group of ranks lies on the machine.
struct GroupShape {
    double size = 1.0;     // ranks in the group
    double members = 1.0;  // of them in one scale-up domain
    double domains = 1.0;  // size / members

    // `stride` ranks lie between neighbours of the group: 1 for tensor parallelism, tp for the next
    // dimension and so on.
    [[nodiscard]] static GroupShape of(const Machine& machine, double size, double stride);
};

// Seconds of one ring or tree collective over `bytes`: the full tensor for all-reduce, all-gather
// (gathered) and reduce-scatter (before it is scattered), what one rank sends for the others.
// Network ports are shared honestly: a group with several members per domain uses the ports of all
// of them, groups beside it use their own.
[[nodiscard]] double collective_seconds(const Machine& machine, Collective kind, double bytes,
                                        const GroupShape& group);

// Expert dispatch or combine. Every rank sends `rows` rows of `row_bytes`; `choices` of the rows of
// one token go to different experts. Takes as long as the busiest of scale-up links, network port
// and spine. `deduplicated`: a token crosses to a domain once, whatever number of its experts is
// there. `domains_per_token_max`: node-limited routing (0: no limit). `imbalance`: busiest over
// mean.
struct ExpertTraffic {
    double rows = 0.0;
    double row_bytes = 0.0;
    double choices = 1.0;
    double domains_per_token_max = 0.0;
    bool deduplicated = true;
    double imbalance = 1.0;
};
[[nodiscard]] double expert_exchange_seconds(const Machine& machine, const ExpertTraffic& traffic,
                                             const GroupShape& group);

}  // namespace ascertain::cost
