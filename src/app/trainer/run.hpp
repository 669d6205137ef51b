// ascertain trial --command: the user's own trainer, watched, killed, resumed and compared.
#pragma once

#include "app/home.hpp"
#include "app/terminal.hpp"
#include "app/trainer/options.hpp"

namespace ascertain::app {

// Returns the exit code: 0 when every required check passed, 1 when one failed, else 2.
[[nodiscard]] int try_trainer(Terminal& terminal, const Home& home, const TrainerOptions& options);

}  // namespace ascertain::app
