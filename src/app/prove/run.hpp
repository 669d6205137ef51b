// `prove`: arms one defect after another and shows which check catches it; healthy variants must
// stay silent.
#pragma once

#include "app/home.hpp"
#include "app/prove/options.hpp"
#include "app/terminal.hpp"

namespace ascertain::app {

// Returns the exit code: 0 when done, 1 when a healthy chip raised an alarm.
[[nodiscard]] int prove(Terminal& terminal, const Home& home, const ProveOptions& options);

}  // namespace ascertain::app
