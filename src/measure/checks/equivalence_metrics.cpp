#include "measure/checks/equivalence_metrics.hpp"

#include <fmt/format.h>

#include "measure/checks/answers.hpp"

namespace ascertain::checks {
namespace {

Metric reach_of(const Equivalence& found, const EquivalenceDesign& design, std::size_t replicas,
                const std::string& unsound) {
    const std::string name = "equivalence_reach";
    if (!unsound.empty()) return absent_metric(name, "ratio", unsound);
    switch (found.decision) {
        case Decision::kEquivalent:
        case Decision::kDifferent: return metric_of(name, found.reach(design.margin), "ratio");
        case Decision::kUndecided:
            return absent_metric(
                name, "ratio",
                fmt::format("undecided: the loss differs by {:+.3f} %, somewhere within {:+.3f} .. "
                            "{:+.3f} %, where {:.2f} % is the margin; more replicas would decide",
                            100 * found.difference, 100 * found.low, 100 * found.high,
                            100 * design.margin));
        case Decision::kTooFew:
            return absent_metric(
                name, "ratio",
                fmt::format("{} finished replicas of the reference are too few, {} "
                            "are needed",
                            replicas, kReplicasMin));
    }
    ASCERTAIN_ASSERT(false);
    return {};
}

}  // namespace

void append_equivalence(Observation& observation, const Equivalence& found,
                        const EquivalenceDesign& design, std::size_t replicas, std::size_t tests,
                        const std::string& unsound) {
    observation.push_back(reach_of(found, design, replicas, unsound));
    observation.push_back(metric_of("replicas", static_cast<double>(replicas), "count"));
    observation.push_back(metric_of("margin", design.margin, "ratio"));
    if (found.decision == Decision::kTooFew) return;
    observation.push_back(metric_of("loss_difference", found.difference, "ratio"));
    observation.push_back(metric_of("loss_difference_low90", found.low, "ratio"));
    observation.push_back(metric_of("loss_difference_high90", found.high, "ratio"));
    observation.push_back(metric_of("run_spread", found.spread, "ratio"));
    const auto rate = [&](const char* name, Decision decision, double difference) {
        observation.push_back(metric_of(
            name, probability_of(decision, difference, found.spread, replicas, tests, design),
            "ratio"));
    };
    rate("power", Decision::kEquivalent, 0.0);
    rate("false_alarm_rate", Decision::kDifferent, 0.0);
    rate("pass_rate_at_margin", Decision::kEquivalent, design.margin);
}

}  // namespace ascertain::checks
