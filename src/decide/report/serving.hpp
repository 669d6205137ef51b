// What the serving device says of text, by length, place and probability. Inside this room only.
#pragma once

#include <string>

#include "decide/report/material.hpp"

namespace ascertain::report {

[[nodiscard]] std::string serving_pictures(const Material& material);

}  // namespace ascertain::report
