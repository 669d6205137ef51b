// Are two processes the same within a margin? Two one-sided tests (TOST), where what is replicated
// is the whole run: an interval from inside one run is three to four times too narrow. Also how
// often such a test passes, for a true difference and a spread, so that a result can say what it
// was worth. Formulas: docs/formulas.md#equivalence.
#pragma once

#include <span>
#include <string_view>

namespace ascertain {

// Two replicas give a Student factor of 6.3 and no test; docs/formulas.md#equivalence has the
// table.
inline constexpr std::size_t kReplicasMin = 4;

// All relative: 0.005 is half a percent of the reference's mean.
struct EquivalenceDesign {
    double margin = 0.005;     // differences below it do not matter
    double spread_min = 5e-4;  // the spread of runs is never taken to be smaller than this
};

enum class Decision {
    kEquivalent,  // the 90 % interval lies inside the margin
    kDifferent,   // it lies outside altogether
    kUndecided,   // it straddles the margin: more replicas, or less noise, would decide
    kTooFew,      // fewer than kReplicasMin values of the reference, or one that is not finite
};
[[nodiscard]] std::string_view name_of(Decision decision);

struct Equivalence {
    Decision decision = Decision::kTooFew;
    double difference = 0.0;  // (tested - reference) / reference
    double low = 0.0;         // 90 % interval, which is what two one-sided 5 % tests look at
    double high = 0.0;
    double spread = 0.0;  // standard deviation of one run, relative, as used (not below spread_min)
    int degrees = 0;      // of freedom of `spread`

    // How far into the margin the interval reaches: at most 1 means equivalent, and for a
    // difference the nearest it comes, above 1. Meaningless when undecided.
    [[nodiscard]] double reach(double margin) const;
};

// `tested` (at least one value) against `reference`; the spread is the reference's own. Schuirmann,
// J. Pharmacokinet. Biopharm. 15 (1987), with the margin relative to the reference's mean.
[[nodiscard]] Equivalence equivalence(std::span<const double> reference,
                                      std::span<const double> tested,
                                      const EquivalenceDesign& design);

// The same of pairs: tested[i] and reference[i] share their data, so that what differs between data
// cancels. As many as kReplicasMin at least; lengths must be equal.
[[nodiscard]] Equivalence paired_equivalence(std::span<const double> reference,
                                             std::span<const double> tested,
                                             const EquivalenceDesign& design);

// Probability that `replicas` reference runs and `tests` tested runs end in `decision`, when the
// true relative difference is `difference` and runs scatter normally by `spread`. With difference 0
// the power (kEquivalent) and the false alarm rate (kDifferent); with difference = margin the rate
// at which a device on the border passes, at most 5 %. Not of kTooFew. Cost: some 10 µs.
[[nodiscard]] double probability_of(Decision decision, double difference, double spread,
                                    std::size_t replicas, std::size_t tests,
                                    const EquivalenceDesign& design);

}  // namespace ascertain
