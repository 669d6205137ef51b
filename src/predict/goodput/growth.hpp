// Software defects not yet found: what a qualification's own findings say about how many are left.
#pragma once

#include "base/result.hpp"
#include "predict/goodput/belief.hpp"

namespace ascertain::goodput {

// What was found, in how many days of running, by checks that reach so much of what the full run
// will meet (a rung of few devices never meets the defects of many).
struct DefectFindings {
    double found = 0.0;
    double exposure_days = 0.0;
    double reach_ratio = 1.0;  // of all defects, 0..1

    [[nodiscard]] bool any() const { return exposure_days > 0.0; }
};
[[nodiscard]] Result<void> validate(const DefectFindings& findings);

// Goel-Okumoto: N defects, each found at rate b while running, so that Poisson(N c (1 - e^(-b T)))
// are found in T days by checks of reach c, and N (1 - c (1 - e^(-b T))) are left on average. The
// beliefs about N and b are updated by Bayes' rule on a grid of their quantiles; returned is the
// belief about what is left (10 %, 50 %, 90 %). All found are taken to be mended.
// Source: Goel and Okumoto, IEEE Trans. Reliability R-28, 1979. Cost: some thousand exponentials.
[[nodiscard]] Uncertain defects_left(const Uncertain& outstanding, const Uncertain& found_per_day,
                                     const DefectFindings& findings);

}  // namespace ascertain::goodput
