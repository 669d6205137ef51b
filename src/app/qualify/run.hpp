// The main job: predict → devices → ops → trial → simulate → verdict, on the devices of this
// machine.
#pragma once

#include "app/home.hpp"
#include "app/qualify/options.hpp"
#include "app/terminal.hpp"

namespace ascertain::app {

// Returns the exit code; everything found is in evidence, verdict.json and report.html.
[[nodiscard]] int qualify(Terminal& terminal, const Home& home, const QualifyOptions& options);

}  // namespace ascertain::app
