// A number that a training request answers.
#pragma once

#include <cstddef>
#include <string>

#include "base/observation.hpp"

namespace ascertain::training {

// `n`: how many samples it rests on.
[[nodiscard]] Metric metric_of(std::string name, double value, std::string unit, std::size_t n = 1);

}  // namespace ascertain::training
