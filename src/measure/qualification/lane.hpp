// What one device is asked next: retries, confirmations and controls as a pure function of what
// has happened on it so far. Resuming a run is the same function on the attempts of the last one.
#pragma once

#include <optional>
#include <vector>

#include "measure/qualification/attempt.hpp"
#include "measure/qualification/plan.hpp"

namespace ascertain::qualification {

// One attempt that should be made.
struct Move {
    std::size_t item = 0;  // index into the plan
    Role role = Role::kMeasure;
    int number = 1;
};

// The next move of the device whose items are `items` (indices into plan.items, in order), given
// all its attempts so far in order; nothing when it is finished. The rules, family by family:
//   1. an item that has not been measured is measured;
//   2. one that was judged suspect, or whose operator raised, is confirmed once on another seed;
//   3. the first item of a family that was judged good runs the family's control and its clean
//   twin;
//   4. an item that broke (timed out, crashed, lost) or met a broken reference is measured a second
//      time when the rest of its family is through, after the family's control; when no item of the
//      family was good, its own clean twin stands in for the control.
// A control that broke is run a second time. What an earlier session skipped is asked again.
// Cost: attempts times items.
[[nodiscard]] std::optional<Move> next_move(const Plan& plan, const std::vector<std::size_t>& items,
                                            const std::vector<Attempt>& attempts);

}  // namespace ascertain::qualification
