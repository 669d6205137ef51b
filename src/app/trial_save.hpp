// ascertain trial --save: trains the trial's model through the campaign's stages on one device and
// writes it down as transformers reads it, to be served elsewhere (docs/handoff.md). Nothing is
// judged.
#pragma once

#include <string>

#include "app/home.hpp"
#include "app/qualify/options.hpp"
#include "app/terminal.hpp"

namespace ascertain::app {

// Returns the exit code. `folder` must be new or empty. The campaign says which stages there are;
// the profile how long they are.
[[nodiscard]] int save_trial(Terminal& terminal, const Home& home, const QualifyOptions& options,
                             const std::string& folder);

}  // namespace ascertain::app
