// One request to many members at once: what a fleet is asked takes as long as its slowest member.
#pragma once

#include <functional>
#include <vector>

#include "measure/device/workers.hpp"

namespace ascertain::device {

// Asks members 0 to `count` - 1 the same and returns their replies in that order; other members
// must be idle. `stopped` as in call().
[[nodiscard]] Result<std::vector<Reply>> call_all(Workers& workers, std::size_t count,
                                                  const Order& order,
                                                  const std::function<bool()>& stopped);

}  // namespace ascertain::device
