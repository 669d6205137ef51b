// What would have to be true, and what matters most.
#pragma once

#include <vector>

#include "predict/goodput/inputs.hpp"

namespace ascertain::goodput {

// For each lever the value at which the probability of the deadline reaches the wanted confidence,
// all other inputs at their middle, found by bisection under common random numbers. An input that
// is far better than it must be shows how far it may sink. The input must have a deadline.
[[nodiscard]] std::vector<MustBeTrue> find_must_be_true(const ProjectionInput& input,
                                                        double horizon_s, int histories);

// One bar per input that has an interval, and one ("operations") for the factor that the inputs a
// site's operations decide have in common; the widest first: by probability of the deadline, then
// by the median of the finish date. `horizon_s` gives up histories.
[[nodiscard]] std::vector<TornadoBar> find_tornado(const ProjectionInput& input, double horizon_s,
                                                   int histories);

}  // namespace ascertain::goodput
