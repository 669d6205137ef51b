// What theory says about runs that fail: the yardsticks the simulation is held against, and the
// quick answers it is not needed for.
#pragma once

#include <cstdint>

namespace ascertain::goodput {

// Best training time between checkpoints to first order, sqrt(2 d M), for a stall d and a mean time
// between failures M. Source: Young, CACM 17(9), 1974.
[[nodiscard]] double young_interval_s(double stall_s, double mtbf_s);

// The same to higher order: sqrt(2 d M) [1 + sqrt(d / 2M) / 3 + (d / 2M) / 9] - d for d < 2M, else
// M. Source: Daly, Future Generation Computer Systems 22, 2006, equation 37.
[[nodiscard]] double daly_interval_s(double stall_s, double mtbf_s);

// Useful share of the wall time, tau / (M e^(R/M) (e^((tau + d)/M) - 1)), when failures also strike
// during checkpoints and recoveries and each costs a recovery R. Source: Daly 2006, equation 20.
[[nodiscard]] double daly_goodput(double interval_s, double stall_s, double mtbf_s,
                                  double recovery_s);

// Expected effective training time ratio, (1 - r (u + dt/2)) / (1 + w/dt), for r failures of the
// job per second, restart overhead u, checkpoint interval dt, write stall w; first order in r.
// Source: Kokolis et al., arXiv 2410.21680, section on E[ETTR].
[[nodiscard]] double rsc_ettr(double failures_per_s, double restart_s, double interval_s,
                              double stall_s);

// Expected largest of n independent standard normals, n >= 1, by integrating
// n x phi(x) Phi(x)^(n-1); absolute error below 1e-6 up to n = 1e8.
// Source: David and Nagaraja, Order Statistics, 3rd ed., equation 3.1.1.
[[nodiscard]] double expected_max_of_normals(std::int64_t n);

// How much longer a step takes when `coupled` devices must wait for the slowest of them and each
// one's time varies by `sigma_ratio` of its mean from step to step.
[[nodiscard]] double straggler_ratio(std::int64_t coupled, double sigma_ratio);

// P(more than `spares` of `nodes` are in repair at once), each away with probability
// unavailable = rate x repair / (1 + rate x repair). Binomial (k of n).
[[nodiscard]] double spares_exhausted_probability(std::int64_t nodes, std::int64_t spares,
                                                  double failures_per_node_s, double repair_s);

// The fewest spares for which the probability above is at most 1 - confidence.
[[nodiscard]] std::int64_t spares_needed(std::int64_t nodes, double failures_per_node_s,
                                         double repair_s, double confidence);

}  // namespace ascertain::goodput
